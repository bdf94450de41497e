// All that is worth knowing of one resource, as a text for a person. What is not known is said to
// be so, never shown as nothing or zero.
#ifndef SPILLWAY_CLIENT_OUTPUT_DESCRIPTION_H_
#define SPILLWAY_CLIENT_OUTPUT_DESCRIPTION_H_

#include <string>
#include <vector>

#include "spillway/v1/fleet.pb.h"

namespace spillway::client {

// What else is told of a resource. `problem`: why it could not be learnt; empty: it is there.
template <typename T>
struct Told {
  T value{};
  std::string problem{};
};

// Entries that are about one resource, the newest last.
struct History {
  Told<std::vector<v1::Death>> deaths;
  Told<std::vector<v1::Event>> events;
};

std::string PoolDescription(const v1::Pool& pool, const Told<std::vector<v1::Worker>>& workers,
                            const Told<v1::ScaleAdvice>& advice, const History& history);
std::string WorkerDescription(const v1::Worker& worker, const History& history);
std::string ShardDescription(const v1::Shard& shard, const Told<v1::ShardExplanation>& explanation,
                             const Told<std::vector<v1::Event>>& events);

// Where a shard's time went, and what stands out.
std::string ExplanationText(const v1::ShardExplanation& explanation);
// How many workers a pool should have, and why.
std::string AdviceText(const v1::ScaleAdvice& advice);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_OUTPUT_DESCRIPTION_H_
