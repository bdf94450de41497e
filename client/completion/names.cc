#include "client/completion/names.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/output/text.h"

namespace spillway::client {

namespace {

// A candidate of each entry; none if there is no answer.
template <typename Entries, typename Describe>
std::vector<Candidate> Each(const Entries& entries, const Describe& describe) {
  std::vector<Candidate> names;
  for (const auto& entry : entries) names.push_back(describe(entry));
  return names;
}

}  // namespace

std::vector<Candidate> NamesIn(const absl::StatusOr<Contexts>& contexts) {
  if (!contexts.ok()) return {};
  return Each(contexts->contexts, [](const Context& context) {
    return Candidate{context.name, context.server};
  });
}

std::vector<Candidate> NamesAt(ControlClient& client, Named what) {
  switch (what) {
    case Named::kPool: {
      const auto answer = client.ListPools();
      return Each(answer.value.pools(), [](const v1::Pool& pool) {
        return Candidate{
            ShortName(pool.name()),
            absl::StrCat(Text(pool.state()), ", ", pool.ready(), " of ", pool.desired(), " ready")};
      });
    }
    case Named::kWorker: {
      const auto answer = client.ListWorkers("pools/-");
      return Each(answer.value.workers(), [](const v1::Worker& worker) {
        return Candidate{ShortName(worker.name()),
                         absl::StrCat(Text(worker.state()), ", ", Text(worker.health()))};
      });
    }
    case Named::kShard: {
      const auto answer = client.ListShards();
      return Each(answer.value.shards(), [](const v1::Shard& shard) {
        return Candidate{ShortName(shard.name()), ShortName(shard.flush_worker())};
      });
    }
    case Named::kOperation: {
      const auto answer = client.ListOperations(100, "");
      return Each(answer.value.operations(), [](const v1::Operation& operation) {
        return Candidate{std::string(absl::StripPrefix(operation.name(), "operations/")),
                         absl::StrCat(Text(operation.kind()), " ", ShortName(operation.target()),
                                      ", ", Text(operation.state()))};
      });
    }
    case Named::kDropRule: {
      const auto answer = client.ListDropRules();
      return Each(answer.value.drop_rules(), [](const v1::DropRule& rule) {
        return Candidate{std::string(absl::StripPrefix(rule.name(), "dropRules/")), rule.reason()};
      });
    }
    case Named::kContext:  // no server has them
      break;
  }
  return {};
}

}  // namespace spillway::client
