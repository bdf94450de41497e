#include "tests/sim/checks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/reference_model.h"

namespace spillway::sim {
namespace {

using test_support::ReferenceSegment;
using test_support::ReferenceSpan;

// Values of sentry.segment.id, one of each span.
std::vector<std::string> SegmentsIn(absl::string_view payload) {
  constexpr absl::string_view kBefore = R"("sentry.segment.id":{"type":"string","value":")";
  std::vector<std::string> values;
  for (size_t at = payload.find(kBefore); at != absl::string_view::npos;
       at = payload.find(kBefore, at + 1)) {
    const absl::string_view value = payload.substr(at + kBefore.size());
    values.emplace_back(value.substr(0, value.find('"')));
  }
  return values;
}

}  // namespace

Checks::Checks(const Mix& mix, DataPlane& plane, const InputLog& input)
    : mix_(mix), plane_(plane), input_(input) {}

void Checks::Fail(const std::string& what) {
  if (wrong_.empty()) wrong_ = what;
}

void Checks::ReadOutput() {
  const auto& output = plane_.world.kafka.partition(kOutput, 0).records;
  const auto& letters = plane_.world.kafka.partition(ingest::kLetters, 0).records;
  times_sent_.resize(input_.records().size());
  dead_letters_.resize(input_.records().size());
  while (sent_.size() < output.size()) {
    const std::string& payload = output[sent_.size()].payload;
    Sent& sent = sent_.emplace_back(Sent{TagsIn(payload), SegmentsIn(payload)});
    for (const size_t tag : sent.tags) ++times_sent_[tag];
  }
  for (; letters_read_ < letters.size(); ++letters_read_) {
    for (const size_t tag : TagsIn(letters[letters_read_].payload)) ++dead_letters_[tag];
  }
}

// What the broker refuses is a dead letter, and what ends its workers must be one. Workers that
// somebody else ends make none.
bool Checks::HasLeft(const InputRecord& record) const {
  const bool is_letter = dead_letters_[record.tag] > 0;
  if (!record.is_valid || IsPoison(record)) return is_letter;
  return times_sent_[record.tag] > 0 || (mix_.refused > 0 && is_letter);
}

void Checks::AfterStep() {
  if (!plane_.world.store.misuse().empty()) return Fail(plane_.world.store.misuse());
  const buffer::FakeShard* shard = plane_.world.store.shard(ingest::kShard);
  if (shard != nullptr && !shard->HasItsDictionaries()) Fail("a chunk without its dictionary");
  const Offset low = plane_.committed();
  if (low == low_) return;
  if (low < low_) return Fail(absl::StrCat("C fell from ", low_, " to ", low));
  ReadOutput();
  for (Offset offset = low_; offset < low; ++offset) {
    if (!HasLeft(input_.at(offset))) Fail(absl::StrCat("C = ", low, " is above ", offset));
  }
  low_ = low;
}

void Checks::OnNewLog() { low_ = 0; }

bool Checks::IsQuiet() {
  const buffer::FakeShard* shard = plane_.world.store.shard(ingest::kShard);
  return shard != nullptr && plane_.committed() == input_.end() &&
         shard->watermark == input_.end() && shard->due.empty() && shard->claims.empty() &&
         shard->lists.empty() && shard->references.empty();
}

std::string Checks::Position() const {
  const buffer::FakeShard* shard = plane_.world.store.shard(ingest::kShard);
  if (shard == nullptr) return "no shard in Redis";
  std::string text =
      absl::StrCat("end ", input_.end(), ", C ", plane_.committed(), ", W ", shard->watermark,
                   ", clock ", shard->clock.ms, ", redis time ", plane_.world.now().ms, ", due ",
                   shard->due.size(), ", claims ", shard->claims.size(), ", lists ",
                   shard->lists.size(), ", references ", shard->references.size());
  ingest::ShardSession* session = plane_.world.worker(plane_.ingest_owner()).session();
  if (session == nullptr) return text + ", no session";
  absl::StrAppend(&text, ", gate ", session->gate().is_closed() ? "closed " : "open, ", "session ",
                  session->is_live() ? "live " : "not live ", session->trouble());
  return text;
}

void Checks::AtEnd() {
  AfterStep();
  if (!IsQuiet()) return Fail(absl::StrCat("does not come to rest: ", Position()));
  ReadOutput();
  CheckNothingIsLost();
  CheckLetters();
  if (mix_.has_poison) CheckDeaths();
  if (!mix_.PermitsDuplicates()) CheckNothingIsDoubled();
  if (mix_.OnlyLosesRedis()) CheckReplayed();
  CheckLedger();
  if (mix_.is_generous) CheckSegments();
}

void Checks::CheckNothingIsLost() {
  for (size_t i = 0; i < input_.records().size(); ++i) {
    const InputRecord& record = input_.records()[i];
    if (record.is_gone || HasLeft(record)) continue;
    Fail(absl::StrCat("lost: ", record.is_valid ? "span " : "dead letter of message ", i, ", tag ",
                      record.tag));
  }
}

void Checks::CheckLetters() {
  if (mix_.refused > 0) return;
  for (const InputRecord& record : input_.records()) {
    const bool is_needless = record.is_valid && !IsPoison(record) && dead_letters_[record.tag] > 0;
    if (is_needless) Fail(absl::StrCat("tag ", record.tag, " needlessly became a dead letter"));
  }
}

void Checks::OnDeath(const std::optional<ClaimInHand>& in_hand) {
  if (!in_hand) return Fail("a worker died of what it had not noted");
  const buffer::FakeShard* shard = plane_.world.store.shard(ingest::kShard);
  const auto claim = shard->claims.find(in_hand->claim);
  if (claim == shard->claims.end()) return Fail("a worker died of a claim that is no more");
  for (const auto& [part, deadline] : claim->second.parts) ++deaths_[part];
}

// Five deaths make a dead letter, no more and no fewer; two are the most that the neighbours of a
// deadly part take part in.
void Checks::CheckDeaths() {
  constexpr uint32_t kLetterAfter = 5, kLonelyAfter = 2;
  for (const auto& [part, deaths] : deaths_) {
    const bool is_deadly = IsPoison(input_.at(part.offset));
    const bool is_right = is_deadly ? deaths == kLetterAfter : deaths <= kLonelyAfter;
    if (is_right) continue;
    Fail(absl::StrCat("part ", part.ToString(), is_deadly ? ", deadly" : "", ", was in hand at ",
                      deaths, " deaths"));
  }
}

void Checks::CheckNothingIsDoubled() {
  for (const InputRecord& record : input_.records()) {
    const size_t times = times_sent_[record.tag];
    if (times <= input_.copies(record.tag)) continue;
    Fail(absl::StrCat("tag ", record.tag, " came ", input_.copies(record.tag), " times and left ",
                      times, " times"));
  }
}

void Checks::OnLoss() {
  const buffer::FakeShard* shard = plane_.world.store.shard(ingest::kShard);
  if (shard == nullptr) return;
  replayed_ += shard->ledger.replayed;
  // Who takes it then may take the group for a new one.
  if (!plane_.world.committed().has_value()) has_lost_uncommitted_ = true;
}

// Each offset that a ledger has counted may have left once more.
void Checks::CheckReplayed() {
  if (has_lost_uncommitted_) return;
  const buffer::FakeShard* shard = plane_.world.store.shard(ingest::kShard);
  const uint64_t replayed = replayed_ + (shard == nullptr ? 0 : shard->ledger.replayed);
  uint64_t more = 0;
  std::set<size_t> seen;
  for (const InputRecord& record : input_.records()) {
    if (!seen.insert(record.tag).second) continue;
    const size_t times = times_sent_[record.tag], copies = input_.copies(record.tag);
    more += times > copies ? times - copies : 0;
  }
  if (more > replayed)
    Fail(absl::StrCat(more, " spans left once more, and only ", replayed, " were counted"));
}

void Checks::CheckLedger() {
  buffer::AuditReply audit;
  plane_.world.store.Audit(ingest::kShard, [&](const auto& result) { audit = result.value; });
  plane_.Settle();
  if (audit.residual != 0) Fail(absl::StrCat("the ledger cannot explain ", audit.residual));
  const buffer::Ledger& ledger = audit.summary.ledger;
  if (ledger.messages != ledger.accepted + ledger.rejected + ledger.filtered)
    Fail("messages differ from accepted + rejected + filtered");
}

void Checks::NoLeaseWasWaitedFor(bool was_soon_quiet) {
  if (!was_soon_quiet) Fail("a dead owner's claim waited for its lease");
  const uint64_t stale = plane_.world.store.shard(ingest::kShard)->ledger.stale_acknowledges;
  if (stale > 0) Fail(absl::StrCat(stale, " claims of living owners were released"));
}

// Every expected segment leaves as one message, its spans in order. Spans tell their segment,
// unless they came with an attribute that says something else.
void Checks::CheckSegments() {
  std::vector<ReferenceSpan> spans;
  std::vector<size_t> tags;
  std::set<size_t> own_word;  // tags
  for (const InputRecord& record : input_.records()) {
    if (!record.is_valid) continue;
    spans.push_back(record.span);
    tags.push_back(record.tag);
    if (!record.span.segment_id.empty()) own_word.insert(record.tag);
  }
  using Message = std::pair<std::string, std::vector<size_t>>;  // segment, tags
  std::multiset<Message> expected, left;
  for (const ReferenceSegment& segment : test_support::ExpectedSegments(spans).segments) {
    Message message;
    for (const size_t at : segment.spans) {
      message.second.push_back(tags[at]);
      if (!own_word.contains(tags[at])) message.first = segment.name;
    }
    expected.insert(std::move(message));
  }
  for (const Sent& sent : sent_) {
    Message message{"", sent.tags};
    if (sent.tags.size() != sent.segments.size()) return Fail("a span without its segment");
    for (size_t i = 0; i < sent.tags.size(); ++i) {
      if (own_word.contains(sent.tags[i])) continue;
      if (!message.first.empty() && message.first != sent.segments[i])
        return Fail("two segments in one message");
      message.first = sent.segments[i];
    }
    left.insert(std::move(message));
  }
  if (left == expected) return;
  const auto text = [](const Message& m) {
    return absl::StrCat(m.first, ": ", absl::StrJoin(m.second, " "));
  };
  const auto [want, got] =
      std::mismatch(expected.begin(), expected.end(), left.begin(), left.end());
  Fail(absl::StrCat("segments differ: expected ", want == expected.end() ? "none" : text(*want),
                    ", left ", got == left.end() ? "none" : text(*got)));
}

}  // namespace spillway::sim
