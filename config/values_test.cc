#include "config/values.h"

#include <gtest/gtest.h>

namespace spillway::config {
namespace {

using std::chrono::milliseconds;

TEST(ValuesTest, ReadsDurations) {
  EXPECT_EQ(ParseDuration("500ms"), milliseconds(500));
  EXPECT_EQ(ParseDuration("10s"), milliseconds(10'000));
  EXPECT_EQ(ParseDuration("5m"), milliseconds(300'000));
  EXPECT_EQ(ParseDuration("1h"), milliseconds(3'600'000));
  EXPECT_EQ(ParseDuration("0ms"), milliseconds(0));
}

TEST(ValuesTest, RefusesDurationsThatAreNone) {
  for (const char* text : {"", "10", "s", "-1s", "1.5s", "1 s", "1S", "1d", "99999999999999999h"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(ValuesTest, PrintsDurationsInTheLargestExactUnit) {
  EXPECT_EQ(PrintDuration(milliseconds(0)), "0ms");
  EXPECT_EQ(PrintDuration(milliseconds(1'500)), "1500ms");
  EXPECT_EQ(PrintDuration(milliseconds(90'000)), "90s");
  EXPECT_EQ(PrintDuration(milliseconds(7'200'000)), "2h");
}

TEST(ValuesTest, ReadsAndPrintsSizes) {
  EXPECT_EQ(ParseSize("64KiB"), 65'536u);
  EXPECT_EQ(ParseSize("4MiB"), 4u << 20);
  EXPECT_EQ(ParseSize("1GiB"), 1u << 30);
  EXPECT_EQ(ParseSize("100"), 100u);
  EXPECT_EQ(ParseSize("7B"), 7u);
  EXPECT_EQ(ParseSize("4MB"), std::nullopt);
  EXPECT_EQ(PrintSize(65'536), "64KiB");
  EXPECT_EQ(PrintSize(65'537), "65537B");
}

TEST(ValuesTest, ReadsRatiosAndFlags) {
  EXPECT_EQ(ParseRatio("0.75"), 0.75);
  EXPECT_EQ(ParseRatio("1.1"), std::nullopt);
  EXPECT_EQ(ParseRatio("nan"), std::nullopt);
  EXPECT_EQ(PrintRatio(0.1), "0.1");
  EXPECT_EQ(ParseFlag("true"), true);
  EXPECT_EQ(ParseFlag("yes"), std::nullopt);
}

TEST(ValuesTest, ReadsCores) {
  EXPECT_EQ(ParseCores("1.5"), 1.5);
  EXPECT_EQ(ParseCores("0"), 0);
  EXPECT_EQ(ParseCores("0.01"), 0.01);
  EXPECT_EQ(PrintRatio(*ParseCores("-0")), "0");
  for (const char* text : {"", "0.009", "-1", "1025", "nan", "inf", "two"}) {
    EXPECT_EQ(ParseCores(text), std::nullopt) << text;
  }
}

TEST(ValuesTest, CountsEdits) {
  EXPECT_EQ(EditDistance("flush.lease", "flush.lease"), 0u);
  EXPECT_EQ(EditDistance("flush.leese", "flush.lease"), 1u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
}

}  // namespace
}  // namespace spillway::config
