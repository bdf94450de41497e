#include "buffer/ledger.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace spillway::buffer {
namespace {

// A healthy shard: 100 carried and 1,000 accepted, all of them either out or among 50 live ones.
AuditReply Healthy() {
  AuditReply reply;
  reply.is_exact = true;
  reply.summary.exists = true;
  reply.summary.ledger = {.messages = 1'015,
                          .accepted = 1'000,
                          .rejected = 10,
                          .filtered = 5,
                          .deduplicated = 40,
                          .acknowledged = 990,
                          .dropped = 8,
                          .orphan = 0,
                          .quarantined = 2,
                          .resurrected = 4,
                          .unreplayable = 0,
                          .dead_lettered = 10,
                          .released = 6,
                          .stale_acknowledges = 1,
                          .carried = 100,
                          .skipped = 3,
                          .replayed = 5};
  reply.live_spans = 50;
  reply.summary.claimed_parts = reply.in_flight_parts = 7;
  return reply;
}

TEST(LedgerTest, EveryCounterStandsInTheTableOnce) {
  std::set<std::string> names;
  Ledger all;
  for (const LedgerCounter& counter : kLedgerCounters) {
    EXPECT_TRUE(names.insert(counter.name).second) << counter.name;
    EXPECT_EQ(all.*counter.value, 0u) << counter.name << " is another's field";
    all.*counter.value = 1;
  }
  EXPECT_EQ(sizeof(Ledger), kLedgerCounters.size() * sizeof(uint64_t));
}

TEST(LedgerTest, AHealthyShardHasNoResidual) {
  const AuditReply audit = Compared(Healthy());
  EXPECT_EQ(audit.residual, 0);
  EXPECT_EQ(audit.message_residual, 0);
  EXPECT_EQ(audit.part_residual, 0);
  EXPECT_EQ(audit.duplicates_at_most, 15u);
}

TEST(LedgerTest, ALiveSpanThatIsGoneIsMissing) {
  AuditReply reply = Healthy();
  reply.live_spans -= 3;
  EXPECT_EQ(Compared(reply).residual, 3);
  reply.live_spans += 5;
  EXPECT_EQ(Compared(reply).residual, -2);
}

TEST(LedgerTest, APartInFlightThatIsNotCountedShows) {
  AuditReply reply = Healthy();
  reply.in_flight_parts += 2;
  EXPECT_EQ(Compared(reply).part_residual, -2);
}

// What one more of a counter does to the residuals and to the bound.
struct MovesRow {
  const char* counter;
  int64_t residual;
  int64_t message_residual;
  uint64_t duplicates;
};
class LedgerMoves : public testing::TestWithParam<MovesRow> {};

TEST_P(LedgerMoves, ShowInTheirResidual) {
  AuditReply reply = Healthy();
  for (const LedgerCounter& counter : kLedgerCounters) {
    if (std::string(GetParam().counter) == counter.name) ++(reply.summary.ledger.*counter.value);
  }
  const AuditReply audit = Compared(reply);
  EXPECT_EQ(audit.residual, GetParam().residual);
  EXPECT_EQ(audit.message_residual, GetParam().message_residual);
  EXPECT_EQ(audit.duplicates_at_most, 15 + GetParam().duplicates);
}

constexpr MovesRow kMoves[] = {
    {"messages", 0, 1, 0},           {"accepted", 1, -1, 0},    {"carried", 1, 0, 0},
    {"rejected", 0, -1, 0},          {"filtered", 0, -1, 0},    {"deduplicated", -1, 0, 0},
    {"acknowledged", -1, 0, 0},      {"dropped", -1, 0, 0},     {"dead_lettered", -1, 0, 0},
    {"quarantined", -1, 0, 0},       {"orphan", 0, 0, 0},       {"released", 0, 0, 1},
    {"resurrected", 0, 0, 1},        {"unreplayable", 0, 0, 0}, {"skipped", 0, 0, 0},
    {"stale_acknowledges", 0, 0, 0}, {"replayed", 0, 0, 1},
};
static_assert(std::size(kMoves) == kLedgerCounters.size());
INSTANTIATE_TEST_SUITE_P(EveryCounter, LedgerMoves, testing::ValuesIn(kMoves),
                         [](const auto& row) { return std::string(row.param.counter); });

}  // namespace
}  // namespace spillway::buffer
