#include "buffer/redis/paged_read.h"

namespace spillway::buffer {

void PagedRead::Run() {
  ++attempt_;
  outstanding_ = 0;
  changes_.clear();
  wanted_.clear();
  next_ = nullptr;
  Begin();
  Pump();
}

void PagedRead::Want(Command command, Handler handler) {
  wanted_.emplace_back(std::move(command), std::move(handler));
}

void PagedRead::Pump() {
  while (outstanding_ < kMaxOutstanding && !wanted_.empty()) {
    auto [command, handler] = std::move(wanted_.front());
    wanted_.pop_front();
    ++outstanding_;
    connection_.Send(
        std::move(command),
        [self = shared_from_this(), attempt = attempt_, want = std::move(handler)](
            const CommandResult& result) mutable { self->OnResult(attempt, result, want); });
  }
  if (outstanding_ > 0) return;
  if (!next_) return Finish(StoreCode::kOk, "");
  std::exchange(next_, nullptr)();
  Pump();
}

void PagedRead::OnResult(int attempt, const CommandResult& result, Handler& handler) {
  if (is_finished_ || attempt != attempt_) return;
  --outstanding_;
  if (!result.ok()) return Finish(result.code, result.message);
  const absl::string_view changes = result.reply[0].text();
  if (changes_.empty()) changes_ = std::string(changes);
  if (changes_ != changes) {
    if (attempt_ < kMaxAttempts) return Run();
    return Finish(StoreCode::kUnavailable, "the shard changes faster than it can be read");
  }
  handler(result.reply);
  Pump();
}

void PagedRead::Finish(StoreCode code, std::string message) {
  is_finished_ = true;
  End(code, std::move(message));
}

}  // namespace spillway::buffer
