// The dictionary that a worker's chunks are compressed with: found in a shard, or trained from
// recent spans in the background.
#ifndef SPILLWAY_WORKER_INGEST_DICTIONARY_KEEPER_H_
#define SPILLWAY_WORKER_INGEST_DICTIONARY_KEEPER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "buffer/chunk/chunk.h"
#include "proto/wire/worker_report.h"
#include "worker/ingest/dictionary_policy.h"
#include "worker/ingest/work_batch.h"

namespace spillway::ingest {

// Spans one behind the other, with the length of each.
struct DictionarySamples {
  std::string bytes;
  std::vector<size_t> sizes;
};

// With zstd's trainer; tens of milliseconds. Null: it finds nothing in them. From any thread.
std::shared_ptr<const buffer::Dictionary> TrainDictionary(const DictionarySamples& samples,
                                                          size_t most_bytes);

// Shared by the sessions of a worker. Never makes anybody wait: until there is a dictionary, and
// while the next one is trained, chunks are written as before. Loop thread only; what it has given
// to `offload` may outlive it.
class DictionaryKeeper {
 public:
  using Task = absl::AnyInvocable<void()>;
  struct Parts {
    const Clock& clock;  // outlives this
    // Runs the first on another thread, then the second on the loop's.
    std::function<void(Task, Task)> offload;
    std::function<std::shared_ptr<const buffer::Dictionary>(const DictionarySamples&, size_t)>
        train = TrainDictionary;
  };

  DictionaryKeeper(const DictionaryLimits& limits, Parts parts);

  // Null: none yet, or none at all.
  const std::shared_ptr<const buffer::Dictionary>& current() const { return current_; }
  // One that a shard has would be used.
  bool wants_one() const { return limits_.bytes > 0 && current_ == nullptr; }
  void Adopt(std::shared_ptr<const buffer::Dictionary> dictionary);  // if it still wants one

  // Spans that are about to be encoded.
  void Learn(const WorkBatch& batch);
  void OnDropped() { ++counts_.dropped; }  // a shard has forgotten one
  // What is in use, and what has been since the start.
  wire::Compression Report() const;
  // So many have been, by an encoder that uses `current`: its totals tell how well.
  void OnEncoded(uint64_t spans, const buffer::ChunkEncoder::Totals& totals);

 private:
  void Use(std::shared_ptr<const buffer::Dictionary> dictionary);
  void Keep(absl::string_view span);
  void MaybeTrain();
  DictionarySamples Samples() const;  // the last ones

  const DictionaryLimits limits_;
  const Parts parts_;
  DictionaryPolicy policy_;
  std::shared_ptr<const buffer::Dictionary> current_;
  std::vector<std::string> samples_;  // a ring
  size_t oldest_ = 0;                 // of samples_, once they are as many as may be
  uint64_t sampled_bytes_ = 0;
  size_t until_sample_ = 0;  // spans
  buffer::ChunkEncoder::Totals totals_;
  struct {
    uint64_t trained = 0, adopted = 0, dropped = 0;
  } counts_;
  bool is_training_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_DICTIONARY_KEEPER_H_
