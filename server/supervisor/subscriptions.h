// Who wants to hear of every new snapshot.
#ifndef SPILLWAY_SERVER_SUPERVISOR_SUBSCRIPTIONS_H_
#define SPILLWAY_SERVER_SUPERVISOR_SUBSCRIPTIONS_H_

#include <memory>
#include <mutex>
#include <vector>

#include "server/supervisor/fleet_control.h"

namespace spillway::supervisor {

// A listener that can be ended from any thread, even from within its own call (therefore
// recursive).
struct Listening {
  std::recursive_mutex mutex;
  bool has_ended = false;  // guarded by mutex
  SnapshotListener listener;

  explicit Listening(SnapshotListener l) : listener(std::move(l)) {}
  void Tell(const SnapshotPtr& snapshot) {
    const std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!has_ended) listener(snapshot);
  }
  bool HasEnded() {
    const std::lock_guard<std::recursive_mutex> lock(mutex);
    return has_ended;
  }
};

class SubscriptionHandle final : public Subscription {
 public:
  explicit SubscriptionHandle(std::shared_ptr<Listening> listening)
      : listening_(std::move(listening)) {}
  ~SubscriptionHandle() override {
    const std::lock_guard<std::recursive_mutex> lock(listening_->mutex);
    listening_->has_ended = true;
  }

 private:
  std::shared_ptr<Listening> listening_;  // shared with the loop, which may be calling it
};

// Loop thread only.
class Subscriptions {
 public:
  void Add(std::shared_ptr<Listening> listening) { all_.push_back(std::move(listening)); }
  void Tell(const SnapshotPtr& snapshot) {
    std::erase_if(all_, [](const auto& listening) { return listening->HasEnded(); });
    const auto now = all_;  // a listener may subscribe or end others
    for (const auto& listening : now) listening->Tell(snapshot);
  }

 private:
  std::vector<std::shared_ptr<Listening>> all_;
};

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_SUBSCRIPTIONS_H_
