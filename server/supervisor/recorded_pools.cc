#include "server/supervisor/recorded_pools.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"

namespace spillway::supervisor {
namespace {

using record::PoolRecord;
using record::PoolWish;
using record::Sizes;

record::WishedState StateOf(fleet::PoolState state) {
  switch (state) {
    case fleet::PoolState::kRunning:
      return record::WishedState::kRunning;
    case fleet::PoolState::kPaused:
    case fleet::PoolState::kDraining:  // the next server knows no drain: nothing new is taken
      return record::WishedState::kPaused;
    case fleet::PoolState::kStopped:
      return record::WishedState::kStopped;
  }
  return record::WishedState::kStopped;
}

// The sizes that hold: of each value the newer word.
Sizes Mixed(const Sizes& configured, const PoolRecord& known) {
  const auto newer = [](int32_t file, int32_t based_on, int32_t wished) {
    return file == based_on ? wished : file;
  };
  const Sizes& wish = known.wish.sizes;
  Sizes sizes;
  sizes.min = newer(configured.min, known.configured.min, wish.min);
  sizes.max = newer(configured.max, known.configured.max, wish.max);
  if (sizes.min > sizes.max) {
    sizes.min = configured.min;
    sizes.max = configured.max;
  }
  const int32_t desired = newer(configured.desired, known.configured.desired, wish.desired);
  sizes.desired = std::clamp(desired, sizes.min, sizes.max);
  return sizes;
}

record::Event Change(const std::string& pool, WallTime now) {
  record::Event event;
  event.time = now;
  event.actor = "spillwayd";
  event.action = "ApplyConfiguration";
  event.target = fleet::PoolName(pool);
  event.outcome = "OK";
  return event;
}

record::Event Overruled(const PoolWish& before, const PoolWish& after, WallTime now) {
  record::Event event = Change(after.pool, now);
  event.before = WishText(before);
  event.after = WishText(after);
  event.detail = "the configuration has changed since";
  return event;
}

record::Event Forgotten(const PoolWish& wish, WallTime now) {
  record::Event event = Change(wish.pool, now);
  event.before = WishText(wish);
  event.detail = "the configuration has no such pool any more";
  return event;
}

}  // namespace

fleet::PoolState StateOf(record::WishedState state) {
  switch (state) {
    case record::WishedState::kRunning:
      return fleet::PoolState::kRunning;
    case record::WishedState::kPaused:
      return fleet::PoolState::kPaused;
    case record::WishedState::kStopped:
      return fleet::PoolState::kStopped;
  }
  return fleet::PoolState::kStopped;
}

Sizes ConfiguredSizes(const config::Pool& pool) { return {pool.replicas, pool.min, pool.max}; }

PoolWish WishOf(const fleet::Pool& pool) {
  return {pool.name, {pool.desired, pool.min, pool.max}, StateOf(pool.state)};
}

PoolRecord RecordOf(const fleet::Pool& pool) {
  PoolRecord record{WishOf(pool), {}, pool.revision};
  if (!pool.is_created) return record;
  record.created = record::CreatedPool{
      pool.role == wire::Role::kFlush ? record::PoolRole::kFlush : record::PoolRole::kIngest,
      pool.scale_owner == config::ScaleOwner::kExternal};
  return record;
}

fleet::Pool PoolOf(const PoolRecord& record) {
  const record::CreatedPool created = record.created.value_or(record::CreatedPool{});
  const Sizes& sizes = record.wish.sizes;
  return {
      .name = record.wish.pool,
      .role = created.role == record::PoolRole::kFlush ? wire::Role::kFlush : wire::Role::kIngest,
      .desired = sizes.desired,
      .min = sizes.min,
      .max = sizes.max,
      .scale_owner = created.is_scaled_elsewhere ? config::ScaleOwner::kExternal
                                                 : config::ScaleOwner::kSpillway,
      .state = StateOf(record.wish.state),
      .is_created = true,
      .is_state_said = true,
      .revision = record.revision};
}

static std::string WishText(const Sizes& sizes, fleet::PoolState state) {
  return absl::StrCat("desired ", sizes.desired, ", min ", sizes.min, ", max ", sizes.max, ", ",
                      fleet::StateName(state));
}

std::string WishText(const PoolWish& wish) { return WishText(wish.sizes, StateOf(wish.state)); }

std::string WishText(const fleet::Pool& pool) {
  return WishText({pool.desired, pool.min, pool.max}, pool.state);
}

RestoredPools RestorePools(const std::vector<config::Pool>& configured,
                           const std::vector<PoolRecord>& recorded, WallTime now) {
  std::map<std::string, PoolRecord> known;
  for (const PoolRecord& record : recorded) known[record.wish.pool] = record;
  RestoredPools restored;
  for (const config::Pool& pool : configured) {
    PoolWish wish{pool.name, ConfiguredSizes(pool)};
    uint64_t revision = 1;
    const auto found = known.find(pool.name);
    if (found != known.end()) {
      wish.state = found->second.wish.state;
      revision = found->second.revision;
      if (pool.scale_owner == config::ScaleOwner::kSpillway) {
        if (!found->second.created) wish.sizes = Mixed(wish.sizes, found->second);
      } else {
        found->second.wish.sizes = wish.sizes;  // how many were there is nobody's wish
        // Workers that somebody else starts cannot be stopped.
        const bool is_stopped = wish.state == record::WishedState::kStopped;
        if (is_stopped) wish.state = record::WishedState::kRunning;
      }
      if (wish != found->second.wish) {
        ++revision;
        restored.change.events.push_back(Overruled(found->second.wish, wish, now));
      }
      known.erase(found);
    }
    restored.change.pools.push_back({wish, ConfiguredSizes(pool), revision});
    restored.revisions[pool.name] = revision;
    restored.wishes.push_back(std::move(wish));
  }
  for (const auto& [name, record] : known) {
    if (record.created) {
      restored.created.push_back(record);
      continue;
    }
    restored.change.forgotten_pools.push_back(name);
    restored.change.events.push_back(Forgotten(record.wish, now));
  }
  return restored;
}

}  // namespace spillway::supervisor
