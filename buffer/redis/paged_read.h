// Reads a shard in several calls as if at one instant: every reply begins with the shard's change
// counter, and if one differs, everything is read again (design section 4, invariant 3).
#ifndef SPILLWAY_BUFFER_REDIS_PAGED_READ_H_
#define SPILLWAY_BUFFER_REDIS_PAGED_READ_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "buffer/redis/redis_client.h"

namespace spillway::buffer {

// Owned by the calls it has sent: lives until End, or until the client goes. Loop thread.
class PagedRead : public std::enable_shared_from_this<PagedRead> {
 public:
  explicit PagedRead(RedisRoute route) : route_(route) {}
  virtual ~PagedRead() = default;
  void Run();  // begins, or begins again

 protected:
  using Handler = absl::AnyInvocable<void(const Reply&)>;

  virtual void Begin() = 0;  // forgets an earlier attempt, says what is wanted first
  virtual void End(StoreCode code, std::string message) = 0;  // once, last

  void Want(Command command, Handler handler);
  // The same for what does not change: its reply may be of another instant.
  void WantUnchanging(Command command, Handler handler);
  // Runs when all that is wanted so far has come. One at a time.
  void Then(absl::AnyInvocable<void()> next) { next_ = std::move(next); }
  // Asked after `attempts` that came to nothing; if it says no, the reading ends as kUnavailable.
  virtual bool MayBeginAgain(int attempts) { return attempts < kMaxAttempts; }
  int attempts() const { return attempt_; }

 private:
  // So many calls at a time: other clients get their turn in between.
  static constexpr size_t kMaxOutstanding = 4;
  // A shard that changes more often than this while it is read is kUnavailable.
  static constexpr int kMaxAttempts = 500;

  struct Wanted {
    Command command;
    Handler handler;
    bool is_unchanging;
  };

  void Pump();
  void OnResult(int attempt, const CommandResult& result, Wanted& wanted);
  bool IsOfTheInstant(const Reply& reply);
  void Finish(StoreCode code, std::string message);

  const RedisRoute route_;
  int attempt_ = 0;
  bool is_finished_ = false;
  size_t outstanding_ = 0;
  std::string changes_;
  std::deque<Wanted> wanted_;
  absl::AnyInvocable<void()> next_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_PAGED_READ_H_
