#include "server/rpc/history_messages.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/wire/convert.h"
#include "server/supervisor/fleet_control.h"
#include "server/supervisor/recorded_pools.h"

namespace spillway::rpc {
namespace {

v1::Event ToMessage(const record::Event& event) {
  v1::Event message;
  message.set_sequence(event.sequence);
  *message.mutable_time() = wire::ToProto(event.time);
  message.set_actor(event.actor);
  message.set_action(event.action);
  message.set_target(event.target);
  message.set_before(event.before);
  message.set_after(event.after);
  message.set_outcome(event.outcome);
  message.set_detail(event.detail);
  return message;
}

v1::Death ToMessage(const record::Death& death) {
  v1::Death message;
  message.set_sequence(death.sequence);
  *message.mutable_time() = wire::ToProto(death.time);
  message.set_worker(fleet::WorkerName({death.pool, death.slot}));
  message.set_pid(death.pid);
  message.set_generation(death.generation.value);
  if (death.kind == record::EndKind::kExited) message.set_exit_code(death.value);
  if (death.kind == record::EndKind::kSignaled) message.set_signal(death.value);
  message.set_is_expected(death.is_expected);
  message.set_reason(death.reason);
  for (const std::string& line : death.last_lines) message.add_last_lines(line);
  return message;
}

// A page that is not full is the last.
template <typename T>
std::string NextToken(const std::vector<T>& page, const record::PageQuery& query) {
  const bool is_full = !page.empty() && page.size() >= static_cast<size_t>(query.limit);
  return is_full ? absl::StrCat(page.back().sequence) : "";
}

}  // namespace

absl::StatusOr<record::PageQuery> ParsePage(int32_t page_size, const std::string& page_token) {
  record::PageQuery query;
  if (page_size < 0) {
    return supervisor::Refusal(
        absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
        absl::StrCat("page_size: ", page_size, ": expected a number from 0 on"));
  }
  query.limit = page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
  if (!page_token.empty() && !absl::SimpleAtoi(page_token, &query.before)) {
    return supervisor::Refusal(absl::StatusCode::kInvalidArgument, "INVALID_PAGE_TOKEN",
                               "page_token: is not one that a page ended with");
  }
  return query;
}

v1::ListEventsResponse ToMessage(const std::vector<record::Event>& events,
                                 const record::PageQuery& query) {
  v1::ListEventsResponse response;
  for (const record::Event& event : events) *response.add_events() = ToMessage(event);
  response.set_next_page_token(NextToken(events, query));
  return response;
}

v1::ListDeathsResponse ToMessage(const std::vector<record::Death>& deaths,
                                 const record::PageQuery& query) {
  v1::ListDeathsResponse response;
  for (const record::Death& death : deaths) *response.add_deaths() = ToMessage(death);
  response.set_next_page_token(NextToken(deaths, query));
  return response;
}

absl::Status NoHistory() { return absl::UnimplementedError("this server keeps no record"); }

supervisor::PoolView AsAnswered(const record::AnsweredRequest& request,
                                const supervisor::FleetSnapshot& snapshot) {
  const record::PoolWish& wish = request.answer;
  const supervisor::PoolView* present = supervisor::FindPool(snapshot, wish.pool);
  supervisor::PoolView view;
  if (present != nullptr) view = *present;
  view.name = wish.pool;
  view.desired = wish.sizes.desired;
  view.min = wish.sizes.min;
  view.max = wish.sizes.max;
  view.state = supervisor::StateOf(wish.state);
  view.etag = request.etag;
  view.operation = supervisor::FindOperation(snapshot, request.operation);
  return view;
}

}  // namespace spillway::rpc
