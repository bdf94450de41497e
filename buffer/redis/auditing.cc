#include "buffer/redis/auditing.h"

#include <algorithm>

#include "buffer/ledger.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {

Auditing::Auditing(RedisRoute route, ShardKeys keys, ShardId shard, Done<AuditReply> done)
    : LiveReading(route, std::move(keys), "", {}),
      shard_(shard),
      deadline_(SystemClock().Now() + kAuditTimeLimit),
      done_(std::move(done)) {}

void Auditing::Begin() {
  lists_.clear();
  Want(MakeSummary(keys_), [this](const Reply& reply) { summary_ = ReadSummary(reply); });
  LiveReading::Begin();
}

bool Auditing::MayBeginAgain(int attempts) {
  has_given_up_ = attempts >= kMaxRounds || SystemClock().Now() >= deadline_;
  return !has_given_up_;
}

void Auditing::OnListed() {
  for (const LivePartRecord& part : live_.parts) {
    lists_.push_back({part.name});
    for (const PartName& reference : part.references) lists_.push_back({reference});
  }
  for (size_t first = 0; first < lists_.size(); first += kSizesPerPage) {
    WantSizes(first, std::min(first + kSizesPerPage, lists_.size()));
  }
  Then([this] { OnMeasured(); });
}

void Auditing::WantSizes(size_t first, size_t last) {
  Command command(scripts::kSizes, 1 + last - first, 0);
  command.Add(keys_.meta());
  for (size_t i = first; i < last; ++i) command.Add(keys_.part(lists_[i].name));
  Want(std::move(command), [this, first, last](const Reply& reply) {
    for (size_t i = first; i < last; ++i) lists_[i].size = reply[1 + i - first].integer();
  });
}

void Auditing::OnMeasured() {
  for (const List& list : lists_) {
    Counted& counted = counted_[list.name];
    if (list.size < counted.entries) counted = {};  // another hand has cut it
    if (list.size > counted.entries) WantEntries(list, counted.entries);
  }
  Then([this] { OnCounted(); });
}

void Auditing::WantEntries(const List& list, int64_t first) {
  const int64_t last = std::min(first + kEntriesPerPage, list.size) - 1;
  Command command(scripts::kHeads, 2, 3);
  command.AddAll({keys_.meta(), keys_.part(list.name)});
  command.Add(first).Add(last).Add(static_cast<int64_t>(kMaxHeaderBytes));
  WantUnchanging(std::move(command), [this, list, last](const Reply& reply) {
    Counted& counted = counted_[list.name];
    Count(reply, counted);
    const bool is_whole_page = counted.entries == last + 1;
    if (is_whole_page && counted.entries < list.size) WantEntries(list, counted.entries);
  });
}

void Auditing::Count(const Reply& reply, Counted& counted) {
  for (size_t i = 2; i < reply.size(); ++i) {
    const absl::string_view entry = reply[i].text();
    if (const auto header = DecodeHeader(entry); header.ok()) {
      counted.spans += header->span_count;
    } else if (const auto chunk = decoder_.Decode(entry); !chunk.ok() || !chunk->is_reference) {
      ++counted.undecodable;
    }
    ++counted.entries;
  }
}

void Auditing::OnCounted() {
  reply_ = AuditReply();
  for (const List& list : lists_) {
    const Counted& counted = counted_[list.name];
    if (counted.entries != list.size) {  // it left while it was read
      if (MayBeginAgain(attempts())) Run();
      return;
    }
    if (list.size == 0) ++reply_.missing_lists;
    reply_.live_spans += counted.spans;
    reply_.undecodable_entries += counted.undecodable;
  }
  for (const LivePartRecord& part : live_.parts) {
    ++(part.is_in_due ? reply_.due_parts : reply_.in_flight_parts);
  }
  reply_.summary = summary_;
  reply_.is_exact = true;
}

void Auditing::End(StoreCode code, std::string message) {
  // A shard that is not there is a finding, not an error.
  if (code == StoreCode::kNoShard) {
    reply_ = AuditReply();
    reply_.is_exact = true;
    return done_(Succeeded(std::move(reply_)));
  }
  if (has_given_up_) {
    reply_ = AuditReply();
    reply_.summary = summary_;
    return done_(Succeeded(std::move(reply_)));
  }
  if (!message.empty()) message = absl::StrCat("shard ", shard_.value, ": ", message);
  done_({.code = code, .value = Compared(std::move(reply_)), .message = std::move(message)});
}

}  // namespace spillway::buffer
