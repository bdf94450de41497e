// The record of a server that the test keeps in memory; fails when told to. Passes the same
// contract suite as the real one.
#ifndef SPILLWAY_TESTS_SUPPORT_MEMORY_RECORD_STORE_H_
#define SPILLWAY_TESTS_SUPPORT_MEMORY_RECORD_STORE_H_

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "server/record/record_store.h"

namespace spillway::testing {

// What a "disk" holds: outlives the stores on it, as a file does. Thread-safe.
class RecordDisk {
 public:
  // The status of the commits from now on.
  void Fail(absl::Status status) {
    MutexLock lock(&mutex_);
    error_ = std::move(status);
  }
  // Commits wait, as on a disk that hangs, until it goes on.
  void Hang(bool hangs) {
    MutexLock lock(&mutex_);
    hangs_ = hangs;
    changed_.NotifyAll();
  }
  int commits() const {
    MutexLock lock(&mutex_);
    return commits_;
  }
  record::State state() const {
    MutexLock lock(&mutex_);
    record::State state;
    for (const auto& [name, pool] : pools_) state.pools.push_back(pool);
    state.requests = requests_;
    for (const auto& [number, operation] : operations_) state.operations.push_back(operation);
    for (const auto& [name, rule] : drop_rules_) state.drop_rules.push_back(rule);
    state.configs = configs_;
    return state;
  }
  std::vector<record::Event> events() const {  // oldest first
    MutexLock lock(&mutex_);
    return events_;
  }
  std::vector<record::Death> deaths() const {
    MutexLock lock(&mutex_);
    return deaths_;
  }

  absl::Status Commit(const record::Change& given) {
    MutexLock lock(&mutex_);
    while (hangs_) changed_.Wait(&mutex_);
    if (!error_.ok()) return error_;
    ++commits_;
    record::Change change = record::Clipped(given);
    for (const std::string& name : change.forgotten_pools) pools_.erase(name);
    for (const record::PoolRecord& pool : change.pools) pools_[pool.wish.pool] = pool;
    if (change.request) {
      std::erase_if(requests_, [&](const auto& known) { return known.id == change.request->id; });
      requests_.push_back(*change.request);
      const int64_t age =
          std::chrono::duration_cast<std::chrono::microseconds>(record::kMaxRequestAge).count();
      const int64_t oldest = change.request->time.us - age;
      std::erase_if(requests_, [&](const auto& known) { return known.time.us < oldest; });
      Bound(requests_, record::kMaxRequests);
    }
    for (const std::string& name : change.ended_drop_rules) drop_rules_.erase(name);
    for (const record::DropRule& rule : change.drop_rules) drop_rules_[rule.rule.name] = rule;
    if (!change.configs.empty()) configs_ = change.configs;
    for (record::Event& event : change.events) {
      event.sequence = ++last_event_;
      events_.push_back(std::move(event));
    }
    for (const record::Operation& operation : change.operations) {
      operations_[operation.number] = operation;
    }
    for (auto it = operations_.begin(); it != operations_.end();) {
      const bool is_old = it->first <= operations_.rbegin()->first - record::kMaxOperations;
      it = it->second.state != 0 && is_old ? operations_.erase(it) : std::next(it);
    }
    for (record::Death& death : change.deaths) {
      death.sequence = ++last_death_;
      deaths_.push_back(std::move(death));
    }
    Bound(events_, record::kMaxEvents);
    Bound(deaths_, record::kMaxDeaths);
    return absl::OkStatus();
  }

 private:
  template <typename T>
  static void Bound(std::vector<T>& all, int64_t limit) {
    const int64_t excess = static_cast<int64_t>(all.size()) - limit;
    if (excess > 0) all.erase(all.begin(), all.begin() + excess);
  }

  mutable Mutex mutex_;
  CondVar changed_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  bool hangs_ ABSL_GUARDED_BY(mutex_) = false;
  int commits_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, record::PoolRecord> pools_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, record::DropRule> drop_rules_ ABSL_GUARDED_BY(mutex_);
  std::vector<record::ConfigRecord> configs_ ABSL_GUARDED_BY(mutex_);
  std::vector<record::AnsweredRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<record::Event> events_ ABSL_GUARDED_BY(mutex_);
  std::vector<record::Death> deaths_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, record::Operation> operations_ ABSL_GUARDED_BY(mutex_);
  int64_t last_event_ ABSL_GUARDED_BY(mutex_) = 0, last_death_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The disk must outlive it.
class MemoryRecordStore final : public record::RecordStore {
 public:
  explicit MemoryRecordStore(RecordDisk& disk) : disk_(disk) {}

  absl::StatusOr<record::State> Load() override { return disk_.state(); }
  absl::Status Commit(const record::Change& change) override { return disk_.Commit(change); }
  absl::StatusOr<std::vector<record::Event>> ListEvents(const record::PageQuery& query) override {
    return Page(disk_.events(), query, [](const record::Event&) { return true; });
  }
  absl::StatusOr<std::vector<record::Death>> ListDeaths(const record::PageQuery& query) override {
    return Page(disk_.deaths(), query, [&](const record::Death& death) {
      return query.pool.empty() || death.pool == query.pool;
    });
  }

 private:
  template <typename T, typename Wanted>
  static std::vector<T> Page(std::vector<T> all, const record::PageQuery& query,
                             const Wanted& wanted) {
    std::reverse(all.begin(), all.end());
    std::erase_if(all,
                  [&](const T& entry) { return entry.sequence >= query.before || !wanted(entry); });
    if (all.size() > static_cast<size_t>(query.limit)) {
      all.resize(static_cast<size_t>(query.limit));
    }
    return all;
  }

  RecordDisk& disk_;
};

}  // namespace spillway::testing

#endif  // SPILLWAY_TESTS_SUPPORT_MEMORY_RECORD_STORE_H_
