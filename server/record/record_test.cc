#include "server/record/record.h"

#include <gtest/gtest.h>

namespace spillway::record {
namespace {

struct Row {
  const char* name;
  const char* text;
  const char* clipped;
};
class Utf8Test : public ::testing::TestWithParam<Row> {};

TEST_P(Utf8Test, BadBytesBecomeQuestionMarks) {
  Change change;
  change.events.resize(1);
  change.events[0].detail = GetParam().text;
  EXPECT_EQ(Clipped(change).events[0].detail, GetParam().clipped);
}

INSTANTIATE_TEST_SUITE_P(Texts, Utf8Test,
                         ::testing::Values(Row{"Ascii", "plain", "plain"},
                                           Row{"Two", "\xc3\xa4", "\xc3\xa4"},
                                           Row{"Three", "\xe2\x86\x92", "\xe2\x86\x92"},
                                           Row{"Four", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                                           Row{"Alone", "a\x80z", "a?z"},
                                           Row{"CutOff", "a\xe2\x86", "a??"},
                                           Row{"Overlong", "\xc0\xaf", "??"},
                                           Row{"OverlongThree", "\xe0\x80\xaf", "???"},
                                           Row{"Surrogate", "\xed\xa0\x80", "???"},
                                           Row{"TooHigh", "\xf4\x90\x80\x80", "????"}),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace spillway::record
