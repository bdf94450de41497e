#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

namespace spillway {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class LogTest : public ::testing::Test {
 protected:
  LogTest() { ::testing::internal::CaptureStderr(); }
  ~LogTest() override { ConfigureLog(LogFormat::kText, LogLevel::kInfo); }

  static std::string Output() { return ::testing::internal::GetCapturedStderr(); }
};

TEST_F(LogTest, TextIsTimeLevelEventAndFields) {
  Log(LogLevel::kInfo, "shard taken", {{"shard", 7}, {"epoch", uint64_t{12}}});
  EXPECT_THAT(Output(), MatchesRegex("20[0-9][0-9]-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:"
                                     "[0-6][0-9]\\.[0-9][0-9][0-9]Z info  shard taken shard=7 "
                                     "epoch=12\n"));
}

TEST_F(LogTest, TextQuotesWhatWouldBeAmbiguous) {
  Log(LogLevel::kWarning, "odd",
      {{"empty", ""},
       {"words", "two words"},
       {"quote", "a\"b"},
       {"plain", "x/y:1"},
       {"eq", "a=b"}});
  EXPECT_THAT(Output(),
              EndsWith(R"( warn  odd empty="" words="two words" quote="a\"b" plain=x/y:1 eq="a=b")"
                       "\n"));
}

TEST_F(LogTest, AnEventIsOneLineWhateverItHolds) {
  Log(LogLevel::kError, "two\nlines", {{"value", "a\nb\x1b[0m"}});
  EXPECT_THAT(Output(), EndsWith("error two\\nlines value=\"a\\nb\\x1b[0m\"\n"));
}

TEST_F(LogTest, ValuesHaveTheirUsualText) {
  Log(LogLevel::kInfo, "values",
      {{"yes", true}, {"half", 0.5}, {"status", absl::NotFoundError("shard 3")}});
  EXPECT_THAT(Output(), EndsWith("yes=true half=0.5 status=\"NOT_FOUND: shard 3\"\n"));
}

TEST_F(LogTest, JsonIsOneObject) {
  ConfigureLog(LogFormat::kJson, LogLevel::kInfo);
  Log(LogLevel::kWarning, "shard \"taken\"",
      {{"shard", 7}, {"held", false}, {"text", "a\\b\n\x01"}, {"nan", std::nan("")}});
  const std::string line = Output();
  EXPECT_THAT(line, StartsWith("{\"time\":\"20"));
  EXPECT_THAT(line, EndsWith(R"(Z","level":"warning","event":"shard \"taken\"","shard":7,)"
                             R"("held":false,"text":"a\\b\n\u0001","nan":"nan"})"
                             "\n"));
}

TEST_F(LogTest, JsonKeepsUtf8AndReplacesWhatIsNot) {
  ConfigureLog(LogFormat::kJson, LogLevel::kInfo);
  Log(LogLevel::kInfo, "bytes",
      {{"good", "\xc3\xa9\xf0\x9f\x98\x80"}, {"bad", "a\xff\xed\xa0\x80\xc3"}});
  EXPECT_THAT(Output(), HasSubstr("\"good\":\"\xc3\xa9\xf0\x9f\x98\x80\",\"bad\":\"a\\ufffd"
                                  "\\ufffd\\ufffd\\ufffd\\ufffd\"}"));
}

TEST_F(LogTest, WhatIsBelowTheLevelIsLeftOut) {
  ConfigureLog(LogFormat::kText, LogLevel::kWarning);
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_TRUE(LogEnabled(LogLevel::kWarning));
  Log(LogLevel::kInfo, "quiet");
  EXPECT_THAT(Output(), IsEmpty());
}

TEST_F(LogTest, LinesOfSeveralThreadsDoNotMix) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([i] {
      for (int n = 0; n < 50; ++n) Log(LogLevel::kInfo, "line", {{"thread", i}, {"end", "."}});
    });
  }
  threads.clear();
  const std::string output = Output();
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 200);
  EXPECT_THAT(output, Not(HasSubstr("end=.2")));
}

}  // namespace
}  // namespace spillway
