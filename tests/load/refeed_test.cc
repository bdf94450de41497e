#include "tests/load/refeed.h"

#include <gtest/gtest.h>

namespace spillway::load {
namespace {

MessageHeaders Letter(const std::string& reason) {
  return {{"spillway-reason", reason},
          {"spillway-topic", "ingest-spans"},
          {"spillway-partition", "3"},
          {"spillway-offset", "99"}};
}

TEST(RefeedTest, ALetterGoesBackWhereItCameFrom) {
  const Refeed refeed = JudgeLetter(Letter("refused"), {});
  EXPECT_EQ(refeed.fate, RefeedFate::kSent);
  EXPECT_EQ(refeed.topic, "ingest-spans");
  EXPECT_EQ(refeed.partition, 3);
}

TEST(RefeedTest, AnotherTopicCanBeNamed) {
  EXPECT_EQ(JudgeLetter(Letter("refused"), {.to_topic = "other", .reasons = {}}).topic, "other");
}

TEST(RefeedTest, ReasonsNotAskedForAreLeftOut) {
  const RefeedRules rules{.to_topic = "", .reasons = {"refused", "missing_field"}};
  EXPECT_EQ(JudgeLetter(Letter("refused"), rules).fate, RefeedFate::kSent);
  EXPECT_EQ(JudgeLetter(Letter("not_json"), rules).fate, RefeedFate::kLeftOut);
}

TEST(RefeedTest, WhatIsNoSpanIsAlwaysLeftOut) {
  EXPECT_EQ(JudgeLetter(Letter("undecodable"), {}).fate, RefeedFate::kLeftOut);
  EXPECT_EQ(JudgeLetter(Letter("undecodable"), {.to_topic = "", .reasons = {"undecodable"}}).fate,
            RefeedFate::kLeftOut);
}

TEST(RefeedTest, ALetterWithoutItsPayloadCannotBeSent) {
  MessageHeaders headers = Letter("refused");
  headers.emplace_back("spillway-omitted-bytes", "12345");
  EXPECT_EQ(JudgeLetter(headers, {}).fate, RefeedFate::kOmitted);
}

TEST(RefeedTest, OthersMessagesAreNoLetters) {
  EXPECT_EQ(JudgeLetter({}, {}).fate, RefeedFate::kNoLetter);
  EXPECT_EQ(JudgeLetter({{"spillway-reason", "refused"}}, {}).fate, RefeedFate::kNoLetter);
}

TEST(RefeedTest, APartitionThatIsNoNumberIsNone) {
  MessageHeaders headers = Letter("refused");
  headers[2].second = "three";
  EXPECT_EQ(JudgeLetter(headers, {}).partition, -1);
  headers[2].second = "-7";
  EXPECT_EQ(JudgeLetter(headers, {}).partition, -1);
}

TEST(RefeedTest, TheReportAddsUp) {
  RefeedReport report;
  for (const RefeedFate fate : {RefeedFate::kSent, RefeedFate::kSent, RefeedFate::kLeftOut,
                                RefeedFate::kOmitted, RefeedFate::kNoLetter}) {
    report.Count(fate);
  }
  EXPECT_EQ(RefeedJson(report), R"({"read":5,"sent":2,"left_out":1,"omitted":1,"no_letters":1})");
  EXPECT_EQ(RefeedText(report),
            "read 5 dead letters: re-fed 2, left out 1, without their payload 1, not Spillway's 1");
  EXPECT_EQ(RefedFrom("spans-dlq", 2, 7), "spans-dlq/2/7");
}

}  // namespace
}  // namespace spillway::load
