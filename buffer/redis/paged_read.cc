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
  wanted_.push_back({std::move(command), std::move(handler), false});
}

void PagedRead::WantUnchanging(Command command, Handler handler) {
  wanted_.push_back({std::move(command), std::move(handler), true});
}

void PagedRead::Pump() {
  while (outstanding_ < kMaxOutstanding && !wanted_.empty()) {
    Wanted wanted = std::move(wanted_.front());
    wanted_.pop_front();
    ++outstanding_;
    Command command = std::move(wanted.command);
    route_.Send(
        std::move(command),
        [self = shared_from_this(), attempt = attempt_, want = std::move(wanted)](
            const CommandResult& result) mutable { self->OnResult(attempt, result, want); });
  }
  if (outstanding_ > 0) return;
  if (!next_) return Finish(StoreCode::kOk, "");
  const int attempt = attempt_;
  std::exchange(next_, nullptr)();
  if (attempt == attempt_) Pump();  // else it has begun again
}

bool PagedRead::IsOfTheInstant(const Reply& reply) {
  const absl::string_view changes = reply[0].text();
  if (changes_.empty()) changes_ = std::string(changes);
  return changes_ == changes;
}

void PagedRead::OnResult(int attempt, const CommandResult& result, Wanted& wanted) {
  if (is_finished_ || attempt != attempt_) return;
  --outstanding_;
  if (!result.ok()) return Finish(result.code, result.message);
  if (!wanted.is_unchanging && !IsOfTheInstant(result.reply)) {
    if (MayBeginAgain(attempt_)) return Run();
    return Finish(StoreCode::kUnavailable, "the shard changes faster than it can be read");
  }
  wanted.handler(result.reply);
  Pump();
}

void PagedRead::Finish(StoreCode code, std::string message) {
  is_finished_ = true;
  End(code, std::move(message));
}

}  // namespace spillway::buffer
