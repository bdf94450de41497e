// The journal and the deaths as messages, and pages of them. No gRPC.
#ifndef SPILLWAY_SERVER_RPC_HISTORY_MESSAGES_H_
#define SPILLWAY_SERVER_RPC_HISTORY_MESSAGES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/record/record.h"
#include "server/supervisor/snapshot.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

inline constexpr int32_t kDefaultPageSize = 100;
inline constexpr int32_t kMaxPageSize = 1'000;

// INVALID_ARGUMENT / OUT_OF_RANGE: a negative size; INVALID_PAGE_TOKEN.
absl::StatusOr<record::PageQuery> ParsePage(int32_t page_size, const std::string& page_token);

// The page that answers `query`. (The last one names a next page if it is full; that one is empty.)
v1::ListEventsResponse ToMessage(const std::vector<record::Event>& events,
                                 const record::PageQuery& query);
v1::ListDeathsResponse ToMessage(const std::vector<record::Death>& deaths,
                                 const record::PageQuery& query);

// There is no record to ask: UNIMPLEMENTED.
absl::Status NoHistory();

// The pool as an earlier server has answered it: the wish as it was then, the rest as it is now.
supervisor::PoolView AsAnswered(const record::AnsweredRequest& request,
                                const supervisor::FleetSnapshot& snapshot);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_HISTORY_MESSAGES_H_
