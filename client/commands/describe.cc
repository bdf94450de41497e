// One resource and all that is worth knowing of it.
#include <algorithm>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/output/description.h"

namespace spillway::client {
namespace {

constexpr int32_t kShownDeaths = 3, kShownEvents = 10;
constexpr int32_t kPage = 1'000;  // entries that are looked through

std::string ProblemOf(const CallError& error) {
  return error.reason.empty() ? error.message : absl::StrCat(error.message, ", ", error.reason);
}

// The newest `most` of `entries`, which has the newest first, that are wanted; the newest last.
template <typename Entry, typename Entries, typename Wanted>
std::vector<Entry> Newest(const Entries& entries, int32_t most, const Wanted& is_wanted) {
  std::vector<Entry> newest;
  for (const Entry& entry : entries) {
    if (static_cast<int32_t>(newest.size()) < most && is_wanted(entry)) newest.push_back(entry);
  }
  std::reverse(newest.begin(), newest.end());
  return newest;
}

// Of the resource and of what is below it.
Told<std::vector<v1::Event>> EventsOf(Session& session, const std::string& resource) {
  const auto answer = session.client.ListEvents(kPage, "");
  if (!answer.ok()) return {{}, ProblemOf(answer.error)};
  return {Newest<v1::Event>(answer.value.events(), kShownEvents,
                            [&](const v1::Event& event) {
                              return event.target() == resource ||
                                     absl::StartsWith(event.target(), resource + "/");
                            }),
          ""};
}

History HistoryOf(Session& session, const std::string& pool, const std::string& resource) {
  History history;
  const auto answer = session.client.ListDeaths(pool, kPage, "");
  if (answer.ok()) {
    history.deaths.value = Newest<v1::Death>(
        answer.value.deaths(), kShownDeaths,
        [&](const v1::Death& death) { return resource == pool || death.worker() == resource; });
  } else {
    history.deaths.problem = ProblemOf(answer.error);
  }
  history.events = EventsOf(session, resource);
  return history;
}

}  // namespace

ExitCode DescribePool(Session& session, const std::string& name) {
  const std::string resource = PoolResource(name);
  const auto pool = session.client.GetPool(resource);
  if (!pool.ok()) return Fail(session, pool.error);
  Told<std::vector<v1::Worker>> workers;
  const auto listed = session.client.ListWorkers(resource);
  if (!listed.ok()) workers.problem = ProblemOf(listed.error);
  workers.value = {listed.value.workers().begin(), listed.value.workers().end()};
  const auto advised = session.client.GetScaleAdvice(resource);
  const Told<v1::ScaleAdvice> advice{advised.value, advised.ok() ? "" : ProblemOf(advised.error)};
  Printer(session.format, session.out)
      .TextOr(pool.value,
              PoolDescription(pool.value, workers, advice, HistoryOf(session, resource, resource)));
  return kExitDone;
}

ExitCode DescribeWorker(Session& session, const std::string& name) {
  const std::string resource = WorkerResource(name);
  if (resource.empty()) {
    return Fail(session, {kExitUsage, absl::StrCat(name, ": expected POOL/SLOT, as flush/0"), ""});
  }
  const auto worker = session.client.GetWorker(resource);
  if (!worker.ok()) return Fail(session, worker.error);
  const std::string pool = resource.substr(0, resource.find("/workers/"));
  Printer(session.format, session.out)
      .TextOr(worker.value, WorkerDescription(worker.value, HistoryOf(session, pool, resource)));
  return kExitDone;
}

ExitCode DescribeShard(Session& session, const std::string& name) {
  const std::string resource = ShardResource(name);
  const auto shard = session.client.GetShard(resource);
  if (!shard.ok()) return Fail(session, shard.error);
  const auto explained = session.client.ExplainShard(resource);
  const Told<v1::ShardExplanation> explanation{explained.value,
                                               explained.ok() ? "" : ProblemOf(explained.error)};
  Printer(session.format, session.out)
      .TextOr(shard.value, ShardDescription(shard.value, explanation, EventsOf(session, resource)));
  return kExitDone;
}

}  // namespace spillway::client
