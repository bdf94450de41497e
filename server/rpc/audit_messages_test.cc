// An audit's findings as messages, without gRPC.
#include "server/rpc/audit_messages.h"

#include <gtest/gtest.h>

#include "buffer/ledger.h"

namespace spillway::rpc {
namespace {

using buffer::StoreCode;
using supervisor::ShardAudit;

ShardAudit Exact(int32_t shard, uint64_t accepted, uint64_t live) {
  ShardAudit audit{.shard = {shard}, .code = StoreCode::kOk};
  audit.reply.is_exact = audit.reply.summary.exists = true;
  audit.reply.summary.ledger.messages = audit.reply.summary.ledger.accepted = accepted;
  audit.reply.summary.ledger.released = 2;
  audit.reply.live_spans = live;
  audit.reply = buffer::Compared(audit.reply);
  return audit;
}

TEST(AuditMessagesTest, EveryCounterHasItsField) {
  buffer::Ledger ledger;
  uint64_t value = 0;
  for (const buffer::LedgerCounter& counter : buffer::kLedgerCounters) {
    ledger.*counter.value = ++value;
  }
  const v1::Ledger message = ToMessage(ledger);
  EXPECT_EQ(v1::Ledger::descriptor()->field_count(),
            static_cast<int>(buffer::kLedgerCounters.size()));
  for (const buffer::LedgerCounter& counter : buffer::kLedgerCounters) {
    const auto* field = v1::Ledger::descriptor()->FindFieldByName(counter.name);
    ASSERT_NE(field, nullptr) << counter.name;
    EXPECT_EQ(message.GetReflection()->GetUInt64(message, field), ledger.*counter.value)
        << counter.name;
  }
}

TEST(AuditMessagesTest, SumsWhatIsKnownAndIsEven) {
  ShardAudit unsure = Exact(1, 5, 5);
  unsure.possibly_persisted = 3;
  const v1::AuditResponse response = ToMessage({Exact(0, 10, 10), unsure});

  EXPECT_TRUE(response.is_even());
  EXPECT_EQ(response.unknown(), 0);
  EXPECT_EQ(response.shards(1).name(), "shards/1");
  EXPECT_EQ(response.shards(1).outcome(), v1::AUDIT_OUTCOME_EXACT);
  EXPECT_EQ(response.total().live_spans(), 15u);
  EXPECT_EQ(response.total().ledger().accepted(), 15u);
  EXPECT_EQ(response.total().duplicates_at_most(), 7u);
}

TEST(AuditMessagesTest, ResidualsDoNotCancelEachOther) {
  const v1::AuditResponse response = ToMessage({Exact(0, 10, 9), Exact(1, 10, 11)});

  EXPECT_FALSE(response.is_even());
  EXPECT_EQ(response.shards(0).figures().residual(), 1);
  EXPECT_EQ(response.shards(1).figures().residual(), -1);
  EXPECT_EQ(response.total().residual(), 0);
}

TEST(AuditMessagesTest, WhatCannotBeToldIsUnknownAndNotZero) {
  ShardAudit moving = Exact(0, 10, 0);
  moving.reply.is_exact = false;
  ShardAudit away{.shard = {1}, .code = StoreCode::kUnavailable, .message = "shard 1: no Redis"};
  const v1::AuditResponse response = ToMessage({moving, away});

  EXPECT_FALSE(response.is_even());
  EXPECT_EQ(response.unknown(), 2);
  EXPECT_EQ(response.shards(0).outcome(), v1::AUDIT_OUTCOME_MOVING);
  EXPECT_FALSE(response.shards(0).has_figures());
  EXPECT_EQ(response.shards(1).outcome(), v1::AUDIT_OUTCOME_UNREADABLE);
  EXPECT_EQ(response.shards(1).detail(), "shard 1: no Redis");
}

TEST(AuditMessagesTest, AResidualOfMessagesOrPartsAloneIsNotEven) {
  ShardAudit messages = Exact(0, 10, 10), parts = Exact(1, 10, 10);
  messages.reply.message_residual = -2;
  parts.reply.part_residual = 1;
  const v1::AuditResponse response = ToMessage({messages, parts});

  EXPECT_FALSE(response.is_even());
  EXPECT_EQ(response.shards(0).detail(), "2 messages more than were read");
  EXPECT_EQ(response.shards(1).detail(), "1 parts in flight are missing");
}

TEST(AuditMessagesTest, AShardThatWasNeverTakenHasNothingToExplain) {
  ShardAudit empty{.shard = {0}, .code = StoreCode::kOk};
  empty.reply.is_exact = true;
  const v1::AuditResponse response = ToMessage({empty});

  EXPECT_TRUE(response.is_even());
  EXPECT_EQ(response.shards(0).outcome(), v1::AUDIT_OUTCOME_NOT_TAKEN);
}

TEST(AuditMessagesTest, AMissingListIsNamed) {
  ShardAudit audit = Exact(0, 10, 8);
  audit.reply.missing_lists = 1;

  EXPECT_EQ(ToMessage({audit}).shards(0).detail(),
            "2 spans are missing; 1 lists of live parts are gone");
}

}  // namespace
}  // namespace spillway::rpc
