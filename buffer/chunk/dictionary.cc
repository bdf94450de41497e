#include "buffer/chunk/dictionary.h"

#include <xxhash.h>
#include <zstd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace spillway::buffer {

std::shared_ptr<const Dictionary> Dictionary::Make(std::string content) {
  if (content.empty() || content.size() > kMaxBytes) return nullptr;
  const auto id = static_cast<uint32_t>(XXH3_64bits(content.data(), content.size()));
  if (id == 0) return nullptr;
  return std::shared_ptr<const Dictionary>(new Dictionary(id, std::move(content)));
}

std::string DictionaryIdText(uint32_t id) { return absl::StrCat(absl::Hex(id, absl::kZeroPad8)); }

uint32_t DictionaryIdFromText(absl::string_view text) {
  uint32_t id = 0;
  return text.size() == 8 && absl::SimpleHexAtoi(text, &id) ? id : 0;
}

struct DictionaryShelf::Entry {
  std::shared_ptr<const Dictionary> dictionary;
  // Refers to the content.
  std::unique_ptr<ZSTD_DDict, decltype(&ZSTD_freeDDict)> prepared{nullptr, &ZSTD_freeDDict};
};

DictionaryShelf::DictionaryShelf() = default;
DictionaryShelf::~DictionaryShelf() = default;

absl::Status DictionaryShelf::Put(uint32_t id, std::string content) {
  Entry entry;
  entry.dictionary = Dictionary::Make(std::move(content));
  if (entry.dictionary == nullptr || entry.dictionary->id() != id) {
    return absl::DataLossError(
        absl::StrCat("dictionary ", DictionaryIdText(id), ": its content is another"));
  }
  if (Find(id) != nullptr) return absl::OkStatus();
  const std::string& bytes = entry.dictionary->content();
  entry.prepared.reset(ZSTD_createDDict(bytes.data(), bytes.size()));
  if (entry.prepared == nullptr) {
    return absl::DataLossError(absl::StrCat("dictionary ", DictionaryIdText(id), " is damaged"));
  }
  if (used_.size() == kMaxCount) {
    by_id_.erase(used_.back().dictionary->id());
    used_.pop_back();
  }
  used_.push_front(std::move(entry));
  by_id_[id] = used_.begin();
  return absl::OkStatus();
}

const ZSTD_DDict_s* DictionaryShelf::Find(uint32_t id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return nullptr;
  used_.splice(used_.begin(), used_, found->second);
  return found->second->prepared.get();
}

}  // namespace spillway::buffer
