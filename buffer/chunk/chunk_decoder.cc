// The reader of chunks. The layout is described in FORMAT.md.
#include <xxhash.h>
#include <zstd.h>

#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "buffer/chunk/chunk.h"
#include "buffer/chunk/layout.h"

namespace spillway::buffer {
using namespace layout;
namespace {

constexpr size_t kMinSpanTableBytes = 4;  // size, offset, forms, place of the id
constexpr uint8_t kMaxForm = static_cast<uint8_t>(SpanEdit::Form::kObjectMember);

int64_t UnZigZag(uint64_t value) { return static_cast<int64_t>((value >> 1) ^ (0 - (value & 1))); }

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
  uint64_t Fixed64() { return Fixed(8); }
  uint32_t Fixed32() { return static_cast<uint32_t>(Fixed(4)); }
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
  uint64_t Fixed(size_t bytes) {
    if (left() < bytes) return Fail();
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value |= uint64_t{Byte()} << (8 * i);
    return value;
  }
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

struct ChunkDecoder::State {
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context{ZSTD_createDCtx(), &ZSTD_freeDCtx};
  std::shared_ptr<DictionaryShelf> shelf;
};

ChunkDecoder::ChunkDecoder(std::shared_ptr<DictionaryShelf> shelf)
    : state_(std::make_unique<State>()) {
  state_->shelf = std::move(shelf);
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

// `dictionary` may be null.
absl::Status Decompress(ZSTD_DCtx* context, const ZSTD_DDict* dictionary, absl::string_view stored,
                        char* body, size_t size) {
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != size) return Bad("body size");
  const size_t result =
      ZSTD_decompress_usingDDict(context, body, size, stored.data(), stored.size(), dictionary);
  if (ZSTD_isError(result)) return Bad(ZSTD_getErrorName(result));
  return result == size ? absl::OkStatus() : Bad("body size");
}

}  // namespace

absl::StatusOr<Chunk> ChunkDecoder::Decode(absl::string_view entry) {
  ASSIGN_OR_RETURN(const absl::string_view content, CheckedContent(entry));
  Reader reader(content);
  if (static_cast<uint8_t>(content.front()) == kReferenceV1) return ReadReference(reader);
  ASSIGN_OR_RETURN(Preamble preamble, ReadPreamble(reader));
  const ZSTD_DDict* dictionary = nullptr;
  if (preamble.codec == Codec::kZstdDictionary) {
    const uint32_t id = reader.Fixed32();
    if (reader.failed()) return Bad("body is cut short");
    if (state_->shelf != nullptr) dictionary = state_->shelf->Find(id);
    if (dictionary == nullptr) {
      return Bad(absl::StrCat("dictionary ", DictionaryIdText(id), " is not known"));
    }
  }
  const absl::string_view stored(reader.position(), reader.left());
  const auto size = static_cast<size_t>(preamble.body_bytes);

  Chunk chunk;
  chunk.header = std::move(preamble.header);
  if (preamble.codec == Codec::kNone && stored.size() != size) return Bad("body size");
  chunk.body = std::make_unique_for_overwrite<char[]>(size);
  if (preamble.codec != Codec::kNone) {
    RETURN_IF_ERROR(Decompress(state_->context.get(), dictionary, stored, chunk.body.get(), size));
  } else if (size > 0) {
    std::memcpy(chunk.body.get(), stored.data(), size);
  }
  RETURN_IF_ERROR(
      ReadBody(absl::string_view(chunk.body.get(), size), chunk.header.span_count, chunk.spans));
  return chunk;
}

uint32_t DictionaryIdOf(absl::string_view entry) {
  constexpr auto kWithDictionary = static_cast<char>(Codec::kZstdDictionary);
  if (entry.size() < 2 || entry[1] != kWithDictionary) return 0;
  Reader reader(entry);
  if (!ReadPreamble(reader).ok()) return 0;
  const uint32_t id = reader.Fixed32();
  return reader.failed() ? 0 : id;
}

absl::StatusOr<ChunkHeader> DecodeHeader(absl::string_view entry) {
  Reader reader(entry);
  ASSIGN_OR_RETURN(Preamble preamble, ReadPreamble(reader));
  return std::move(preamble.header);
}

}  // namespace spillway::buffer
