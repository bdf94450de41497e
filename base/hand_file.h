// What a flush worker has in hand, where it can be read after the worker's death, however sudden:
// <run_dir>/<pool>-<slot>.hand. A claim that is in hand when its process ends is suspected of
// having ended it (design section 4, invariant 5); what merely waits for Redis or Kafka is not.
#ifndef SPILLWAY_BASE_HAND_FILE_H_
#define SPILLWAY_BASE_HAND_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/ids.h"

namespace spillway {

// "<run_dir>/<pool>-<slot>.hand"
std::string HandFilePath(const std::string& run_dir, const std::string& pool, int32_t slot);

// The file, mapped into memory: to note something costs a few stores and no call, and the kernel
// keeps them whatever becomes of the process (a power cut may lose them). Not thread-safe.
class HandFile {
 public:
  // A new file with nothing in hand; one of a former process is replaced, never written to.
  static absl::StatusOr<std::unique_ptr<HandFile>> Create(const std::string& path,
                                                          Generation generation);
  ~HandFile();
  HandFile(const HandFile&) = delete;
  HandFile& operator=(const HandFile&) = delete;

  void Note(const std::optional<ClaimInHand>& in_hand);  // empty: nothing

 private:
  struct Record;
  explicit HandFile(Record* record) : record_(record) {}
  friend std::optional<ClaimInHand> ReadHandFile(const std::string&, Generation);

  Record* const record_;
};

// What the process of this generation had in hand when it ended. Empty: nothing, or there is no
// file of this generation that can be read. REQUIRES: it has ended, and its successor has not
// begun.
std::optional<ClaimInHand> ReadHandFile(const std::string& path, Generation generation);

}  // namespace spillway

#endif  // SPILLWAY_BASE_HAND_FILE_H_
