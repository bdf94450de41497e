#include "tests/unit/shard_store_contract.h"

namespace spillway::buffer {

std::string TestChunk(uint64_t segment, const std::vector<Offset>& offsets, uint64_t part_bytes) {
  ChunkEncoder encoder(Codec::kNone, 0);
  const ChunkHeader header{.segment = SegmentId(SpanId{segment}),
                           .part_number = 0,
                           .sealed = false,
                           .part_bytes = part_bytes,
                           .first_event_time = {0},
                           .span_count = static_cast<uint32_t>(offsets.size())};
  std::vector<ChunkSpan> spans;
  for (const Offset offset : offsets) {
    spans.push_back({.id = SpanId{static_cast<uint64_t>(offset) + 1},
                     .offset = offset,
                     .is_segment = {.form = SpanEdit::Form::kFirstMember, .position = 1},
                     .segment_id = {},
                     .bytes = R"({"span":1})"});
  }
  std::string chunk;
  encoder.Encode(header, spans, chunk);
  return chunk;
}

StoreResult<TakeReply> ShardStoreContract::Take(TakeRequest request) {
  return Call<TakeReply>(
      [&](Done<TakeReply> done) { store_->ingest().Take(kShard, request, std::move(done)); });
}
TakeReply ShardStoreContract::TakeAsWriter(Offset committed) {
  const auto taken = Take({.proposed_number = ingest_epoch_.number,
                           .owner = ingest_epoch_.owner + 0xabc,
                           .input = input_,
                           .committed = committed,
                           .log_start = log_start_,
                           .log_end = log_end_});
  EXPECT_EQ(taken.code, StoreCode::kOk) << taken.message;
  ingest_epoch_ = taken.value.epoch;
  incarnation_ = taken.value.incarnation;
  watermark_ = taken.value.watermark;
  clock_ = taken.value.clock;
  return taken.value;
}
StoreResult<ShardFigures> ShardStoreContract::Add(const AddRequest& request) {
  return Call<ShardFigures>([&](Done<ShardFigures> done) {
    store_->ingest().Add(kShard, std::make_shared<const AddRequest>(request), std::move(done));
  });
}
StoreResult<ShardFigures> ShardStoreContract::Tick(const TickRequest& request) {
  return Call<ShardFigures>(
      [&](Done<ShardFigures> done) { store_->ingest().Tick(kShard, request, std::move(done)); });
}
StoreResult<bool> ShardStoreContract::StoreDropRules(const StoreDropRulesRequest& request) {
  return Call<bool>(
      [&](Done<bool> done) { store_->ingest().StoreDropRules(kShard, request, std::move(done)); });
}
StoreResult<Epoch> ShardStoreContract::Acquire(uint64_t proposed, uint64_t owner) {
  auto acquired = Call<Epoch>([&](Done<Epoch> done) {
    store_->flush().Acquire(kShard, {.proposed_number = proposed, .owner = owner}, std::move(done));
  });
  if (acquired.ok()) flush_epoch_ = acquired.value;
  return acquired;
}
StoreResult<PeekReply> ShardStoreContract::Peek(Epoch epoch, uint32_t limit) {
  return Call<PeekReply>(
      [&](Done<PeekReply> done) { store_->flush().Peek(kShard, epoch, limit, std::move(done)); });
}
StoreResult<Claim> ShardStoreContract::ClaimParts(const ClaimRequest& request) {
  return Call<Claim>(
      [&](Done<Claim> done) { store_->flush().ClaimParts(kShard, request, std::move(done)); });
}
StoreResult<std::vector<LoadedPart>> ShardStoreContract::Load(
    const std::vector<ClaimedPart>& parts) {
  using Loaded = std::vector<LoadedPart>;
  return Call<Loaded>(
      [&](Done<Loaded> done) { store_->flush().Load(kShard, parts, shelf_, std::move(done)); });
}
StoreResult<AcknowledgeReply> ShardStoreContract::Acknowledge(const AcknowledgeRequest& request) {
  return Call<AcknowledgeReply>([&](Done<AcknowledgeReply> done) {
    store_->flush().Acknowledge(kShard, request, std::move(done));
  });
}
StoreResult<bool> ShardStoreContract::Release(const ReleaseRequest& request) {
  return Call<bool>(
      [&](Done<bool> done) { store_->flush().Release(kShard, request, std::move(done)); });
}
ShardSummary ShardStoreContract::Summary() {
  const auto summary = Call<ShardSummary>(
      [&](Done<ShardSummary> done) { store_->reader().Summary(kShard, std::move(done)); });
  EXPECT_EQ(summary.code, StoreCode::kOk) << summary.message;
  return summary.value;
}
AuditReply ShardStoreContract::Audit() {
  const auto audit = Call<AuditReply>(
      [&](Done<AuditReply> done) { store_->reader().Audit(kShard, std::move(done)); });
  EXPECT_EQ(audit.code, StoreCode::kOk) << audit.message;
  return audit.value;
}

AddRequest ShardStoreContract::NextAdd(std::vector<AddPart> parts, uint64_t spans,
                                       int64_t clock_ms) {
  return {.epoch = ingest_epoch_,
          .expected_watermark = watermark_,
          .new_watermark = watermark_ + static_cast<Offset>(spans),
          .expected_clock = clock_,
          .new_clock = {clock_ms},
          .ledger = {.messages = spans, .accepted = spans},
          .parts = std::move(parts),
          .dictionary = nullptr};
}
StoreResult<ShardFigures> ShardStoreContract::AddNext(std::vector<AddPart> parts, uint64_t spans,
                                                      int64_t clock_ms) {
  auto added = Add(NextAdd(std::move(parts), spans, clock_ms));
  EXPECT_EQ(added.code, StoreCode::kOk) << added.message;
  watermark_ = added.value.watermark;
  clock_ = added.value.clock;
  return added;
}
AddPart ShardStoreContract::NewPart(Offset offset, int64_t deadline_ms, uint32_t spans) const {
  std::vector<Offset> offsets;
  for (uint32_t i = 0; i < spans; ++i) offsets.push_back(offset + i);
  return {.name = Name(offset),
          .references = {},
          .chunk = TestChunk(static_cast<uint64_t>(offset), offsets, 10 * spans),
          .is_absorbed = false,
          .deadline = {deadline_ms}};
}

Claim ShardStoreContract::ClaimAll(ClaimId id) {
  if (flush_epoch_ == Epoch()) Acquire();
  const auto peeked = Peek(flush_epoch_);
  EXPECT_EQ(peeked.code, StoreCode::kOk) << peeked.message;
  const auto claim = ClaimParts({.epoch = flush_epoch_, .id = id, .parts = peeked.value.due});
  EXPECT_EQ(claim.code, StoreCode::kOk) << claim.message;
  return claim.value;
}
AcknowledgeRequest ShardStoreContract::AcknowledgeOf(const Claim& claim, uint64_t spans) const {
  return {.id = claim.id,
          .lease_end = claim.lease_end,
          .parts = claim.parts,
          .acknowledged_spans = spans};
}
void ShardStoreContract::DrainAndExpectNothingLeft(uint64_t spans) {
  const Claim claim = ClaimAll({77, 77});
  const auto acknowledged = Acknowledge(AcknowledgeOf(claim, spans));
  EXPECT_EQ(acknowledged.code, StoreCode::kOk) << acknowledged.message;
  EXPECT_TRUE(acknowledged.value.was_known);
  EXPECT_EQ(store_->KeysBesidesMeta(kShard), 0u);
  const AuditReply audit = Audit();
  EXPECT_EQ(audit.live_spans, 0u);
  EXPECT_EQ(audit.residual, 0);
}

}  // namespace spillway::buffer
