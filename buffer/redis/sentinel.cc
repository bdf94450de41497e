#include "buffer/redis/sentinel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace spillway::buffer {
namespace {

// A sentinel answers from memory; the next one is asked soon.
constexpr Duration kAnswerTimeout = std::chrono::seconds(1);

}  // namespace

// One FindMaster on its way from sentinel to sentinel.
struct Sentinels::Question {
  FoundEndpoint found;
  size_t first = 0;
  size_t asked = 0;
  absl::Status problem;
};

Sentinels::Sentinels(Loop& loop, const Deployment& deployment, ConnectionOptions options)
    : master_name_(deployment.master_name) {
  CHECK(deployment.kind == Deployment::Kind::kSentinel,
        "sentinels are only asked where there are some");
  master_.is_tls = deployment.endpoints.front().is_tls;
  master_.database = deployment.endpoints.front().database;
  options.username.clear();
  options.password_file.clear();
  options.script_prologue.clear();
  options.connect_timeout = options.command_timeout = kAnswerTimeout;
  for (const Endpoint& endpoint : deployment.endpoints) {
    options.endpoint = endpoint;
    options.endpoint.database = 0;
    sentinels_.push_back(std::make_unique<RedisConnection>(loop, options));
  }
}

void Sentinels::FindMaster(FoundEndpoint found) {
  auto question = std::make_shared<Question>();
  question->found = std::move(found);
  question->first = next_first_++;
  AskNext(std::move(question));
}

// A sentinel that is away fails at once, from the loop.
void Sentinels::AskNext(std::shared_ptr<Question> question) {
  RedisConnection& sentinel =
      *sentinels_[(question->first + question->asked++) % sentinels_.size()];
  sentinel.Send(Command({"SENTINEL", "get-master-addr-by-name", master_name_}),
                [this, question, &sentinel](const CommandResult& result) {
                  const int64_t port = result.reply[1].integer();
                  if (result.ok() && result.reply.size() == 2 && port > 0 && port <= 65535) {
                    Endpoint master = master_;
                    master.host = std::string(result.reply[0].text());
                    master.port = static_cast<int>(port);
                    return question->found(std::move(master));
                  }
                  const std::string name = sentinel.endpoint().ToString();
                  if (result.ok()) {
                    question->problem.Update(absl::NotFoundError(absl::StrCat(
                        "the sentinel ", name, " watches no master \"", master_name_, "\"")));
                  } else {
                    question->problem.Update(absl::UnavailableError(
                        absl::StrCat("sentinel ", name, ": ", result.message)));
                  }
                  if (question->asked < sentinels_.size()) return AskNext(question);
                  question->found(question->problem);
                });
}

}  // namespace spillway::buffer
