// Answers to requests that carried a request_id, so that a repeated one changes nothing.
#ifndef SPILLWAY_SERVER_RPC_REQUEST_LOG_H_
#define SPILLWAY_SERVER_RPC_REQUEST_LOG_H_

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "server/record/record.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::rpc {

// Keeps the newest kCapacity ids. Only answers that are OK are kept: a refused request may be tried
// again under its id. Thread-safe; calls nobody under its lock.
class RequestLog {
 public:
  static constexpr size_t kCapacity = 1'000;
  using Perform = absl::AnyInvocable<void(supervisor::PoolDone) &&>;
  // The answer that was given to a request of an earlier server: the wish as it was then, the rest
  // as it is now.
  using Complete = absl::AnyInvocable<supervisor::PoolView(const record::AnsweredRequest&) const>;

  RequestLog() = default;
  // Knows `earlier`, oldest first, from the start.
  RequestLog(const std::vector<record::AnsweredRequest>& earlier, Complete complete);

  // Performs the request, or answers `done` as the request with this id was answered (waiting for
  // it if it is under way). `fingerprint` is all of the request: INVALID_ARGUMENT /
  // REQUEST_ID_REUSED if the id stood for another one. An empty id is always performed.
  // This must outlive every answer.
  void Run(const std::string& id, const std::string& fingerprint, Perform perform,
           supervisor::PoolDone done);

 private:
  struct Entry {
    std::string fingerprint;
    bool is_answered = false;
    supervisor::PoolView answer;
    std::optional<record::AnsweredRequest> earlier;  // instead of `answer`
    std::vector<supervisor::PoolDone> waiting;
  };
  void Answer(const std::string& id, const absl::StatusOr<supervisor::PoolView>& answer);

  const Complete complete_{};
  Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> answered_ ABSL_GUARDED_BY(mutex_);  // oldest first
};

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_REQUEST_LOG_H_
