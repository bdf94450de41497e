// Any bytes as the replies of Redis: each call of the store is answered, once and in time, and what
// it says is made of what was asked for. First byte: which call; second: raw bytes or made up
// values (made_up_replies.h); then the replies. 255 first: the rest is a shard's drop rules.
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/loop.h"
#include "buffer/chunk/dictionary.h"
#include "buffer/redis/redirect.h"
#include "buffer/redis/redis_store.h"
#include "buffer/redis/sentinel.h"
#include "buffer/redis/slot_map.h"
#include "tests/fuzz/made_up_replies.h"
#include "tests/fuzz/redis_server.h"
#include "worker/ingest/drop_history.h"

namespace spillway::fuzz {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using namespace buffer;  // NOLINT: everything here is about it

constexpr ShardId kShard{7};
constexpr Duration kHangs = seconds(10);  // a call takes a few milliseconds

// One input: a server, and a client that is asked one thing.
class Run {
 public:
  Run(Loop& loop, RedisServer& server, MadeUpReplies replies)
      : loop_(loop),
        server_(server),
        hangs_(loop, [] { CHECK(false, "a call is answered whatever Redis says"); }) {
    // What is asked in passing does not use up what is meant for the call.
    server.set_answer([this, replies](absl::string_view command) mutable {
      if (command == "SADD") return std::optional<std::string>(":1\r\n");
      if (command == "INFO" && !asks_for_info_) return std::optional<std::string>("$0\r\n\r\n");
      return replies.Next();
    });
    hangs_.Start(kHangs);
  }
  // What has been posted for the client's sake runs while its server is still there.
  ~Run() {
    server_.HangUp();
    server_.set_answer([](absl::string_view) { return std::nullopt; });
  }

  ConnectionOptions Options() const {
    ConnectionOptions options;
    options.endpoint.host.clear();
    options.endpoint.unix_path = server_.path();
    options.connect_timeout = options.command_timeout = seconds(1);
    options.retry_limit = milliseconds(3);
    options.backoff_initial = milliseconds(1);
    options.backoff_max = milliseconds(2);
    return options;
  }

  // Makes a store and, once it is connected, the call, which must be answered just once.
  void Ask(const std::function<void(RedisShardStore&)>& call) {
    bool has_asked = false;
    std::unique_ptr<RedisShardStore> store;
    store = std::make_unique<RedisShardStore>(
        loop_, RedisStoreOptions{.connection = Options(), .name_space = "fuzz", .deployment = {}},
        [&](const ConnectionState& state) {
          if (!state.is_ready || std::exchange(has_asked, true)) return;
          loop_.Post([&] { call(*store); });
        });
    loop_.Run();
    store.reset();
    CHECK(answers_ == 1, "a call is answered once");
  }

  template <typename T>
  Done<T> Answered(std::function<void(const T&)> check = {}) {
    return [this, check = std::move(check)](StoreResult<T> result) {
      if (result.ok() && check) check(result.value);
      ++answers_;
      loop_.Stop();
    };
  }
  void OnAnswer() {
    ++answers_;
    loop_.Stop();
  }
  void AskForInfo() { asks_for_info_ = true; }

  // The reply to one command on a connection of its own.
  void AskServer(const std::function<void(const CommandResult&)>& read) {
    bool has_asked = false;
    std::unique_ptr<RedisConnection> connection;
    connection =
        std::make_unique<RedisConnection>(loop_, Options(), [&](const ConnectionState& state) {
          if (!state.is_ready || std::exchange(has_asked, true)) return;
          loop_.Post([&] {
            connection->Send(Command({"CLUSTER", "SLOTS"}), [&](const CommandResult& result) {
              read(result);
              OnAnswer();
            });
          });
        });
    loop_.Run();
    connection.reset();
  }

 private:
  Loop& loop_;
  RedisServer& server_;
  bool asks_for_info_ = false;
  int answers_ = 0;
  Timer hangs_;
};

PartName Part(Offset offset) { return {1, offset}; }

ClaimRequest SomeClaim() {
  ClaimRequest request;
  request.epoch = {2, 10};
  request.id = {.high = 1, .low = 2};
  request.parts = {{.name = Part(5), .deadline = {100}, .references = {}},
                   {.name = Part(9), .deadline = {200}, .references = {Part(6), Part(7)}}};
  return request;
}
std::vector<ClaimedPart> SomeParts(bool counts) {
  std::vector<ClaimedPart> parts(2);
  parts[0].name = Part(5);
  parts[1].name = Part(9);
  parts[1].references = {Part(6), Part(7)};
  if (counts) {
    parts[0].list_lengths = {1};
    parts[1].list_lengths = {2, 1, 1};
  }
  return parts;
}

void CheckClaim(const Claim& claim) {
  CHECK(claim.id == SomeClaim().id, "a claim is the one asked for");
  for (const ClaimedPart& part : claim.parts) {
    const size_t lists = part.references.size() + 1;
    CHECK(part.name == Part(5) || part.name == Part(9), "parts are those asked for");
    CHECK(part.list_lengths.empty() || part.list_lengths.size() == lists, "a length per list");
  }
}

void CheckPeek(const PeekReply& peek) {
  for (const PeekedPart& part : peek.due) CHECK(part.name.offset >= 0, "a part has a name");
}

AddRequest SomeBatch() {
  AddRequest request;
  request.epoch = {2, 10};
  request.new_watermark = 5;
  request.parts.resize(1);
  request.parts[0].name = Part(5);
  request.parts[0].chunk = "chunk";
  return request;
}

void ReadCluster(const CommandResult& result) {
  const std::vector<SlotRange> ranges = ReadSlotRanges(result.reply, "asked");
  SlotMap map(ranges);
  for (const Slot slot : {Slot{0}, Slot{5}, Slot{16383}}) {
    const NodeAddress* master = map.MasterOf(slot);
    CHECK(master == nullptr || (master->port > 0 && master->port <= 65535), "a port is one");
  }
  const Refusal refusal = ParseRefusal(result.message, "asked");
  if (refusal.kind == Refusal::Kind::kMoved) map.Assign(refusal.slot, refusal.to);
  const Instant now = SystemClock().Now();
  Attempts attempts;
  for (int i = 0; i < 8; ++i) attempts = Decide(refusal, attempts, now, {}).attempts;
}

void AskSentinel(Loop& loop, Run& run) {
  Deployment deployment{.kind = Deployment::Kind::kSentinel,
                        .endpoints = {run.Options().endpoint},
                        .master_name = "main"};
  Sentinels sentinels(loop, deployment, run.Options());
  std::function<void()> ask = [&] {
    sentinels.FindMaster([&](absl::StatusOr<Endpoint> found) {
      CHECK(!found.ok() || (found->port > 0 && found->port <= 65535), "a port is one");
      run.OnAnswer();
    });
  };
  Timer soon(loop, ask);  // it tells nobody when it is connected
  soon.Start(milliseconds(2));
  loop.Run();
}

void Ask(uint8_t call, Loop& loop, Run& run) {
  switch (call % 15) {
    case 0:
      return run.Ask([&](RedisShardStore& store) {
        store.Take(kShard, {.committed = 3, .log_end = 9},
                   run.Answered<TakeReply>([](const TakeReply& taken) {
                     CHECK(taken.start >= 0, "reading starts where the log does, or later");
                   }));
      });
    case 1:
      return run.Ask([&](RedisShardStore& store) {
        store.Add(kShard, std::make_shared<const AddRequest>(SomeBatch()),
                  run.Answered<ShardFigures>());
      });
    case 2:
      return run.Ask([&](RedisShardStore& store) {
        store.Tick(kShard, {.epoch = {2, 10}}, run.Answered<ShardFigures>());
      });
    case 3:
      return run.Ask(
          [&](RedisShardStore& store) { store.Acquire(kShard, {}, run.Answered<Epoch>()); });
    case 4:
      return run.Ask([&](RedisShardStore& store) {
        store.Peek(kShard, {2, 10}, 10, run.Answered<PeekReply>(CheckPeek));
      });
    case 5:
      return run.Ask([&](RedisShardStore& store) {
        store.ClaimParts(kShard, SomeClaim(), run.Answered<Claim>(CheckClaim));
      });
    case 6:
    case 7:
      return run.Ask([&](RedisShardStore& store) {
        using Loaded = std::vector<LoadedPart>;
        store.Load(kShard, SomeParts(call % 15 == 6), std::make_shared<DictionaryShelf>(),
                   run.Answered<Loaded>([](const Loaded& loaded) {
                     CHECK(loaded.size() == 2 && loaded[1].name == Part(9), "all that was claimed");
                   }));
      });
    case 8:
      return run.Ask([&](RedisShardStore& store) {
        store.Acknowledge(kShard, {.id = {1, 2}, .lease_end = {5}, .parts = SomeParts(true)},
                          run.Answered<AcknowledgeReply>());
      });
    case 9:
      return run.Ask([&](RedisShardStore& store) {
        store.Release(kShard, {.id = {1, 2}}, run.Answered<bool>());
      });
    case 10:
      return run.Ask(
          [&](RedisShardStore& store) { store.Summary(kShard, run.Answered<ShardSummary>()); });
    case 11:
      return run.Ask(
          [&](RedisShardStore& store) { store.Audit(kShard, run.Answered<AuditReply>()); });
    case 12:
      run.AskForInfo();
      return run.Ask(
          [&](RedisShardStore& store) { store.ListShards(run.Answered<std::vector<ShardId>>()); });
    case 13:
      return AskSentinel(loop, run);
    default:
      return run.AskServer(ReadCluster);
  }
}

// What can be read is written as it is read, and a worker goes on from it.
void CheckDropRules(absl::string_view text) {
  const auto history = ingest::DropHistory::FromText(text);
  if (!history.ok()) return;
  const auto again = ingest::DropHistory::FromText(history->ToText());
  CHECK(again.ok() && *again == *history, "drop rules that were read can be read again");
  if (history->empty()) return;
  CHECK(history->periods().size() <= ingest::DropHistory::kMaxPeriods, "periods are bounded");
  const ingest::DropHistory ended = history->With({}, WallTime{0}, 5, 0).value_or(*history);
  for (const ingest::DropHistory::Period& period : ended.periods()) {
    CHECK(period.to.has_value(), "without rules nothing is in force");
  }
}

void CheckReplies(absl::string_view input) {
  static Loop loop;
  static RedisServer server(loop);
  if (input.size() < 2) return;
  if (static_cast<uint8_t>(input[0]) == 255) return CheckDropRules(input.substr(1));
  Run run(loop, server, MadeUpReplies(input.substr(2), input[1] % 2 == 0));
  Ask(static_cast<uint8_t>(input[0]), loop, run);
}

}  // namespace
}  // namespace spillway::fuzz

// As the programs do: a server that hangs up is an error of the next write.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  std::signal(SIGPIPE, SIG_IGN);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spillway::fuzz::CheckReplies({reinterpret_cast<const char*>(data), size});
  return 0;
}
