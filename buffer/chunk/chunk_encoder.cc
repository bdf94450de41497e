// The writer of chunks. The layout is described in FORMAT.md.
#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/hex.h"
#include "buffer/chunk/chunk.h"
#include "buffer/chunk/layout.h"

namespace spillway::buffer {
using namespace layout;
namespace {

constexpr size_t kMaxSpanTableBytes = 7 * kMaxVarintBytes + 1 + kIdBytes;

uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}

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

void PutFixed32(char* at, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) *at++ = static_cast<char>(value >> shift);
}

void AppendChecksum(size_t begin, std::string& out) {
  const uint64_t hash = XXH3_64bits(out.data() + begin, out.size() - begin);
  char bytes[kChecksumBytes];
  for (size_t i = 0; i < kChecksumBytes; ++i) bytes[i] = static_cast<char>(hash >> (8 * i));
  out.append(bytes, kChecksumBytes);
}

}  // namespace

struct ChunkEncoder::State {
  Codec codec;
  int level = 0;
  std::shared_ptr<const Dictionary> dictionary;
  std::unique_ptr<ZSTD_CDict, decltype(&ZSTD_freeCDict)> prepared{nullptr, &ZSTD_freeCDict};
  Totals totals;
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
  CHECK(codec != Codec::kZstdDictionary, "the dictionary is given later");
  state_->codec = codec;
  state_->level = compression_level;
  if (codec != Codec::kZstd) return;
  state_->context.reset(ZSTD_createCCtx());
  CHECK(state_->context != nullptr, "out of memory");
  const size_t result =
      ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_compressionLevel, compression_level);
  CHECK(!ZSTD_isError(result), "zstd clamps levels");
  // The body says which dictionary it is.
  ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_dictIDFlag, 0);
}

ChunkEncoder::~ChunkEncoder() = default;

void ChunkEncoder::UseDictionary(std::shared_ptr<const Dictionary> dictionary) {
  State& state = *state_;
  if (state.codec != Codec::kZstd || dictionary == state.dictionary) return;
  ZSTD_CCtx_refCDict(state.context.get(), nullptr);
  state.prepared.reset();
  state.dictionary = std::move(dictionary);
  if (state.dictionary == nullptr) return;
  const std::string& content = state.dictionary->content();
  state.prepared.reset(ZSTD_createCDict(content.data(), content.size(), state.level));
  if (state.prepared == nullptr) {  // damaged: better none
    state.dictionary = nullptr;
    return;
  }
  ZSTD_CCtx_refCDict(state.context.get(), state.prepared.get());
}

const std::shared_ptr<const Dictionary>& ChunkEncoder::dictionary() const {
  return state_->dictionary;
}

const ChunkEncoder::Totals& ChunkEncoder::totals() const { return state_->totals; }

namespace {

// One more than the position of the id's digits in the span's text, 0 if they are not there. Spans
// of one shape have them at one place: that of the last span is tried first.
size_t PlaceOfId(const ChunkSpan& span, size_t last) {
  char digits[kIdDigits];
  PutHex(span.id.value, kIdDigits, digits);
  const absl::string_view text(digits, kIdDigits);
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
    at = PutVarint(at, span.bytes.size() - edit.position - edit.removed);
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
    const size_t prefix = state.dictionary == nullptr ? 0 : kDictionaryIdBytes;
    const size_t bound = ZSTD_compressBound(body_bytes);
    State::Reserve(prefix + bound, state.compressed, state.compressed_capacity);
    const size_t size = ZSTD_compress2(state.context.get(), state.compressed.get() + prefix, bound,
                                       body.data(), body.size());
    if (!ZSTD_isError(size) && prefix + size < body_bytes) {
      codec = Codec::kZstd;
      if (prefix > 0) {
        codec = Codec::kZstdDictionary;
        PutFixed32(state.compressed.get(), state.dictionary->id());
      }
      body = absl::string_view(state.compressed.get(), prefix + size);
    }
  }
  state.totals.body_bytes += body_bytes;
  state.totals.stored_bytes += body.size();
  state.totals.chunks += body_bytes > 0 ? 1 : 0;
  state.totals.dictionary_chunks += codec == Codec::kZstdDictionary ? 1 : 0;
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

}  // namespace spillway::buffer
