#include "server/supervisor/activity_books.h"

#include <algorithm>
#include <numeric>

namespace spillway::supervisor {
namespace {

using wire::ActivityTimes;

Duration Sum(const ActivityTimes& times) {
  return std::accumulate(times.begin(), times.end(), Duration::zero());
}

// Whether `later` can go on from `earlier`: a shard that was given up and taken again begins anew.
bool GoesOn(const ActivityTimes& earlier, const ActivityTimes& later) {
  return std::equal(earlier.begin(), earlier.end(), later.begin(), std::less_equal<>());
}

ActivityTimes Minus(const ActivityTimes& later, const ActivityTimes& earlier) {
  ActivityTimes difference{};
  for (size_t i = 0; i < difference.size(); ++i) difference[i] = later[i] - earlier[i];
  return difference;
}

}  // namespace

void ActivityBooks::Observe(const fleet::WorkerKey& worker, Generation generation,
                            const wire::WorkerReport& report, Instant at) {
  History& history = histories_[worker];
  if (history.generation != generation) history = {generation, {}};
  std::deque<Sample>& samples = history.samples;
  // The newest one is kept only if it is far enough from the one before it.
  if (samples.size() >= 2 &&
      samples.back().at - samples[samples.size() - 2].at < kActivitySpacing) {
    samples.pop_back();
  }
  Sample& sample = samples.emplace_back(Sample{at, report.cpu_time, {}});
  for (const wire::ShardReport& shard : report.shards) sample.times[shard.shard] = shard.times;
  while (samples.size() > 2 && at - samples.front().at > kActivityWindow) samples.pop_front();
}

void ActivityBooks::Prune(Instant now) {
  std::erase_if(histories_, [now](const auto& entry) {
    return now - entry.second.samples.back().at > kActivityWindow;
  });
}

std::optional<ActivityWindow> ActivityBooks::OfShard(const fleet::WorkerKey& worker,
                                                     ShardId shard) const {
  const auto found = histories_.find(worker);
  if (found == histories_.end()) return std::nullopt;
  const std::deque<Sample>& samples = found->second.samples;
  const auto newest = samples.back().times.find(shard);
  if (newest == samples.back().times.end()) return std::nullopt;
  const ActivityTimes* first = nullptr;  // the oldest one that the newest goes on from
  const ActivityTimes* next = &newest->second;
  for (auto sample = std::next(samples.rbegin()); sample != samples.rend(); ++sample) {
    const auto earlier = sample->times.find(shard);
    if (earlier == sample->times.end() || !GoesOn(earlier->second, *next)) break;
    first = next = &earlier->second;
  }
  // Without an earlier report all of its time counts, if that is no longer than a window.
  if (first == nullptr && Sum(newest->second) > kActivityWindow) return std::nullopt;
  ActivityWindow window;
  window.times = first == nullptr ? newest->second : Minus(newest->second, *first);
  window.length = Sum(window.times);
  window.end = samples.back().at;
  if (window.length <= Duration::zero()) return std::nullopt;
  return window;
}

std::optional<WorkerUse> ActivityBooks::OfWorker(const fleet::WorkerKey& worker) const {
  const auto found = histories_.find(worker);
  if (found == histories_.end() || found->second.samples.size() < 2) return std::nullopt;
  const Sample& first = found->second.samples.front();
  const Sample& last = found->second.samples.back();
  const Duration length = last.at - first.at;
  if (length <= Duration::zero()) return std::nullopt;
  WorkerUse use;
  use.end = last.at;
  use.length = length;
  use.cpu_cores = std::chrono::duration<double>(last.cpu_time - first.cpu_time) /
                  std::chrono::duration<double>(length);
  for (const auto& [shard, times] : last.times) {
    const auto window = OfShard(worker, shard);
    if (!window) return std::nullopt;
    // Of a shard that came within the window: what it took, of all of the window.
    use.busy +=
        std::chrono::duration<double>(window->times[static_cast<size_t>(wire::Activity::kEncode)]) /
        std::chrono::duration<double>(std::max(length, window->length));
  }
  return use;
}

}  // namespace spillway::supervisor
