#include "server/supervisor/shard_books.h"

#include <algorithm>

#include "server/supervisor/fleet_control.h"

namespace spillway::supervisor {

ShardBooks::ShardBooks(Loop& loop, const Clock& clock, buffer::ShardReader* reader, Hooks hooks)
    : clock_(clock), reader_(reader), hooks_(std::move(hooks)), timer_(loop, [this] { Read(); }) {}

void ShardBooks::Begin() {
  if (reader_ != nullptr) Read();
}

void ShardBooks::Close() {
  is_closed_ = true;
  timer_.Stop();
  to_read_.clear();
  to_audit_.clear();
  for (const RequestPtr& request : std::exchange(requests_, {})) {
    request->done(ServerStopping());
  }
}

// ---- ledgers ------------------------------------------------------------------------------------

void ShardBooks::Read() {
  const std::vector<ShardId> shards = hooks_.shards();
  to_read_.assign(shards.begin(), shards.end());
  const auto is_gone = [&](const auto& entry) {
    return std::find(shards.begin(), shards.end(), entry.first) == shards.end();
  };
  std::erase_if(ledgers_, is_gone);
  std::erase_if(audits_, is_gone);
  ReadNext();
}

void ShardBooks::ReadNext() {
  while (reading_ < kMaxLedgersAtOnce && !to_read_.empty()) {
    const ShardId shard = to_read_.front();
    to_read_.pop_front();
    ++reading_;
    reader_->Summary(shard, [weak = weak_from_this(), shard](const auto& result) {
      if (const auto self = weak.lock()) self->OnSummary(shard, result);
    });
  }
  if (reading_ > 0) return;
  hooks_.on_read();
  timer_.Start(kLedgerInterval);
}

void ShardBooks::OnSummary(ShardId shard, const buffer::StoreResult<buffer::ShardSummary>& result) {
  --reading_;
  if (is_closed_) return;
  if (result.ok() && result.value.exists) {
    ledgers_[shard] = {result.value.incarnation, result.value.ledger, clock_.Now()};
  } else if (result.ok()) {
    ledgers_.erase(shard);
  }
  ReadNext();
}

// ---- audits -------------------------------------------------------------------------------------

void ShardBooks::Audit(const std::vector<ShardId>& shards, AuditDone done) {
  if (reader_ == nullptr || is_closed_) {
    return done(Refusal(absl::StatusCode::kUnavailable, "NO_STORE", "the shards cannot be read"));
  }
  if (requests_.size() >= kMaxAuditRequests) {
    return done(Refusal(absl::StatusCode::kResourceExhausted, "TOO_MANY_AUDITS",
                        "other audits are under way; try again when they have ended"));
  }
  auto request = std::make_shared<Request>();
  request->deadline = clock_.Now() + kAuditRequestLimit;
  request->outstanding = shards.size();
  request->done = std::move(done);
  for (const ShardId shard : shards) {
    to_audit_.emplace_back(request, request->audits.size());
    request->audits.push_back({.shard = shard});
  }
  requests_.insert(std::move(request));
  AuditNext();
}

void ShardBooks::AuditNext() {
  while (auditing_ < kMaxAuditsAtOnce && !to_audit_.empty()) {
    const auto [request, index] = to_audit_.front();
    to_audit_.pop_front();
    ++auditing_;
    if (clock_.Now() >= request->deadline) {
      OnAudited(request, index,
                {.code = buffer::StoreCode::kUnavailable,
                 .value = {},
                 .message = "not reached within the time of one request"});
      continue;
    }
    reader_->Audit(request->audits[index].shard,
                   [weak = weak_from_this(), request = request,
                    index = index](buffer::StoreResult<buffer::AuditReply> result) {
                     const auto self = weak.lock();
                     if (self == nullptr || self->is_closed_) return;
                     self->OnAudited(request, index, std::move(result));
                     self->AuditNext();
                   });
  }
}

void ShardBooks::OnAudited(const RequestPtr& request, size_t index,
                           buffer::StoreResult<buffer::AuditReply> result) {
  --auditing_;
  ShardAudit& audit = request->audits[index];
  audit.code = result.code;
  audit.message = std::move(result.message);
  audit.reply = std::move(result.value);
  if (result.ok() && audit.reply.is_exact && audit.reply.summary.exists) {
    audits_[audit.shard] = {audit.reply.residual, clock_.Now()};
  }
  if (--request->outstanding > 0) return;
  const RequestPtr keep = request;
  requests_.erase(request);
  hooks_.on_read();
  keep->done(std::move(keep->audits));
}

}  // namespace spillway::supervisor
