#include "buffer/chunk/names.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

TEST(SegmentIdTest, TakesSixteenHexDigitsOfEitherCaseAsASpanId) {
  const SegmentId id = SegmentId::FromText("00ABcdef01234567");
  EXPECT_FALSE(id.is_opaque());
  EXPECT_TRUE(id.Is(SpanId{0x00abcdef01234567}));
  EXPECT_EQ(id.ToString(), "00abcdef01234567");
}

TEST(SegmentIdTest, TakesAnythingElseAsAnOpaqueName) {
  for (const char* text : {"a", "0123456789abcde", "0123456789abcdefg", "-123456789abcdef",
                           "0x23456789abcdef", " 123456789abcdef"}) {
    const SegmentId id = SegmentId::FromText(text);
    EXPECT_TRUE(id.is_opaque()) << text;
    EXPECT_FALSE(id.Is(SpanId{0})) << text;
    EXPECT_EQ(id.ToString(), text);
  }
}

TEST(SegmentIdTest, OrdersSpanIdsByValueBeforeOpaqueNames) {
  const SegmentId low(SpanId{1});
  const SegmentId high(SpanId{~uint64_t{0}});
  EXPECT_LT(low, high);
  EXPECT_LT(high, SegmentId::FromText("a"));
}

TEST(PartNameTest, SurvivesATripThroughText) {
  const PartName name{.incarnation = 7, .offset = 9'223'372'036'854'775'807};
  EXPECT_EQ(name.ToString(), "7.9223372036854775807");
  EXPECT_EQ(PartName::FromText(name.ToString()).value(), name);
}

TEST(PartNameTest, RefusesWhatIsNotCanonical) {
  for (const char* text : {"", ".", "1", "1.", ".1", "01.1", "1.01", "1.-1", "1.-0", "+1.1", "1.1 ",
                           "1.1.1", "4294967296.1", "1.9223372036854775808", "1,1"}) {
    EXPECT_FALSE(PartName::FromText(text).ok()) << text;
  }
}

}  // namespace
}  // namespace spillway
