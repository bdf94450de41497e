#include "server/rpc/list_pages.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/resource_messages.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::rpc {
namespace {

absl::Status InvalidToken() {
  return supervisor::Refusal(absl::StatusCode::kInvalidArgument, "INVALID_PAGE_TOKEN",
                             "page_token: is not one that a page ended with");
}

// The page of `all`, which are in their order, that begins after the token's: `add` takes each,
// `name_of` gives its token. `find_next` says where to go on if what the token names is gone.
template <typename Items, typename NameOf, typename FindNext, typename Add>
absl::StatusOr<std::string> FillPage(const Items& all, const ListPage& page, const NameOf& name_of,
                                     const FindNext& find_next, const Add& add) {
  if (page.size < 0) {
    return supervisor::Refusal(
        absl::StatusCode::kInvalidArgument, "OUT_OF_RANGE",
        absl::StrCat("page_size: ", page.size, ": expected a number from 0 on"));
  }
  auto it = all.begin();
  if (!page.token.empty()) {
    it = std::find_if(all.begin(), all.end(),
                      [&](const auto& item) { return name_of(item) == page.token; });
    if (it != all.end()) {
      ++it;
    } else {
      ASSIGN_OR_RETURN(it, find_next());
    }
  }
  const int32_t size = page.size == 0 ? kMaxListed : std::min(page.size, kMaxListed);
  for (int32_t count = 0; count < size && it != all.end(); ++count, ++it) add(*it);
  return it == all.end() || it == all.begin() ? "" : name_of(*std::prev(it));
}

}  // namespace

absl::StatusOr<v1::ListPoolsResponse> PoolsPage(const supervisor::FleetSnapshot& snapshot,
                                                const ListPage& page, Instant now) {
  using Place = std::vector<supervisor::PoolView>::const_iterator;
  v1::ListPoolsResponse response;
  ASSIGN_OR_RETURN(
      *response.mutable_next_page_token(),
      FillPage(
          snapshot.pools, page, [](const auto& pool) { return fleet::PoolName(pool.name); },
          []() -> absl::StatusOr<Place> { return InvalidToken(); },
          [&](const auto& pool) { *response.add_pools() = ToMessage(pool, now); }));
  return response;
}

absl::StatusOr<v1::ListWorkersResponse> WorkersPage(const supervisor::FleetSnapshot& snapshot,
                                                    absl::string_view pool, const ListPage& page,
                                                    Instant now) {
  std::vector<const supervisor::WorkerView*> workers;
  for (const supervisor::WorkerView& worker : snapshot.workers) {
    if (pool.empty() || worker.key.pool == pool) workers.push_back(&worker);
  }
  const auto next = [&]() -> absl::StatusOr<decltype(workers)::const_iterator> {
    const absl::StatusOr<fleet::WorkerKey> last = ParseWorkerName("page_token", page.token);
    if (!last.ok()) return InvalidToken();
    return std::find_if(workers.cbegin(), workers.cend(),
                        [&](const auto* worker) { return *last < worker->key; });
  };
  v1::ListWorkersResponse response;
  ASSIGN_OR_RETURN(
      *response.mutable_next_page_token(),
      FillPage(
          std::as_const(workers), page,
          [](const auto* worker) { return fleet::WorkerName(worker->key); }, next,
          [&](const auto* worker) { *response.add_workers() = ToMessage(*worker, now); }));
  return response;
}

absl::StatusOr<v1::ListShardsResponse> ShardsPage(const supervisor::FleetSnapshot& snapshot,
                                                  const ListPage& page, Instant now) {
  const auto next = [&]() -> absl::StatusOr<std::vector<supervisor::ShardView>::const_iterator> {
    const absl::StatusOr<ShardId> last = ParseShardName("page_token", page.token);
    if (!last.ok()) return InvalidToken();
    return std::find_if(snapshot.shards.begin(), snapshot.shards.end(),
                        [&](const auto& shard) { return *last < shard.id; });
  };
  v1::ListShardsResponse response;
  ASSIGN_OR_RETURN(
      *response.mutable_next_page_token(),
      FillPage(
          snapshot.shards, page, [](const auto& shard) { return ShardName(shard.id); }, next,
          [&](const auto& shard) { *response.add_shards() = ToMessage(shard, now); }));
  return response;
}

}  // namespace spillway::rpc
