// Any bytes as a list entry: decoded or DATA_LOSS; what was decoded survives another round.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/check.h"
#include "buffer/chunk/chunk.h"

namespace spillway::buffer {
namespace {

void CheckSame(const Chunk& a, const Chunk& b) {
  CHECK(a.header == b.header, "headers come back");
  CHECK(a.spans.size() == b.spans.size(), "spans come back");
  for (size_t i = 0; i < a.spans.size(); ++i) {
    CHECK(a.spans[i].id == b.spans[i].id && a.spans[i].offset == b.spans[i].offset &&
              a.spans[i].is_segment == b.spans[i].is_segment &&
              a.spans[i].segment_id == b.spans[i].segment_id &&
              a.spans[i].bytes == b.spans[i].bytes,
          "spans come back as they were");
  }
}

// Noise hardly ever names it; what is encoded again does.
constexpr char kDictionary[] =
    R"({"span_id":"aaaaaaaaaaaaaaaa","attributes":{},"status":"ok ok ok"})";

void CheckEntry(absl::string_view entry) {
  static const auto dictionary = Dictionary::Make(kDictionary);
  static ChunkDecoder decoder([] {
    auto shelf = std::make_shared<DictionaryShelf>();
    CHECK(shelf->Put(dictionary->id(), kDictionary).ok(), "its id names it");
    return shelf;
  }());
  static ChunkEncoder encoder(Codec::kNone, 1);
  const auto chunk = decoder.Decode(entry);
  const auto header = DecodeHeader(entry.substr(0, kMaxHeaderBytes));
  if (!chunk.ok() || chunk->is_reference) return;
  CHECK(header.ok() && *header == chunk->header, "the header alone reads the same");
  std::string encoded;
  encoder.Encode(chunk->header, chunk->spans, encoded);
  const auto again = decoder.Decode(encoded);
  CHECK(again.ok(), "what was encoded can be decoded");
  CheckSame(*chunk, *again);

  static ChunkEncoder compressing(Codec::kZstd, 1);
  compressing.UseDictionary(dictionary);
  encoded.clear();
  compressing.Encode(chunk->header, chunk->spans, encoded);
  const auto decompressed = decoder.Decode(encoded);
  CHECK(decompressed.ok(), "what was encoded with a dictionary can be decoded");
  CheckSame(*chunk, *decompressed);
}

}  // namespace
}  // namespace spillway::buffer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spillway::buffer::CheckEntry({reinterpret_cast<const char*>(data), size});
  return 0;
}
