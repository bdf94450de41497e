#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"

namespace spillway::client {
namespace {

template <typename Message>
std::vector<Message> ListOf(const google::protobuf::RepeatedPtrField<Message>& field) {
  return {field.begin(), field.end()};
}

}  // namespace

ExitCode Fail(Session& session, const CallError& error) {
  session.err << "spillway: " << error.message;
  if (!error.reason.empty()) session.err << " (" << error.reason << ")";
  session.err << std::endl;
  return error.exit_code;
}

std::string PoolResource(const std::string& name) {
  return absl::StartsWith(name, "pools/") ? name : absl::StrCat("pools/", name);
}

std::string WorkerResource(const std::string& name) {
  if (absl::StrContains(name, "/workers/")) return name;
  const size_t slash = name.find('/');
  if (slash == std::string::npos || absl::StartsWith(name, "pools/")) return "";
  return absl::StrCat("pools/", name.substr(0, slash), "/workers/", name.substr(slash + 1));
}

std::string ShardResource(const std::string& name) {
  return absl::StartsWith(name, "shards/") ? name : absl::StrCat("shards/", name);
}

ExitCode GetPools(Session& session, const std::string& name) {
  Printer printer(session.format, session.out);
  if (name.empty()) {
    const auto answer = session.client.ListPools();
    if (!answer.ok()) return Fail(session, answer.error);
    printer.Pools(answer.value, ListOf(answer.value.pools()));
    return kExitDone;
  }
  const auto answer = session.client.GetPool(PoolResource(name));
  if (!answer.ok()) return Fail(session, answer.error);
  printer.Pools(answer.value, {answer.value});
  return kExitDone;
}

ExitCode GetWorkers(Session& session, const std::string& name) {
  Printer printer(session.format, session.out);
  if (const std::string worker = WorkerResource(name); !worker.empty()) {
    const auto answer = session.client.GetWorker(worker);
    if (!answer.ok()) return Fail(session, answer.error);
    printer.Workers(answer.value, {answer.value});
    return kExitDone;
  }
  const auto answer = session.client.ListWorkers(name.empty() ? "pools/-" : PoolResource(name));
  if (!answer.ok()) return Fail(session, answer.error);
  printer.Workers(answer.value, ListOf(answer.value.workers()));
  return kExitDone;
}

ExitCode GetShards(Session& session, const std::string& name) {
  auto answer = session.client.ListShards();
  if (!answer.ok()) return Fail(session, answer.error);
  if (!name.empty()) {
    const std::string wanted = ShardResource(name);
    v1::ListShardsResponse only;
    for (const v1::Shard& shard : answer.value.shards()) {
      if (shard.name() == wanted) *only.add_shards() = shard;
    }
    if (only.shards().empty())
      return Fail(session, {kExitNotFound, wanted + ": there is no such shard", ""});
    answer.value = std::move(only);
  }
  Printer(session.format, session.out).Shards(answer.value, ListOf(answer.value.shards()));
  return kExitDone;
}

}  // namespace spillway::client
