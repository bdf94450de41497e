// Dictionaries that chunks are compressed with: what they are called, and those a process has at
// hand for decoding (FORMAT.md; design section 4, "Codec").
#ifndef SPILLWAY_BUFFER_CHUNK_DICTIONARY_H_
#define SPILLWAY_BUFFER_CHUNK_DICTIONARY_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

struct ZSTD_DDict_s;

namespace spillway::buffer {

// Named by its content: the low 32 bits of its XXH3-64. So a chunk cannot be decoded with another
// one than it was encoded with. 0 names none. Immutable.
class Dictionary {
 public:
  static constexpr size_t kMaxBytes = 1u << 20;

  // `content` as ZDICT makes it, or any bytes. Null: it is empty, too large, or its id would be 0.
  // Shared, because calls under way keep what they name alive.
  static std::shared_ptr<const Dictionary> Make(std::string content);

  uint32_t id() const { return id_; }
  const std::string& content() const { return content_; }

 private:
  Dictionary(uint32_t id, std::string content) : id_(id), content_(std::move(content)) {}

  const uint32_t id_;
  const std::string content_;
};

// 8 hex digits, as in Redis.
std::string DictionaryIdText(uint32_t id);
uint32_t DictionaryIdFromText(absl::string_view text);  // 0: unreadable

// The dictionary that a list entry names; 0: none, or the entry cannot be read.
uint32_t DictionaryIdOf(absl::string_view entry);

// The dictionaries that a process has fetched, ready for decoding. Holds at most kMaxCount: the one
// longest not used makes room, and is fetched again when it is met. Not thread-safe.
class DictionaryShelf {
 public:
  static constexpr size_t kMaxCount = 256;

  DictionaryShelf();
  ~DictionaryShelf();
  DictionaryShelf(const DictionaryShelf&) = delete;
  DictionaryShelf& operator=(const DictionaryShelf&) = delete;

  // Errors: DATA_LOSS if the content is not what `id` names, or no dictionary.
  absl::Status Put(uint32_t id, std::string content);
  // Null: not here. Counts as use. Valid until the next Put.
  const ZSTD_DDict_s* Find(uint32_t id);
  size_t size() const { return used_.size(); }

 private:
  struct Entry;
  std::list<Entry> used_;  // the last used first
  absl::flat_hash_map<uint32_t, std::list<Entry>::iterator> by_id_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_CHUNK_DICTIONARY_H_
