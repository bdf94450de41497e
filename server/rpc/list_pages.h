// Pages of what a snapshot has. No gRPC.
#ifndef SPILLWAY_SERVER_RPC_LIST_PAGES_H_
#define SPILLWAY_SERVER_RPC_LIST_PAGES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "server/supervisor/snapshot.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

inline constexpr int32_t kMaxListed = 1'000;  // in a page; also if no size is asked for

// As a request asks for it.
struct ListPage {
  int32_t size = 0;         // 0: kMaxListed
  absl::string_view token;  // empty: the first page
};

// A token is the name of the last that its page had, so that pages neither repeat nor leave out
// what was there all the time, whatever comes and goes between them. Errors: INVALID_ARGUMENT /
// OUT_OF_RANGE (size), INVALID_PAGE_TOKEN.
absl::StatusOr<v1::ListPoolsResponse> PoolsPage(const supervisor::FleetSnapshot& snapshot,
                                                const ListPage& page, Instant now);
// `pool` empty: of all.
absl::StatusOr<v1::ListWorkersResponse> WorkersPage(const supervisor::FleetSnapshot& snapshot,
                                                    absl::string_view pool, const ListPage& page,
                                                    Instant now);
absl::StatusOr<v1::ListShardsResponse> ShardsPage(const supervisor::FleetSnapshot& snapshot,
                                                  const ListPage& page, Instant now);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_LIST_PAGES_H_
