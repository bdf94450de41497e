#include "server/rpc/request_log.h"

#include <optional>
#include <utility>

namespace spillway::rpc {

using supervisor::PoolDone;
using supervisor::PoolView;

RequestLog::RequestLog(const std::vector<record::AnsweredRequest>& earlier, Complete complete)
    : complete_(std::move(complete)) {
  MutexLock lock(&mutex_);
  for (const record::AnsweredRequest& request : earlier) {
    Entry& entry = entries_[request.id];
    entry.fingerprint = request.fingerprint;
    entry.is_answered = true;
    entry.earlier = request;
    answered_.push_back(request.id);
  }
}

void RequestLog::Run(const std::string& id, const std::string& fingerprint, Perform perform,
                     PoolDone done) {
  if (id.empty()) return std::move(perform)(std::move(done));
  std::optional<absl::StatusOr<PoolView>> known;
  std::optional<record::AnsweredRequest> earlier;
  {
    MutexLock lock(&mutex_);
    const auto [entry, is_new] = entries_.try_emplace(id);
    if (is_new) {
      entry->second.fingerprint = fingerprint;
      entry->second.waiting.push_back(std::move(done));
    } else if (entry->second.fingerprint != fingerprint) {
      known = supervisor::Refusal(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED",
                                  "request_id: stood for another request before");
    } else if (entry->second.earlier) {
      earlier = entry->second.earlier;
    } else if (entry->second.is_answered) {
      known = entry->second.answer;
    } else {
      return entry->second.waiting.push_back(std::move(done));
    }
  }
  if (earlier) return done(complete_(*earlier));
  if (known) return done(*std::move(known));
  std::move(perform)([this, id](absl::StatusOr<PoolView> answer) { Answer(id, answer); });
}

void RequestLog::Answer(const std::string& id, const absl::StatusOr<PoolView>& answer) {
  std::vector<PoolDone> waiting;
  {
    MutexLock lock(&mutex_);
    Entry& entry = entries_[id];
    waiting = std::exchange(entry.waiting, {});
    if (answer.ok()) {
      entry.is_answered = true;
      entry.answer = *answer;
      answered_.push_back(id);
    } else {
      entries_.erase(id);
    }
    if (answered_.size() > kCapacity) {
      entries_.erase(answered_.front());
      answered_.pop_front();
    }
  }
  for (PoolDone& done : waiting) done(answer);
}

}  // namespace spillway::rpc
