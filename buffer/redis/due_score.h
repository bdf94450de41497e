// The score of a part in `due`: 64 times its deadline, plus how big it is as one of 63 classes. So
// a claim knows about the size of what it claims without reading a byte of it: looking at the last
// chunk of every part made up half of what a claim cost. Scores are exact: they stay below 2^53.
#ifndef SPILLWAY_BUFFER_REDIS_DUE_SCORE_H_
#define SPILLWAY_BUFFER_REDIS_DUE_SCORE_H_

#include <cstdint>

#include "base/clock.h"

namespace spillway::buffer {

// 0 bytes: not known. Above 61 MiB, where the classes end: as 61 MiB.
int64_t DueScore(EventTime deadline, uint64_t part_bytes);

EventTime DeadlineOfScore(int64_t score);

// At least what DueScore was given, and at most a quarter or 64 bytes more; 0: not known.
uint64_t PartBytesOfScore(int64_t score);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_DUE_SCORE_H_
