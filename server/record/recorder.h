// The thread that owns the store, so that nobody else waits for the disk.
#ifndef SPILLWAY_SERVER_RECORD_RECORDER_H_
#define SPILLWAY_SERVER_RECORD_RECORDER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/record/record_store.h"

namespace spillway::record {

// The past, for everyone who asks. Thread-safe. `done` is called once, on another thread: do not
// block in it. Errors: those of the store; RESOURCE_EXHAUSTED: too many questions wait.
class History {
 public:
  using EventsDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<Event>>)>;
  using DeathsDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<Death>>)>;

  virtual ~History() = default;
  virtual void ListEvents(PageQuery query, EventsDone done) = 0;
  virtual void ListDeaths(PageQuery query, DeathsDone done) = 0;
};

// Whether changes can be recorded.
struct RecorderHealth {
  absl::Status last_write;               // of the newest attempt
  std::optional<Instant> writing_since;  // one is under way
  uint64_t dropped = 0;                  // notes that found no room
  Instant seen_at;
};

// Thread-safe; takes work in order. What is noted without anyone waiting goes with the next write.
// While writes fail they are tried again every kRetryInterval, so that the health tells when they
// work again. Destroying it does what is queued, tries once to write what is noted, and waits for
// that.
class Recorder final : public History {
 public:
  static constexpr std::chrono::seconds kRetryInterval{1};
  static constexpr size_t kMaxNotes = 1'000;  // not written yet; then the oldest go, counted
  static constexpr size_t kMaxQuestions = 100;
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // `clock` must outlive it.
  Recorder(std::unique_ptr<RecordStore> store, const Clock& clock);
  ~Recorder() override;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // As RecordStore::Commit. `done` is called on the recorder's thread.
  void Commit(Change change, Done done);
  // Nobody waits for these.
  void Note(Event event);
  void Note(Death death);
  void Note(Operation operation);
  RecorderHealth health() const;

  void ListEvents(PageQuery query, EventsDone done) override;
  void ListDeaths(PageQuery query, DeathsDone done) override;

 private:
  struct Awaited {
    Change change;
    Done done;
  };
  using Question = absl::AnyInvocable<void(RecordStore&)>;

  void Run();
  bool HasNotes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes the notes and the first change that is waited for, in one go.
  void Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Answer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropOldNotes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Ask(Question question);

  const std::unique_ptr<RecordStore> store_;  // the thread's
  const Clock& clock_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<Awaited> awaited_ ABSL_GUARDED_BY(mutex_);
  std::deque<Question> questions_ ABSL_GUARDED_BY(mutex_);
  std::vector<Event> events_ ABSL_GUARDED_BY(mutex_);
  std::vector<Death> deaths_ ABSL_GUARDED_BY(mutex_);
  std::vector<Operation> operations_ ABSL_GUARDED_BY(mutex_);
  RecorderHealth health_ ABSL_GUARDED_BY(mutex_);
  Instant retry_at_ ABSL_GUARDED_BY(mutex_);
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: the others are there before it runs
};

}  // namespace spillway::record

#endif  // SPILLWAY_SERVER_RECORD_RECORDER_H_
