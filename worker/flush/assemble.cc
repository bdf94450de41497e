#include "worker/flush/assemble.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "worker/span/span.h"
#include "worker/span/splice.h"

namespace spillway::flush {
namespace {

using buffer::Chunk;
using buffer::ChunkSpan;

constexpr size_t kUsualEditBytes = 96;  // what the two edits usually add to a span

// Decodes a list's entries behind those of `part`. References say nothing new: their lists are read
// anyway. True if there was a chunk; `part.header` is then the last one's.
absl::StatusOr<bool> DecodeList(const std::vector<std::string>& entries,
                                buffer::ChunkDecoder& decoder, Part& part) {
  bool has_chunk = false;
  for (const std::string& entry : entries) {
    ASSIGN_OR_RETURN(Chunk chunk, decoder.Decode(entry));
    if (chunk.is_reference) continue;
    has_chunk = true;
    part.header = chunk.header;
    part.spans.insert(part.spans.end(), chunk.spans.begin(), chunk.spans.end());
    part.chunks.push_back(std::move(chunk));
  }
  return has_chunk;
}

void AppendLittleEndian(uint64_t value, std::string& out) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

bool SkipsEnrichment(const Part& part, const SpanRange& range) {
  return part.header.part_number > 0 || part.header.sealed || range.is_half;
}

std::string Payload(const Part& part, const SpanRange& range) {
  const std::string flush_id = FlushId(part, range);
  size_t bytes = 80;  // the envelope
  for (size_t i = range.from; i < range.to; ++i)
    bytes += part.spans[i].bytes.size() + kUsualEditBytes;
  std::string payload;
  payload.reserve(bytes);
  payload.append("{\"spans\":");
  char separator = '[';
  for (size_t i = range.from; i < range.to; ++i) {
    payload.push_back(separator);
    separator = ',';
    SPILLWAY_POISON("flush.assemble", part.spans[i].bytes);
    span::AppendEdited(part.spans[i], part.header.segment, payload);
  }
  payload.push_back(']');
  if (SkipsEnrichment(part, range)) payload.append(",\"skip_enrichment\":true");
  payload.append(",\"flush_id\":\"").append(flush_id).append("\"}");
  return payload;
}

// Chunks do not hold the trace's id, as nothing else needs it: read it from a span.
std::string TraceIdOf(const ChunkSpan& span) {
  const auto parsed = span::SpanParser().Parse(span.bytes);
  const auto* known = std::get_if<span::Span>(&parsed);
  if (known == nullptr) return "";
  return HexText(known->trace.trace_high) + HexText(known->trace.trace_low);
}

}  // namespace

absl::StatusOr<Part> DecodePart(const buffer::LoadedPart& loaded, EventTime deadline,
                                buffer::ChunkDecoder& decoder) {
  Part part;
  part.name = loaded.name;
  part.deadline = deadline;
  RETURN_IF_ERROR(DecodeList(loaded.referenced, decoder, part).status());
  ASSIGN_OR_RETURN(const bool has_chunk, DecodeList(loaded.own, decoder, part));
  if (!has_chunk) return absl::DataLossError("the part's own list holds no chunk");
  const auto by_offset = [](const ChunkSpan& a, const ChunkSpan& b) { return a.offset < b.offset; };
  if (!std::is_sorted(part.spans.begin(), part.spans.end(), by_offset)) {
    std::stable_sort(part.spans.begin(), part.spans.end(), by_offset);
  }
  return part;
}

const char* ReasonOf(const Part& part, std::chrono::milliseconds max_age) {
  if (part.header.sealed) return "size";
  if (part.deadline == part.header.first_event_time + max_age) return "age";
  if (part.header.part_number > 0) return "late";
  const auto is_root = [&](const ChunkSpan& span) { return part.header.segment.Is(span.id); };
  return std::any_of(part.spans.begin(), part.spans.end(), is_root) ? "root" : "idle";
}

std::pair<SpanRange, SpanRange> Halves(const Part& part) {
  CHECK(part.spans.size() >= 2, "a single span cannot be split");
  size_t total = 0;
  for (const ChunkSpan& span : part.spans) total += span.bytes.size();
  size_t middle = 1;
  size_t before = part.spans[0].bytes.size();
  while (middle + 1 < part.spans.size() && 2 * before < total) {
    before += part.spans[middle++].bytes.size();
  }
  return {{.from = 0, .to = middle, .is_half = true},
          {.from = middle, .to = part.spans.size(), .is_half = true}};
}

std::string FlushId(const Part& part, const SpanRange& range) {
  std::string content;
  const std::string segment = part.header.segment.ToString();
  content.reserve(16 + segment.size() + 16 * (range.to - range.from));
  AppendLittleEndian(segment.size(), content);
  content.append(segment);
  AppendLittleEndian(part.header.part_number, content);
  for (size_t i = range.from; i < range.to; ++i) {
    AppendLittleEndian(static_cast<uint64_t>(part.spans[i].offset), content);
    AppendLittleEndian(part.spans[i].id.value, content);
  }
  const XXH128_hash_t hash = XXH3_128bits(content.data(), content.size());
  return HexText(hash.high64) + HexText(hash.low64);
}

kafka::OutgoingMessage Assemble(const Part& part, const SpanRange& range, ShardId shard,
                                Epoch epoch, const OutputOptions& options) {
  CHECK(range.from < range.to && range.to <= part.spans.size(), "a message has spans");
  kafka::OutgoingMessage message;
  message.payload = Payload(part, range);
  if (options.key_is_trace_id) message.key = TraceIdOf(part.spans[range.from]);
  if (options.headers) {
    message.headers = {
        {"spillway-shard", absl::StrCat(shard.value)},
        {"spillway-epoch", absl::StrCat(epoch.number)},
        {"spillway-part", absl::StrCat(part.header.part_number)},
        {"spillway-reason", range.is_half ? "size" : ReasonOf(part, options.max_age)}};
  }
  return message;
}

}  // namespace spillway::flush
