#include "buffer/redis/keys.h"

#include <gtest/gtest.h>

namespace spillway::buffer {
namespace {

TEST(ShardKeysTest, CarryOneHashTag) {
  const ShardKeys keys("default", ShardId{7});
  EXPECT_EQ(keys.meta(), "{default/7}m");
  EXPECT_EQ(keys.due(), "{default/7}d");
  EXPECT_EQ(keys.part({.incarnation = 2, .offset = 1234}), "{default/7}p2.1234");
  EXPECT_EQ(keys.claim({.high = 1, .low = 0xab}), "{default/7}c000000000000000100000000000000ab");
  EXPECT_EQ(RegistryKey("default"), "{default}shards");
}

TEST(ScratchKeyTest, LivesInOneOfTheSlots) {
  EXPECT_EQ(ScratchNumberOn("default", {}), 0);
  for (const Slot slot : {Slot{0}, Slot{5461}, Slot{kSlotCount - 1}}) {
    const int number = ScratchNumberOn("default", {slot});
    EXPECT_EQ(SlotOfKey(ScratchKey("default", number, "h")), slot);
    EXPECT_EQ(SlotOfKey(ScratchKey("default", number, "z")), slot);
  }
}

TEST(EpochTextTest, ReadsWhatItWrites) {
  const Epoch epoch{.number = 12, .owner = 0xfedcba9876543210};
  EXPECT_EQ(EpochText(epoch), "12:fedcba9876543210");
  EXPECT_EQ(EpochFromText(EpochText(epoch)), epoch);
  EXPECT_EQ(EpochFromText("strange"), Epoch());
}

TEST(InflightTest, ReadsAMember) {
  InflightClaim claim;
  ASSERT_TRUE(ParseInflight("000000000000000100000000000000ab 12:00000000000000ff 1700000000000001",
                            claim));
  EXPECT_EQ(claim.id, (ClaimId{1, 0xab}));
  EXPECT_EQ(claim.epoch, (Epoch{12, 255}));
  EXPECT_EQ(claim.lease_end.us, 1'700'000'000'000'001);
  EXPECT_FALSE(ParseInflight("", claim));
  EXPECT_FALSE(ParseInflight("short 1:2 3", claim));
}

TEST(PartNamesTest, SkipsWhatIsNotAName) {
  EXPECT_EQ(PartNamesFromText("1.5 x 2.7"), (std::vector<PartName>{{1, 5}, {2, 7}}));
  EXPECT_TRUE(PartNamesFromText("").empty());
}

}  // namespace
}  // namespace spillway::buffer
