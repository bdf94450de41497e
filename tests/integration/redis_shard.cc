#include "tests/integration/redis_shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "buffer/redis/keys.h"
#include "tests/load/span_scan.h"
#include "tests/support/reference_forest.h"
#include "worker/ingest/taken_state.h"

namespace spillway::integration {
namespace {

using load::AttributesForm;
using load::IsSegmentForm;

constexpr int kCompressionLevel = 1;
const buffer::InputIdentity kInput{
    .cluster_id = "cluster", .topic = "ingest-spans", .topic_id = ""};

IsSegmentForm IsSegmentFormOf(const load::ScannedSpan& input) {
  if (!input.is_segment.found) return IsSegmentForm::kMissing;
  const absl::string_view value = input.Value(input.is_segment);
  if (value == "null") return IsSegmentForm::kNull;
  return value == "true" ? IsSegmentForm::kTrue : IsSegmentForm::kFalse;
}

AttributesForm AttributesFormOf(const load::ScannedSpan& input) {
  if (!input.attributes.found) return AttributesForm::kMissing;
  if (input.Value(input.attributes) == "null") return AttributesForm::kNull;
  if (!input.segment_id.found) return AttributesForm::kWithoutId;
  return input.Value(input.segment_id) == "null" ? AttributesForm::kIdNull
                                                 : AttributesForm::kWithId;
}

std::string Unquoted(absl::string_view text) {
  return absl::AsciiStrToLower(text.size() < 2 ? text : text.substr(1, text.size() - 2));
}

// Rule 8 of design section 5, for one span of `segment`.
void CheckSpan(const load::ScannedSpan& output, absl::string_view input_bytes,
               const SegmentId& segment) {
  input_bytes = absl::StripAsciiWhitespace(input_bytes);  // the scanner stops at the brace
  load::ScannedSpan input;
  ASSERT_TRUE(load::ScanSpan(input_bytes, input).ok());
  const AttributesForm attributes = AttributesFormOf(input);
  std::string original;
  const absl::Status undone = load::UndoEdits(output, IsSegmentFormOf(input), attributes, original);
  EXPECT_TRUE(undone.ok()) << undone << "\n" << output.text;
  EXPECT_EQ(original, input_bytes);
  const std::string name = segment.ToString();
  const bool is_root = Unquoted(output.Value(output.span_id)) == name;
  EXPECT_EQ(output.Value(output.is_segment), is_root ? "true" : "false") << output.text;
  if (attributes == AttributesForm::kWithId) return;  // stays, as the bytes above tell
  EXPECT_EQ(output.Value(output.segment_id),
            absl::StrCat(R"({"type":"string","value":")", name, R"("})"));
}

std::string Header(const kafka::OutgoingMessage& message, absl::string_view key) {
  for (const auto& [name, value] : message.headers) {
    if (name == key) return value;
  }
  ADD_FAILURE() << "no header " << key;
  return "";
}

std::string Describe(const load::ScannedMessage& scanned, const LeftMessage& message) {
  std::vector<std::string> letters;
  for (const load::ScannedSpan& span : scanned.spans) {
    letters.push_back(Unquoted(span.Value(span.span_id)).substr(0, 1));
  }
  std::sort(letters.begin(), letters.end());
  const load::ScannedSpan& first = scanned.spans[0];
  const std::string name = message.segment.ToString();
  return absl::StrCat(first.Value(first.project_id), "/",
                      message.segment.is_opaque() ? name : name.substr(0, 1), ":{",
                      absl::StrJoin(letters, ","), "}",
                      message.part_number == "0" ? "" : absl::StrCat("#", message.part_number),
                      message.skip_enrichment ? "!" : "");
}

}  // namespace

RedisShard::RedisShard(buffer::RedisUnderTest& redis, ShardId shard, const Options& options)
    : redis_(redis),
      shard_(shard),
      limits_(options.limits),
      encoder_(options.codec, kCompressionLevel) {
  Take(kNoOffset);
  flush_epoch_ =
      Call<Epoch>([&](buffer::Done<Epoch> done) {
        redis_.flush().Acquire(shard_, {.proposed_number = 0, .owner = 0xf1}, std::move(done));
      }).value;
}

template <typename T>
buffer::StoreResult<T> RedisShard::Call(const std::function<void(buffer::Done<T>)>& call) {
  std::optional<buffer::StoreResult<T>> answer;
  call([&answer](buffer::StoreResult<T> result) { answer = std::move(result); });
  redis_.RunUntil([&answer] { return answer.has_value(); });
  CHECK(answer.has_value(), "the test's own Redis answers");
  return *std::move(answer);
}

void RedisShard::Take(Offset committed) {
  const auto taken = Call<buffer::TakeReply>([&](buffer::Done<buffer::TakeReply> done) {
    redis_.ingest().Take(shard_,
                         {.proposed_number = ingest_epoch_.number,
                          .owner = ingest_epoch_.owner + 0xabc,
                          .input = kInput,
                          .committed = committed,
                          .log_start = 0,
                          .log_end = static_cast<Offset>(bytes_.size())},
                         std::move(done));
  });
  ASSERT_TRUE(taken.ok()) << taken.message;
  ASSERT_FALSE(taken.value.is_new_log);
  ingest_epoch_ = taken.value.epoch;
  redis_now_ = EventTimeOf(taken.value.redis_time);
  index_ = std::make_unique<segment::ShardIndex>(
      limits_, ingest::TakenStateOf(taken.value, [](const auto& part, const auto& error) {
        ADD_FAILURE() << part.ToString() << ": " << error;
      }));
  for (Offset offset = taken.value.start; offset < taken.value.watermark; ++offset) {
    const ingest::ParsedMessage& message = parsed_[static_cast<size_t>(offset)];
    if (message.is_valid) index_->Replay(ingest::RecordOf(message, redis_now_));
  }
  index_->Reconcile();
}

void RedisShard::HandOver(std::optional<Offset> committed) {
  Take(committed.value_or(index_->LowWatermark()));
}

void RedisShard::Observe(const buffer::ShardFigures& figures) {
  redis_now_ = EventTimeOf(figures.redis_time);
  index_->Observe(figures.clock, figures.lowest_outstanding);
}

void RedisShard::Add(const std::vector<std::string>& messages,
                     std::optional<int64_t> timestamp_ms) {
  if (messages.empty()) return;
  ingest::WorkBatch batch;
  for (const std::string& bytes : messages) {
    ingest::ParsedMessage& message = batch.messages.emplace_back();
    message.offset = static_cast<Offset>(bytes_.size());
    if (timestamp_ms) message.timestamp = EventTime{*timestamp_ms};
    message.bytes = bytes_.emplace_back(bytes);
    auto read = parser_.Parse(message.bytes);
    message.is_valid = std::holds_alternative<span::Span>(read);
    if (message.is_valid) message.span = std::get<span::Span>(read);
    rejected_ += message.is_valid ? 0 : 1;
    parsed_.push_back(message);
  }
  const segment::BatchPlan plan = ingest::PlanBatch(*index_, batch, redis_now_);
  const auto added = Call<buffer::ShardFigures>([&](buffer::Done<buffer::ShardFigures> done) {
    redis_.ingest().Add(shard_,
                        std::make_shared<const buffer::AddRequest>(
                            ingest::RequestFor(ingest_epoch_, plan, batch, encoder_)),
                        std::move(done));
  });
  ASSERT_TRUE(added.ok()) << added.message;
  index_->CommitBatch();
  Observe(added.value);
}

buffer::StoreCode RedisShard::WriteAgain(size_t count) {
  ingest::WorkBatch batch;
  batch.messages.assign(parsed_.begin(), parsed_.begin() + static_cast<std::ptrdiff_t>(count));
  segment::ShardIndex fresh(limits_, {.incarnation = 1, .watermark = 0, .clock = {-1}, .live = {}});
  const segment::BatchPlan plan = ingest::PlanBatch(fresh, batch, redis_now_);
  const auto added = Call<buffer::ShardFigures>([&](buffer::Done<buffer::ShardFigures> done) {
    redis_.ingest().Add(shard_,
                        std::make_shared<const buffer::AddRequest>(
                            ingest::RequestFor(ingest_epoch_, plan, batch, encoder_)),
                        std::move(done));
  });
  EXPECT_EQ(added.value.watermark, static_cast<Offset>(bytes_.size()));
  return added.code;
}

void RedisShard::MoveClock(int64_t clock_ms) {
  if (clock().ms >= clock_ms) return;
  buffer::AddRequest request;
  request.epoch = ingest_epoch_;
  request.expected_watermark = request.new_watermark = index_->watermark();
  request.expected_clock = clock();
  request.new_clock = {clock_ms};
  const auto added = Call<buffer::ShardFigures>([&](buffer::Done<buffer::ShardFigures> done) {
    redis_.ingest().Add(shard_, std::make_shared<const buffer::AddRequest>(request),
                        std::move(done));
  });
  ASSERT_TRUE(added.ok()) << added.message;
  Observe(added.value);
}

void RedisShard::Tick() {
  const auto ticked = Call<buffer::ShardFigures>([&](buffer::Done<buffer::ShardFigures> done) {
    redis_.ingest().Tick(shard_,
                         {.epoch = ingest_epoch_,
                          .expected_watermark = index_->watermark(),
                          .expected_clock = clock(),
                          .moves_clock = true},
                         std::move(done));
  });
  ASSERT_TRUE(ticked.ok()) << ticked.message;
  Observe(ticked.value);
}

std::optional<buffer::Claim> RedisShard::ClaimDue() {
  auto peeked = Call<buffer::PeekReply>([&](buffer::Done<buffer::PeekReply> done) {
    redis_.flush().Peek(shard_, flush_epoch_, 10'000, std::move(done));
  });
  EXPECT_TRUE(peeked.ok()) << peeked.message;
  if (peeked.value.due.empty()) return std::nullopt;
  auto claim = Call<buffer::Claim>([&](buffer::Done<buffer::Claim> done) {
    redis_.flush().ClaimParts(
        shard_, {.epoch = flush_epoch_, .id = {1, ++claims_}, .parts = std::move(peeked.value.due)},
        std::move(done));
  });
  EXPECT_TRUE(claim.ok()) << claim.message;
  EXPECT_EQ(claim.value.parts.size(), peeked.value.due_count);
  return std::move(claim.value);
}

std::vector<LeftMessage> RedisShard::Assemble(const buffer::Claim& claim) {
  using Loaded = std::vector<buffer::LoadedPart>;
  const auto loaded = Call<Loaded>([&](buffer::Done<Loaded> done) {
    redis_.flush().Load(shard_, claim.parts, shelf_, std::move(done));
  });
  EXPECT_TRUE(loaded.ok()) << loaded.message;
  std::vector<LeftMessage> messages;
  for (size_t i = 0; i < loaded.value.size(); ++i) {
    EXPECT_TRUE(loaded.value[i].is_complete);
    const auto part = flush::DecodePart(loaded.value[i], claim.parts[i].deadline, decoder_);
    EXPECT_TRUE(part.ok()) << part.status();
    if (!part.ok()) continue;
    messages.push_back(Check(*part, flush::Assemble(*part, flush::WholeOf(*part), shard_,
                                                    flush_epoch_, {.max_age = limits_.max_age})));
  }
  return messages;
}

LeftMessage RedisShard::Check(const flush::Part& part, kafka::OutgoingMessage message) {
  LeftMessage left{.segment = part.header.segment,
                   .part_number = Header(message, "spillway-part"),
                   .reason = Header(message, "spillway-reason"),
                   .skip_enrichment = false,
                   .offsets = {},
                   .payload = std::move(message.payload),
                   .text = {}};
  load::ScannedMessage scanned;
  const absl::Status status = load::ScanMessage(left.payload, scanned);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(scanned.spans.size(), part.spans.size());
  if (scanned.spans.size() != part.spans.size() || scanned.spans.empty()) return left;
  size_t bytes = 0;
  for (size_t i = 0; i < part.spans.size(); ++i) {
    const Offset offset = part.spans[i].offset;
    EXPECT_TRUE(left.offsets.empty() || left.offsets.back() < offset) << "out of order";
    EXPECT_TRUE(left_.insert(offset).second) << "left twice: offset " << offset;
    left.offsets.push_back(offset);
    const std::string& input = bytes_[static_cast<size_t>(offset)];
    bytes += input.size();
    CheckSpan(scanned.spans[i], input, left.segment);
  }
  EXPECT_TRUE(bytes <= limits_.max_part_bytes || part.spans.size() == 1) << bytes << " bytes";
  EXPECT_NE(scanned.skip_enrichment, false) << "is only said where it is true";
  left.skip_enrichment = scanned.skip_enrichment.value_or(false);
  EXPECT_EQ(scanned.flush_id.size(), 32);
  EXPECT_TRUE(flush_ids_.emplace(scanned.flush_id).second) << "flush id used twice";
  left.text = Describe(scanned, left);
  return left;
}

void RedisShard::Acknowledge(const buffer::Claim& claim, const std::vector<LeftMessage>& messages) {
  buffer::AcknowledgeRequest request{
      .id = claim.id, .lease_end = claim.lease_end, .parts = claim.parts};
  for (const LeftMessage& message : messages) request.acknowledged_spans += message.offsets.size();
  const auto done_with =
      Call<buffer::AcknowledgeReply>([&](buffer::Done<buffer::AcknowledgeReply> done) {
        redis_.flush().Acknowledge(shard_, request, std::move(done));
      });
  EXPECT_TRUE(done_with.ok() && done_with.value.was_known) << done_with.message;
}

std::vector<LeftMessage> RedisShard::Leave() {
  const std::optional<buffer::Claim> claim = ClaimDue();
  if (!claim) return {};
  std::vector<LeftMessage> messages = Assemble(*claim);
  Acknowledge(*claim, messages);
  return messages;
}

std::string RedisShard::LeaveAt(int64_t clock_ms) {
  MoveClock(clock_ms);
  std::vector<std::string> texts;
  for (const LeftMessage& message : Leave()) texts.push_back(message.text);
  std::sort(texts.begin(), texts.end());
  return texts.empty() ? "none" : absl::StrJoin(texts, " ");
}

buffer::AuditReply RedisShard::Audit() {
  const auto audit = Call<buffer::AuditReply>([&](buffer::Done<buffer::AuditReply> done) {
    redis_.reader().Audit(shard_, std::move(done));
  });
  EXPECT_TRUE(audit.ok()) << audit.message;
  EXPECT_EQ(audit.value.residual, 0);
  return audit.value;
}

void RedisShard::ExpectAllLeft(uint64_t deduplicated) {
  const buffer::AuditReply audit = Audit();
  const buffer::Ledger& ledger = audit.summary.ledger;
  EXPECT_EQ(audit.live_spans, 0u);
  EXPECT_EQ(audit.summary.due_parts + audit.summary.inflight_claims, 0u);
  EXPECT_EQ(ledger.messages, bytes_.size());
  EXPECT_EQ(ledger.rejected, rejected_);
  EXPECT_EQ(ledger.accepted, bytes_.size() - rejected_);
  EXPECT_EQ(ledger.deduplicated, deduplicated);
  EXPECT_EQ(ledger.acknowledged, left_.size());
}

segment::Limits RowLimits(uint64_t max_part_bytes) {
  using std::chrono::milliseconds;
  return {.root_timeout = milliseconds(10),
          .idle_timeout = milliseconds(60),
          .max_age = milliseconds(100'000),
          .late_window = milliseconds(30),
          .max_part_bytes = max_part_bytes,
          .max_references = 1024};
}

std::string MessageOf(const std::string& word) { return test_support::SpansOfRow(word)[0].content; }

std::string NumberedSpan(uint64_t id, uint64_t parent) {
  test_support::ReferenceSpan span;
  span.trace_id = test_support::RowTraceId('a');
  span.span_id = HexText(id);
  span.is_segment = id == parent;
  if (!span.is_segment) span.parent_span_id = HexText(parent);
  return test_support::SpanMessage(span);
}

RedisAssembly::RedisAssembly() : redis_(buffer::RedisKind::SPILLWAY_TEST_REDIS) {}

RedisShard RedisAssembly::NewShard(const segment::Limits& limits, buffer::Codec codec) {
  return RedisShard(redis_, ShardId{shards_++}, {.limits = limits, .codec = codec});
}

void RedisAssembly::ForBothCodecs(const std::function<void(buffer::Codec)>& run) {
  for (const buffer::Codec codec : {buffer::Codec::kNone, buffer::Codec::kZstd}) {
    SCOPED_TRACE(codec == buffer::Codec::kNone ? "codec none" : "codec zstd");
    run(codec);
  }
}

void RedisAssembly::ExpectOnlyMeta() {
  std::vector<std::string> expected = {buffer::RegistryKey("test")};
  for (int32_t shard = 0; shard < shards_; ++shard) {
    expected.push_back(buffer::ShardKeys("test", ShardId{shard}).meta());
  }
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(redis_.Keys(), expected);
  std::cout << "runs, each on a shard of its own: " << shards_ << "\n";
}

}  // namespace spillway::integration
