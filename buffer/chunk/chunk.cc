#include "buffer/chunk/chunk.h"

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

// The layout is described in FORMAT.md.
namespace spillway::buffer {
namespace {

constexpr uint8_t kChunkV1 = 0x01;
constexpr uint8_t kReferenceV1 = 0x81;
constexpr uint8_t kSealedFlag = 1;
constexpr uint8_t kOpaqueFlag = 2;
constexpr size_t kChecksumBytes = 4;
constexpr size_t kMaxVarintBytes = 10;
constexpr size_t kIdBytes = 8;
constexpr size_t kIdDigits = 2 * kIdBytes;
constexpr size_t kMinSpanTableBytes = 4;  // size, offset, forms, place of the id
constexpr size_t kMaxSpanTableBytes = 7 * kMaxVarintBytes + 1 + kIdBytes;
constexpr uint8_t kMaxForm = static_cast<uint8_t>(SpanEdit::Form::kObjectMember);

uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
int64_t UnZigZag(uint64_t value) { return static_cast<int64_t>((value >> 1) ^ (0 - (value & 1))); }

char* PutVarint(char* at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<char>(value);
  return at;
}

char* PutFixed64(char* at, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) *at++ = static_cast<char>(value >> shift);
  return at;
}

void AppendChecksum(size_t begin, std::string& out) {
  const uint64_t hash = XXH3_64bits(out.data() + begin, out.size() - begin);
  char bytes[kChecksumBytes];
  for (size_t i = 0; i < kChecksumBytes; ++i) bytes[i] = static_cast<char>(hash >> (8 * i));
  out.append(bytes, kChecksumBytes);
}

absl::Status Bad(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("chunk: ", what));
}

// Reads from the front of a piece of memory; the first read past its end makes it fail for good.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool failed() const { return failed_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  const char* position() const { return at_; }

  uint8_t Byte() {
    if (at_ == end_) return Fail();
    return static_cast<uint8_t>(*at_++);
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint64_t byte = Byte();
      if (shift == 63 && byte > 1) return Fail();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }
  // A varint that must not exceed `limit`.
  uint64_t Varint(uint64_t limit) {
    const uint64_t value = Varint();
    return value <= limit ? value : Fail();
  }
  uint32_t Varint32() {
    return static_cast<uint32_t>(Varint(std::numeric_limits<uint32_t>::max()));
  }
  uint64_t Fixed64() {
    if (left() < 8) return Fail();
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 8) value |= uint64_t{Byte()} << shift;
    return value;
  }
  absl::string_view Bytes(size_t count) {
    if (left() < count) {
      Fail();
      return {};
    }
    const absl::string_view bytes(at_, count);
    at_ += count;
    return bytes;
  }

 private:
  uint8_t Fail() {
    failed_ = true;
    at_ = end_;
    return 0;
  }

  const char* at_;
  const char* end_;
  bool failed_ = false;
};

struct Preamble {
  ChunkHeader header;
  Codec codec = Codec::kNone;
  uint64_t body_bytes = 0;
};

// Everything before the body; `reader` then stands at the body.
absl::StatusOr<Preamble> ReadPreamble(Reader& reader) {
  Preamble preamble;
  ChunkHeader& header = preamble.header;
  const uint8_t type = reader.Byte();
  if (reader.failed()) return Bad("empty");
  if (type != kChunkV1) return Bad(absl::StrCat("unknown type or version ", type));
  const uint8_t codec = reader.Byte();
  if (codec > static_cast<uint8_t>(Codec::kZstdDictionary)) {
    return Bad(absl::StrCat("unknown codec ", codec));
  }
  preamble.codec = static_cast<Codec>(codec);
  const uint8_t flags = reader.Byte();
  if ((flags & ~(kSealedFlag | kOpaqueFlag)) != 0) return Bad("unknown flags");
  header.sealed = (flags & kSealedFlag) != 0;
  if ((flags & kOpaqueFlag) != 0) {
    const absl::string_view text = reader.Bytes(reader.Byte());
    if (text.empty() || text.size() > SegmentId::kMaxOpaqueBytes) return Bad("segment id");
    header.segment = SegmentId::FromText(text);
    if (!header.segment.is_opaque()) return Bad("segment id is not opaque");
  } else {
    header.segment = SegmentId(SpanId{reader.Fixed64()});
  }
  header.part_number = reader.Varint32();
  header.part_bytes = reader.Varint();
  header.first_event_time.ms = UnZigZag(reader.Varint());
  header.span_count = reader.Varint32();
  preamble.body_bytes = reader.Varint(ChunkDecoder::kMaxBodyBytes);
  if (reader.failed()) return Bad("header is cut short or out of range");
  return preamble;
}

uint64_t End(const SpanEdit& edit) { return uint64_t{edit.position} + edit.removed; }

bool Fits(const ChunkSpan& span, uint64_t bytes) {
  const SpanEdit& a = span.is_segment;
  const SpanEdit& b = span.segment_id;
  if (End(a) > bytes || End(b) > bytes) return false;
  if (a.form == SpanEdit::Form::kNone || b.form == SpanEdit::Form::kNone) return true;
  return End(a) <= b.position || End(b) <= a.position;
}

// One column of the table: the edit `which` of every span.
absl::Status ReadEdits(Reader& table, SpanEdit ChunkSpan::*which, std::span<const uint64_t> sizes,
                       std::vector<ChunkSpan>& spans) {
  for (size_t i = 0; i < spans.size(); ++i) {
    SpanEdit& edit = spans[i].*which;
    if (edit.form == SpanEdit::Form::kNone) continue;
    const uint64_t behind = table.Varint32();
    edit.removed = table.Varint32();
    if (behind + edit.removed > sizes[i]) return Bad("edit outside its span");
    edit.position = static_cast<uint32_t>(sizes[i] - behind - edit.removed);
  }
  return absl::OkStatus();
}

// The number that `digits` says in hexadecimal.
std::optional<uint64_t> NumberOf(absl::string_view digits) {
  uint64_t value = 0;
  for (const char c : digits) {
    const int digit = absl::ascii_isdigit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<uint64_t>(digit);
  }
  return value;
}

// Fills `spans` from the span table and points them at the bytes behind it.
absl::Status ReadBody(absl::string_view body, uint32_t count, std::vector<ChunkSpan>& spans) {
  if (count > body.size() / kMinSpanTableBytes) return Bad("more spans than the body can hold");
  spans.resize(count);
  std::vector<uint64_t> sizes(count);
  Reader table(body);
  uint64_t total = 0;
  for (uint64_t& size : sizes) total += size = table.Varint(body.size());
  uint64_t offset = 0;
  for (ChunkSpan& span : spans) {
    offset += static_cast<uint64_t>(UnZigZag(table.Varint()));
    span.offset = static_cast<Offset>(offset);
  }
  for (ChunkSpan& span : spans) {
    const uint8_t forms = table.Byte();
    if ((forms & 0xf) > kMaxForm || (forms >> 4) > kMaxForm) return Bad("unknown form of edit");
    span.is_segment.form = static_cast<SpanEdit::Form>(forms & 0xf);
    span.segment_id.form = static_cast<SpanEdit::Form>(forms >> 4);
  }
  RETURN_IF_ERROR(ReadEdits(table, &ChunkSpan::is_segment, sizes, spans));
  RETURN_IF_ERROR(ReadEdits(table, &ChunkSpan::segment_id, sizes, spans));
  std::vector<uint64_t> places(count);
  for (uint64_t& place : places) place = table.Varint(body.size());
  for (size_t i = 0; i < count; ++i) {
    if (places[i] == 0) spans[i].id.value = table.Fixed64();
  }
  if (table.failed()) return Bad("span table is cut short or out of range");
  if (total != table.left()) return Bad("sizes do not add up to the body");
  for (size_t i = 0; i < count; ++i) {
    ChunkSpan& span = spans[i];
    span.bytes = table.Bytes(sizes[i]);
    if (!Fits(span, sizes[i])) return Bad("edits overlap");
    if (places[i] == 0) continue;
    if (places[i] - 1 + kIdDigits > sizes[i]) return Bad("id outside its span");
    const auto id = NumberOf(span.bytes.substr(places[i] - 1, kIdDigits));
    if (!id) return Bad("id is not in hexadecimal");
    span.id.value = *id;
  }
  return absl::OkStatus();
}

}  // namespace

struct ChunkEncoder::State {
  Codec codec;
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context{nullptr, &ZSTD_freeCCtx};
  std::unique_ptr<char[]> body;  // before compression
  size_t body_capacity = 0;
  std::unique_ptr<char[]> compressed;
  size_t compressed_capacity = 0;

  // Not a vector: growing one would fill it with zeros first.
  static void Reserve(size_t bytes, std::unique_ptr<char[]>& buffer, size_t& capacity) {
    if (bytes <= capacity) return;
    capacity = std::max(bytes, 2 * capacity);
    buffer = std::make_unique_for_overwrite<char[]>(capacity);
  }
};

ChunkEncoder::ChunkEncoder(Codec codec, int compression_level) : state_(std::make_unique<State>()) {
  CHECK(codec != Codec::kZstdDictionary, "only reserved in the format");
  state_->codec = codec;
  if (codec != Codec::kZstd) return;
  state_->context.reset(ZSTD_createCCtx());
  CHECK(state_->context != nullptr, "out of memory");
  const size_t result =
      ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_compressionLevel, compression_level);
  CHECK(!ZSTD_isError(result), "zstd clamps levels");
}

ChunkEncoder::~ChunkEncoder() = default;

namespace {

// One more than the position of the id's digits in the span's text, 0 if they are not there. Spans
// of one shape have them at one place: that of the last span is tried first.
size_t PlaceOfId(const ChunkSpan& span, size_t last) {
  const std::string text = HexText(span.id.value);
  if (last > 0 && span.bytes.size() >= last - 1 + kIdDigits &&
      span.bytes.substr(last - 1, kIdDigits) == text) {
    return last;
  }
  const auto* found = static_cast<const char*>(
      memmem(span.bytes.data(), span.bytes.size(), text.data(), text.size()));
  return found == nullptr ? 0 : static_cast<size_t>(found - span.bytes.data()) + 1;
}

char* PutEdits(char* at, SpanEdit ChunkSpan::*which, std::span<const ChunkSpan> spans) {
  for (const ChunkSpan& span : spans) {
    const SpanEdit& edit = span.*which;
    if (edit.form == SpanEdit::Form::kNone) continue;
    at = PutVarint(at, span.bytes.size() - End(edit));
    at = PutVarint(at, edit.removed);
  }
  return at;
}

char* PutIds(char* at, std::span<const ChunkSpan> spans) {
  char raw[kIdBytes];
  std::string missing;
  size_t place = 0;
  for (const ChunkSpan& span : spans) {
    place = PlaceOfId(span, place);
    at = PutVarint(at, place);
    if (place == 0) missing.append(raw, PutFixed64(raw, span.id.value));
  }
  return std::copy(missing.begin(), missing.end(), at);
}

// Writes span table and bytes to `at`, which has room; returns the end. The table stands by column,
// what is alike beside each other, because it compresses better so.
char* PutBody(char* at, std::span<const ChunkSpan> spans) {
  for (const ChunkSpan& span : spans) at = PutVarint(at, span.bytes.size());
  Offset previous = 0;
  for (const ChunkSpan& span : spans) {
    at = PutVarint(at, ZigZag(static_cast<int64_t>(static_cast<uint64_t>(span.offset) -
                                                   static_cast<uint64_t>(previous))));
    previous = span.offset;
  }
  for (const ChunkSpan& span : spans) {
    *at++ = static_cast<char>(static_cast<uint8_t>(span.is_segment.form) |
                              (static_cast<uint8_t>(span.segment_id.form) << 4));
  }
  at = PutEdits(at, &ChunkSpan::is_segment, spans);
  at = PutEdits(at, &ChunkSpan::segment_id, spans);
  at = PutIds(at, spans);
  for (const ChunkSpan& span : spans) {
    if (!span.bytes.empty()) std::memcpy(at, span.bytes.data(), span.bytes.size());
    at += span.bytes.size();
  }
  return at;
}

void AppendHeader(const ChunkHeader& header, Codec codec, size_t span_count, size_t body_bytes,
                  std::string& out) {
  char bytes[kMaxHeaderBytes];
  char* at = bytes;
  *at++ = static_cast<char>(kChunkV1);
  *at++ = static_cast<char>(codec);
  const bool is_opaque = header.segment.is_opaque();
  *at++ = static_cast<char>((header.sealed ? kSealedFlag : 0u) | (is_opaque ? kOpaqueFlag : 0u));
  if (is_opaque) {
    const std::string& text = header.segment.opaque();
    *at++ = static_cast<char>(text.size());
    at = std::copy(text.begin(), text.end(), at);
  } else {
    at = PutFixed64(at, header.segment.span_id().value);
  }
  at = PutVarint(at, header.part_number);
  at = PutVarint(at, header.part_bytes);
  at = PutVarint(at, ZigZag(header.first_event_time.ms));
  at = PutVarint(at, span_count);
  at = PutVarint(at, body_bytes);
  out.append(bytes, static_cast<size_t>(at - bytes));
}

}  // namespace

void ChunkEncoder::Encode(const ChunkHeader& header, std::span<const ChunkSpan> spans,
                          std::string& out) {
  State& state = *state_;
  size_t most = spans.size() * kMaxSpanTableBytes;
  for (const ChunkSpan& span : spans) most += span.bytes.size();
  State::Reserve(most, state.body, state.body_capacity);
  const size_t body_bytes =
      spans.empty() ? 0 : static_cast<size_t>(PutBody(state.body.get(), spans) - state.body.get());
  CHECK(body_bytes <= ChunkDecoder::kMaxBodyBytes, "batches are bounded far below");

  absl::string_view body(state.body.get(), body_bytes);
  Codec codec = Codec::kNone;
  if (state.codec == Codec::kZstd && body_bytes > 0) {
    const size_t bound = ZSTD_compressBound(body_bytes);
    State::Reserve(bound, state.compressed, state.compressed_capacity);
    const size_t size = ZSTD_compress2(state.context.get(), state.compressed.get(), bound,
                                       body.data(), body.size());
    if (!ZSTD_isError(size) && size < body_bytes) {
      codec = Codec::kZstd;
      body = absl::string_view(state.compressed.get(), size);
    }
  }
  const size_t begin = out.size();
  out.reserve(begin + kMaxHeaderBytes + body.size() + kChecksumBytes);
  AppendHeader(header, codec, spans.size(), body_bytes, out);
  out.append(body.data(), body.size());
  AppendChecksum(begin, out);
}

void EncodeReference(const PartName& absorbed, std::string& out) {
  const size_t begin = out.size();
  char bytes[1 + 2 * kMaxVarintBytes];
  char* at = bytes;
  *at++ = static_cast<char>(kReferenceV1);
  at = PutVarint(at, absorbed.incarnation);
  at = PutVarint(at, static_cast<uint64_t>(absorbed.offset));
  out.append(bytes, static_cast<size_t>(at - bytes));
  AppendChecksum(begin, out);
}

struct ChunkDecoder::State {
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context{ZSTD_createDCtx(), &ZSTD_freeDCtx};
};

ChunkDecoder::ChunkDecoder() : state_(std::make_unique<State>()) {
  CHECK(state_->context != nullptr, "out of memory");
}

ChunkDecoder::~ChunkDecoder() = default;

namespace {

// `entry` without its checksum, if that is right.
absl::StatusOr<absl::string_view> CheckedContent(absl::string_view entry) {
  if (entry.size() <= kChecksumBytes) return Bad("too short");
  const absl::string_view content = entry.substr(0, entry.size() - kChecksumBytes);
  const uint64_t hash = XXH3_64bits(content.data(), content.size());
  for (size_t i = 0; i < kChecksumBytes; ++i) {
    if (entry[content.size() + i] != static_cast<char>(hash >> (8 * i))) return Bad("checksum");
  }
  return content;
}

absl::StatusOr<Chunk> ReadReference(Reader reader) {
  Chunk chunk;
  chunk.is_reference = true;
  reader.Byte();
  chunk.absorbed.incarnation = reader.Varint32();
  chunk.absorbed.offset = static_cast<Offset>(reader.Varint(std::numeric_limits<Offset>::max()));
  if (reader.failed() || reader.left() > 0) return Bad("reference");
  return chunk;
}

absl::Status Decompress(ZSTD_DCtx* context, absl::string_view stored, char* body, size_t size) {
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != size) return Bad("body size");
  const size_t result = ZSTD_decompressDCtx(context, body, size, stored.data(), stored.size());
  if (ZSTD_isError(result)) return Bad(ZSTD_getErrorName(result));
  return result == size ? absl::OkStatus() : Bad("body size");
}

}  // namespace

absl::StatusOr<Chunk> ChunkDecoder::Decode(absl::string_view entry) {
  ASSIGN_OR_RETURN(const absl::string_view content, CheckedContent(entry));
  Reader reader(content);
  if (static_cast<uint8_t>(content.front()) == kReferenceV1) return ReadReference(reader);
  ASSIGN_OR_RETURN(Preamble preamble, ReadPreamble(reader));
  const absl::string_view stored(reader.position(), reader.left());
  const auto size = static_cast<size_t>(preamble.body_bytes);

  Chunk chunk;
  chunk.header = std::move(preamble.header);
  if (preamble.codec == Codec::kZstdDictionary) return Bad("dictionaries are not supported");
  if (preamble.codec == Codec::kNone && stored.size() != size) return Bad("body size");
  chunk.body = std::make_unique_for_overwrite<char[]>(size);
  if (preamble.codec == Codec::kZstd) {
    RETURN_IF_ERROR(Decompress(state_->context.get(), stored, chunk.body.get(), size));
  } else if (size > 0) {
    std::memcpy(chunk.body.get(), stored.data(), size);
  }
  RETURN_IF_ERROR(
      ReadBody(absl::string_view(chunk.body.get(), size), chunk.header.span_count, chunk.spans));
  return chunk;
}

absl::StatusOr<ChunkHeader> DecodeHeader(absl::string_view entry) {
  Reader reader(entry);
  ASSIGN_OR_RETURN(Preamble preamble, ReadPreamble(reader));
  return std::move(preamble.header);
}

}  // namespace spillway::buffer
