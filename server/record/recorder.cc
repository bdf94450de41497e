#include "server/record/recorder.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace spillway::record {
namespace {

// Puts `first` before what `all` has.
template <typename T>
void Prepend(std::vector<T> first, std::vector<T>& all) {
  std::move(all.begin(), all.end(), std::back_inserter(first));
  all = std::move(first);
}

template <typename T>
size_t KeepNewest(std::vector<T>& notes) {
  if (notes.size() <= Recorder::kMaxNotes) return 0;
  const size_t excess = notes.size() - Recorder::kMaxNotes;
  notes.erase(notes.begin(), notes.begin() + static_cast<std::ptrdiff_t>(excess));
  return excess;
}

}  // namespace

Recorder::Recorder(std::unique_ptr<RecordStore> store, const Clock& clock)
    : store_(std::move(store)), clock_(clock), thread_([this] { Run(); }) {}

Recorder::~Recorder() {
  {
    MutexLock lock(&mutex_);
    is_ending_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void Recorder::Commit(Change change, Done done) {
  MutexLock lock(&mutex_);
  awaited_.push_back({std::move(change), std::move(done)});
  wake_.NotifyAll();
}

void Recorder::Note(Event event) {
  MutexLock lock(&mutex_);
  events_.push_back(std::move(event));
  DropOldNotes();
  wake_.NotifyAll();
}

void Recorder::Note(Death death) {
  MutexLock lock(&mutex_);
  deaths_.push_back(std::move(death));
  DropOldNotes();
  wake_.NotifyAll();
}

void Recorder::Note(Operation operation) {
  MutexLock lock(&mutex_);
  operations_.push_back(std::move(operation));
  DropOldNotes();
  wake_.NotifyAll();
}

RecorderHealth Recorder::health() const {
  MutexLock lock(&mutex_);
  return health_;
}

bool Recorder::Ask(Question question) {
  MutexLock lock(&mutex_);
  if (questions_.size() >= kMaxQuestions) return false;
  questions_.push_back(std::move(question));
  wake_.NotifyAll();
  return true;
}

void Recorder::ListEvents(PageQuery query, EventsDone done) {
  auto shared = std::make_shared<EventsDone>(std::move(done));
  const bool is_taken = Ask([shared, query = std::move(query)](RecordStore& store) {
    (*shared)(store.ListEvents(query));
  });
  if (!is_taken) (*shared)(absl::ResourceExhaustedError("too many questions wait for the record"));
}

void Recorder::ListDeaths(PageQuery query, DeathsDone done) {
  auto shared = std::make_shared<DeathsDone>(std::move(done));
  const bool is_taken = Ask([shared, query = std::move(query)](RecordStore& store) {
    (*shared)(store.ListDeaths(query));
  });
  if (!is_taken) (*shared)(absl::ResourceExhaustedError("too many questions wait for the record"));
}

bool Recorder::HasNotes() const {
  return !events_.empty() || !deaths_.empty() || !operations_.empty();
}

bool Recorder::HasWork() const {
  if (!awaited_.empty() || !questions_.empty()) return true;
  return health_.last_write.ok() && HasNotes();
}

void Recorder::Run() {
  MutexLock lock(&mutex_);
  while (true) {
    const bool is_failing = !health_.last_write.ok();
    if (HasWork()) {
      if (!awaited_.empty() || (HasNotes() && !is_failing)) Write();
      if (!questions_.empty()) Answer();
    } else if (is_ending_) {
      if (HasNotes()) Write();  // once more
      return;
    } else if (!is_failing) {
      wake_.Wait(&mutex_);
    } else if (clock_.Now() >= retry_at_) {
      Write();
    } else {
      wake_.WaitUntil(&mutex_, retry_at_);
    }
  }
}

void Recorder::Write() {
  Awaited awaited;
  if (!awaited_.empty()) {
    awaited = std::move(awaited_.front());
    awaited_.pop_front();
  }
  std::vector<Event> events = std::exchange(events_, {});
  std::vector<Death> deaths = std::exchange(deaths_, {});
  std::vector<Operation> operations = std::exchange(operations_, {});
  Change change = std::move(awaited.change);
  const std::vector<Event> own = std::move(change.events);
  change.events = events;
  change.events.insert(change.events.end(), own.begin(), own.end());
  change.deaths.insert(change.deaths.end(), deaths.begin(), deaths.end());
  change.operations.insert(change.operations.begin(), operations.begin(), operations.end());
  health_.writing_since = clock_.Now();
  mutex_.Unlock();
  const absl::Status status = store_->Commit(change);
  mutex_.Lock();
  health_.writing_since.reset();
  health_.last_write = status;
  health_.seen_at = clock_.Now();
  if (!status.ok()) {
    retry_at_ = health_.seen_at + kRetryInterval;
    Prepend(std::move(events), events_);
    Prepend(std::move(deaths), deaths_);
    Prepend(std::move(operations), operations_);
    DropOldNotes();
  }
  mutex_.Unlock();
  if (awaited.done) awaited.done(status);
  mutex_.Lock();
}

void Recorder::Answer() {
  Question question = std::move(questions_.front());
  questions_.pop_front();
  mutex_.Unlock();
  question(*store_);
  mutex_.Lock();
}

void Recorder::DropOldNotes() {
  health_.dropped += KeepNewest(events_) + KeepNewest(deaths_) + KeepNewest(operations_);
}

}  // namespace spillway::record
