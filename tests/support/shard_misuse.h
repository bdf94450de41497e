// What Redis would let a writer do, and no writer must.
#ifndef SPILLWAY_TESTS_SUPPORT_SHARD_MISUSE_H_
#define SPILLWAY_TESTS_SUPPORT_SHARD_MISUSE_H_

#include <string>

#include "tests/support/fake_shard.h"

namespace spillway::buffer {

// What is wrong with an accepted add that is about to write `part`; empty: nothing. A part that can
// be claimed is never written again ("the writer cuts, not the race"), and what is referred to is
// there (invariant 6).
std::string MisuseBy(const FakeShard& shard, const AddPart& part);

}  // namespace spillway::buffer

#endif  // SPILLWAY_TESTS_SUPPORT_SHARD_MISUSE_H_
