#include "worker/ingest/incident.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace spillway::ingest {
namespace {

TakenShard Taken(Offset watermark, Offset committed) {
  TakenShard taken;
  taken.reply.incarnation = 1;
  taken.reply.watermark = watermark;
  taken.committed = committed;
  return taken;
}

struct Case {
  std::string name;
  BeforeTaking before;
  TakenShard taken;
  IncidentCounts expected;
};
void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }

Case Created(std::string name, BeforeTaking before, Offset committed, IncidentCounts expected) {
  TakenShard taken = Taken(committed, committed);
  taken.reply.is_created = true;
  return {std::move(name), before, taken, expected};
}
Case NewLog() {
  TakenShard taken = Taken(0, kNoOffset);
  taken.reply.is_new_log = true;
  return {"NewLog", {.watermark = 90}, taken, {.replaced_logs = 1}};
}
Case CutOff() {
  TakenShard taken = Taken(50, 50);
  taken.reply.unreplayable = 7;
  return {"CutOff", {}, taken, {.unreplayable = 7}};
}

class IncidentTest : public testing::TestWithParam<Case> {};

TEST_P(IncidentTest, IsCounted) {
  IncidentCounts counts;
  TellIncidents(ShardId{3}, GetParam().before, GetParam().taken, counts);
  EXPECT_EQ(counts, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Takes, IncidentTest,
    testing::Values(Created("TheVeryFirst", {}, kNoOffset, {}),
                    Created("LostOfAnotherWorker", {}, 10, {.redis_losses = 1}),
                    Created("LostBeforeAnyCommit", {.watermark = 10}, kNoOffset,
                            {.redis_losses = 1}),
                    Case{"CreatedByATakeThatFailed",
                         {.watermark = 10, .was_created = true},
                         Taken(5, 5),
                         {.redis_losses = 1}},
                    Case{"TakenOver", {}, Taken(90, 10), {}},
                    Case{"TakenAgain", {.watermark = 80}, Taken(90, 10), {}},
                    Case{"SetBack", {.watermark = 91}, Taken(90, 10), {.redis_rollbacks = 1}},
                    // W is raised to C, which was all there was.
                    Case{"SetBackBelowC",
                         {.watermark = 90, .was_set_back = true},
                         Taken(90, 90),
                         {.redis_rollbacks = 1}},
                    NewLog(), CutOff()),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace spillway::ingest
