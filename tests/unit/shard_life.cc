#include "tests/unit/shard_life.h"

#include <algorithm>
#include <iterator>

namespace spillway::buffer {

void ShardLife::Restart(uint64_t seed) {
  random_ = test_support::SeededRandom(seed);
  open_.clear();
  spans_.clear();
  claims_.clear();
  store_->LoseEverything();
  TakeAsWriter();
  Acquire();
}

void ShardLife::Grow(size_t parts) {
  while (open_.size() < parts) AddSome(20);
}

void ShardLife::Live(int events) {
  for (int i = 0; i < events; ++i) {
    switch (random_.Below(10)) {
      case 0:
      case 1:
        ClaimSome();
        break;
      case 2:
      case 3:
        EndAClaim(/*is_delivered=*/true);
        break;
      case 4:
        EndAClaim(/*is_delivered=*/false);
        break;
      case 5:
        TakeAsWriter();
        break;
      default:
        AddSome(random_.Below(5));
    }
  }
}

void ShardLife::ExpectEven(const AuditReply& audit) const {
  EXPECT_TRUE(audit.is_exact);
  EXPECT_EQ(audit.residual, 0);
  EXPECT_EQ(audit.message_residual, 0);
  EXPECT_EQ(audit.part_residual, 0);
  EXPECT_EQ(audit.missing_lists, 0u);
  EXPECT_EQ(audit.undecodable_entries, 0u);
  EXPECT_EQ(audit.due_parts, audit.summary.due_parts) << "of the same instant";
}

void ShardLife::AddSome(size_t new_parts) {
  std::erase_if(open_, [&](const auto& part) { return part.second.deadline <= clock_.ms; });
  Batch batch;
  const uint64_t old_parts = random_.Below(4);
  for (size_t i = 0; i < new_parts; ++i) OpenPartIn(batch);
  for (uint64_t i = 0; i < old_parts; ++i) {
    if (random_.Chance(0.4)) {
      AbsorbPartIn(batch);
    } else {
      ExtendPartIn(batch);
    }
  }
  AddNext(std::move(batch.parts), batch.spans, clock_.ms + static_cast<int64_t>(random_.Below(6)));
}

// Spans at the end of the log, for the part of that name; without one, they open it.
AddPart ShardLife::ChunkFor(Batch& batch, std::optional<PartName> name, int64_t deadline) {
  const uint64_t spans = 1 + random_.Below(4);
  AddPart part = NewPart(watermark_ + static_cast<Offset>(batch.spans), deadline,
                         static_cast<uint32_t>(spans));
  part.name = name.value_or(part.name);
  batch.spans += spans;
  batch.used.insert(part.name);
  spans_[part.name] += spans;
  return part;
}

void ShardLife::OpenPartIn(Batch& batch) {
  const int64_t deadline =
      random_.Chance(0.5) ? kNever : clock_.ms + 1 + static_cast<int64_t>(random_.Below(60));
  batch.parts.push_back(ChunkFor(batch, std::nullopt, deadline));
  open_[batch.parts.back().name] = {deadline, {}};
}

std::optional<PartName> ShardLife::PickOpen(const Batch& batch) {
  if (open_.empty()) return std::nullopt;
  const auto at = std::next(open_.begin(), static_cast<ptrdiff_t>(random_.Below(open_.size())));
  if (batch.used.contains(at->first)) return std::nullopt;
  return at->first;
}

void ShardLife::ExtendPartIn(Batch& batch) {
  const auto name = PickOpen(batch);
  if (!name.has_value()) return;
  OpenPart& open = open_[*name];
  if (open.deadline < kNever) open.deadline += static_cast<int64_t>(random_.Below(3));
  batch.parts.push_back(ChunkFor(batch, *name, open.deadline));
}

// The host is an open part, or one that this batch opens; it may have no chunk of its own.
void ShardLife::AbsorbPartIn(Batch& batch) {
  const auto name = PickOpen(batch);
  if (!name.has_value()) return;
  batch.used.insert(*name);
  AddPart absorbed{
      .name = *name, .references = {}, .chunk = {}, .is_absorbed = true, .deadline = {}};
  if (random_.Chance(0.3)) absorbed.chunk = ChunkFor(batch, *name, 0).chunk;
  const std::optional<PartName> host_name =
      random_.Chance(0.6) ? PickOpen(batch) : std::optional<PartName>();
  const int64_t deadline = host_name.has_value() ? open_[*host_name].deadline : clock_.ms + 30;
  AddPart host{
      .name = {}, .references = {}, .chunk = {}, .is_absorbed = false, .deadline = {deadline}};
  if (host_name.has_value() && random_.Chance(0.5)) {
    host.name = *host_name;
    batch.used.insert(*host_name);
  } else {
    host = ChunkFor(batch, host_name, deadline);
  }
  host.references = open_[*name].references;
  host.references.push_back(*name);
  open_.erase(*name);
  OpenPart& open = open_[host.name];
  open.deadline = deadline;
  open.references.insert(open.references.end(), host.references.begin(), host.references.end());
  batch.parts.push_back(std::move(absorbed));
  batch.parts.push_back(std::move(host));
}

void ShardLife::ClaimSome() {
  const auto peeked = Peek(flush_epoch_, 1 + static_cast<uint32_t>(random_.Below(30)));
  ASSERT_EQ(peeked.code, StoreCode::kOk) << peeked.message;
  if (peeked.value.due.empty()) return;
  auto claim = ClaimParts({.epoch = flush_epoch_,
                           .id = {.high = 9, .low = ++last_claim_},
                           .parts = peeked.value.due,
                           .counts_entries = random_.Chance(0.3)});
  ASSERT_EQ(claim.code, StoreCode::kOk) << claim.message;
  claims_.push_back(std::move(claim.value));
}

void ShardLife::EndAClaim(bool is_delivered) {
  if (claims_.empty()) return;
  const size_t index = random_.Below(claims_.size());
  const Claim claim = claims_[index];
  claims_.erase(claims_.begin() + static_cast<ptrdiff_t>(index));
  if (!is_delivered) {
    EXPECT_TRUE(Release({.id = claim.id}).value);
    return;
  }
  uint64_t spans = 0;
  for (const ClaimedPart& part : claim.parts) {
    spans += spans_[part.name];
    for (const PartName& reference : part.references) spans += spans_[reference];
  }
  EXPECT_TRUE(Acknowledge(AcknowledgeOf(claim, spans)).value.was_known);
}

}  // namespace spillway::buffer
