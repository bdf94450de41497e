#include "base/ids.h"

#include <gtest/gtest.h>

#include "absl/container/flat_hash_set.h"

namespace spillway {
namespace {

TEST(HexTextTest, WritesLowerCaseDigitsWithLeadingZeros) {
  EXPECT_EQ(HexText(0xABCDEF), "0000000000abcdef");
  EXPECT_EQ(HexText(~uint64_t{0}), "ffffffffffffffff");
  EXPECT_EQ(HexText(0x1f, 4), "001f");
}

TEST(HexTextTest, KeepsTheLowDigitsWhenThereAreTooMany) { EXPECT_EQ(HexText(0x1234, 2), "34"); }

TEST(EpochTest, IsOrderedByNumberFirst) {
  EXPECT_LT((Epoch{1, 9}), (Epoch{2, 0}));
  EXPECT_LT((Epoch{2, 0}), (Epoch{2, 1}));
}

TEST(IdsTest, CanBeHashed) {
  const absl::flat_hash_set<TraceKey> keys = {{1, 2, 3}, {1, 2, 3}, {1, 3, 2}};
  EXPECT_EQ(keys.size(), 2u);
  const absl::flat_hash_set<ShardId> shards = {{1}, {2}, {1}};
  EXPECT_EQ(shards.size(), 2u);
}

}  // namespace
}  // namespace spillway
