#include "server/fleet/registration.h"

#include <algorithm>
#include <optional>

namespace spillway::fleet {
namespace {

using Judgement = std::variant<Seat, NotSeated>;

const Worker* FindWorker(const Fleet& fleet, const WorkerKey& key) {
  const auto found = fleet.workers.find(key);
  return found == fleet.workers.end() ? nullptr : &found->second;
}

const Worker* FindUid(const Fleet& fleet, const std::string& uid) {
  for (const auto& [key, worker] : fleet.workers) {
    if (worker.is_registered && worker.uid == uid) return &worker;
  }
  return nullptr;
}

// The highest generation that the slot has had.
Generation Newest(const Fleet& fleet, const Pool& pool, int32_t slot) {
  Generation newest;
  const auto floor = pool.generations.find(slot);
  if (floor != pool.generations.end()) newest = floor->second;
  const Worker* worker = FindWorker(fleet, {pool.name, slot});
  return worker == nullptr ? newest : std::max(newest, worker->generation);
}

// A lost worker that no shard waits for any more.
bool IsReplaceable(const Fleet& fleet, const Worker& worker) {
  if (!worker.is_registered || worker.state != WorkerState::kLost) return false;
  return std::none_of(fleet.shards.begin(), fleet.shards.end(), [&](const auto& entry) {
    const Shard& shard = entry.second;
    return shard.owner == worker.key || (shard.handover && shard.handover->from == worker.key);
  });
}

Seat NextIn(const Fleet& fleet, const Pool& pool, int32_t slot) {
  return {{pool.name, slot}, {Newest(fleet, pool, slot).value + 1}, false};
}

Judgement FindFree(const Fleet& fleet, const Pool& pool) {
  for (int32_t slot = 0; slot < pool.max; ++slot) {
    if (FindWorker(fleet, {pool.name, slot}) == nullptr) return NextIn(fleet, pool, slot);
  }
  for (int32_t slot = 0; slot < pool.max; ++slot) {
    const Worker& worker = fleet.workers.at({pool.name, slot});
    if (IsReplaceable(fleet, worker)) return NextIn(fleet, pool, slot);
  }
  return NotSeated{NoSeat::kFull, nullptr};
}

// Of a uid that is there.
Judgement JudgeKnown(const Fleet& fleet, const Pool& pool, const Worker& worker,
                     const wire::Hello& hello) {
  if (worker.is_attached || worker.key.pool != pool.name) {
    return NotSeated{NoSeat::kDuplicate, &worker};
  }
  const bool is_same = hello.generation == worker.generation && hello.slot == worker.key.slot &&
                       hello.pid == worker.pid;
  if (is_same) return Seat{worker.key, worker.generation, true};
  // Another process under the name of one that may still be at work.
  if (IsReplaceable(fleet, worker)) return NextIn(fleet, pool, worker.key.slot);
  return NotSeated{NoSeat::kDuplicate, &worker};
}

}  // namespace

Judgement JudgeRegistration(const Fleet& fleet, const wire::Hello& hello) {
  const Pool* pool = FindPool(fleet, hello.pool);
  if (pool == nullptr || !pool->is_configured || pool->role != hello.role) return NotSeated{};
  if (!IsExternal(*pool)) return NotSeated{NoSeat::kLaunched, nullptr};
  if (const Worker* worker = FindUid(fleet, hello.uid)) {
    return JudgeKnown(fleet, *pool, *worker, hello);
  }
  if (hello.generation.value == 0) return FindFree(fleet, *pool);
  const Worker* holder = FindWorker(fleet, {pool->name, hello.slot});
  if (hello.generation < Newest(fleet, *pool, hello.slot)) {
    return NotSeated{NoSeat::kStale, holder};
  }
  const bool is_free = holder == nullptr && hello.slot < pool->max;
  if (is_free) return Seat{{pool->name, hello.slot}, hello.generation, true};
  return FindFree(fleet, *pool);
}

}  // namespace spillway::fleet
