// The unit that Redis stores: an immutable, self-describing piece of a part (design section 4,
// invariant 6). Pure: no Redis here. The byte layout is described in FORMAT.md.
#ifndef SPILLWAY_BUFFER_CHUNK_CHUNK_H_
#define SPILLWAY_BUFFER_CHUNK_CHUNK_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/ids.h"
#include "buffer/chunk/dictionary.h"
#include "buffer/chunk/names.h"

namespace spillway::buffer {

// Where and how one of the two output edits of a span is made (design section 5, rule 8). Found at
// ingest, applied at flush by concatenation: bytes [position, position + removed) give way to text
// that `form` frames.
struct SpanEdit {
  enum class Form : uint8_t {
    kNone = 0,          // nothing to do (attribute already there)
    kValue = 1,         // the bare value replaces what is there
    kMember = 2,        // `,"key":value` is inserted behind another member
    kFirstMember = 3,   // `"key":value` is inserted into an empty object
    kObject = 4,        // attributes is null: `{"key":value}` replaces it
    kObjectMember = 5,  // attributes is missing: `,"attributes":{"key":value}` is inserted
  };
  Form form = Form::kNone;
  uint32_t position = 0;
  uint32_t removed = 0;
  bool operator==(const SpanEdit&) const = default;
};

// One span as a chunk holds it. `bytes` are as they came and are borrowed: by a writer from the
// caller, by a reader from the Chunk.
struct ChunkSpan {
  SpanId id{};
  Offset offset = kNoOffset;
  SpanEdit is_segment{};  // never kNone for format sentry-json
  SpanEdit segment_id{};
  absl::string_view bytes{};
};

// What the last chunk of a part's own list says about the whole part.
struct ChunkHeader {
  SegmentId segment{};
  uint32_t part_number = 0;
  bool sealed = false;           // by size or references
  uint64_t part_bytes = 0;       // span bytes of the part so far, references included
  EventTime first_event_time{};  // of the part so far, references included
  uint32_t span_count = 0;       // of this chunk
  bool operator==(const ChunkHeader&) const = default;
};

enum class Codec : uint8_t {
  kNone = 0,
  kZstd = 1,
  kZstdDictionary = 2,  // its id begins the body
};

// Encodes chunks with one reusable compression context. Not thread-safe.
class ChunkEncoder {
 public:
  // REQUIRES: codec is kNone or kZstd; a dictionary is set by UseDictionary.
  ChunkEncoder(Codec codec, int compression_level);
  ~ChunkEncoder();
  ChunkEncoder(const ChunkEncoder&) = delete;
  ChunkEncoder& operator=(const ChunkEncoder&) = delete;

  // Appends the encoded chunk to `out`. header.span_count is taken from spans.size(). Empty `spans`
  // make the chunk that only seals or renumbers. A body that does not shrink is stored
  // uncompressed.
  void Encode(const ChunkHeader& header, std::span<const ChunkSpan> spans, std::string& out);

  // Bodies are compressed with `dictionary` from now on; null: without. Cheap if it is the same as
  // before. Does nothing to an encoder that does not compress.
  void UseDictionary(std::shared_ptr<const Dictionary> dictionary);
  const std::shared_ptr<const Dictionary>& dictionary() const;

  // Of all bodies so far: their size before compression, and as they are stored; chunks that have
  // one, and those of them that name a dictionary.
  struct Totals {
    uint64_t body_bytes = 0;
    uint64_t stored_bytes = 0;
    uint64_t chunks = 0;
    uint64_t dictionary_chunks = 0;
  };
  const Totals& totals() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Appends a list entry that says: this part includes the spans of list `absorbed` too.
void EncodeReference(const PartName& absorbed, std::string& out);

// One decoded list entry. Movable; `spans` point into `body`.
struct Chunk {
  bool is_reference = false;
  PartName absorbed;   // if is_reference
  ChunkHeader header;  // else
  std::vector<ChunkSpan> spans;
  std::unique_ptr<char[]> body;  // owns the bytes of the spans
};

// Decodes list entries of any codec with one reusable context. Not thread-safe.
// Errors: DATA_LOSS naming what is wrong; never crashes nor reads outside `entry` (fuzzed).
class ChunkDecoder {
 public:
  static constexpr uint64_t kMaxBodyBytes = 64u << 20;  // a larger claimed size is DATA_LOSS

  // Chunks that name a dictionary which is not on `shelf` are DATA_LOSS. Shared with those who
  // fetch dictionaries; null: there are none.
  explicit ChunkDecoder(std::shared_ptr<DictionaryShelf> shelf = nullptr);
  ~ChunkDecoder();
  ChunkDecoder(const ChunkDecoder&) = delete;
  ChunkDecoder& operator=(const ChunkDecoder&) = delete;

  absl::StatusOr<Chunk> Decode(absl::string_view entry);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Longest prefix of a chunk that can hold its header: scripts return no more than this of it.
inline constexpr size_t kMaxHeaderBytes = 128;

// Reads only the header; `entry` may be cut after kMaxHeaderBytes. A reference is DATA_LOSS.
absl::StatusOr<ChunkHeader> DecodeHeader(absl::string_view entry);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_CHUNK_CHUNK_H_
