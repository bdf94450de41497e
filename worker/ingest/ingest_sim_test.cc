// The ingest side under one seeded random source: two workers that a group moves a shard between,
// Kafka and Redis that fail, a Redis that is lost or rolled back, crashes. After every step nothing
// below C may be undelivered; in the end nothing is lost and, without a rollback, nothing doubled.
// With drop rules, what may be missing is just what Redis was told to be left out, offset by
// offset.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Mix {
  std::string name;
  double net = 0, memory = 0, kafka = 0, moves = 0, crashes = 0, letters = 0, rollback = 0,
         loss = 0, rules = 0;
};

class Simulation {
 public:
  Simulation(const Mix& mix, uint64_t seed) : mix_(mix), random_(seed), h_(seed, 2) {
    h_.options.limits.root_timeout = milliseconds(2'000);
    h_.options.limits.idle_timeout = milliseconds(6'000);
    h_.options.limits.max_age = milliseconds(20'000);
    h_.options.limits.late_window = milliseconds(3'000);
    h_.options.limits.max_part_bytes = 2'000;
    h_.options.batch_messages = 1 + random_.Below(8);
    h_.options.delivery_timeout = seconds(3);
    for (size_t w = 0; w < 2; ++w) ArmLetters(w);
    Assign();
  }

  // Empty: all is well.
  std::string Run() {
    for (int i = 0; i < 400 && wrong_.empty(); ++i) {
      ArmFaults();
      Step();
      Check();
    }
    if (wrong_.empty()) Converge();
    return wrong_;
  }

 private:
  void Step() {
    const uint64_t dice = random_.Below(100);
    if (dice < 30) {
      Append();
    } else if (dice < 70) {
      for (uint64_t n = random_.Below(6); n > 0 && h_.StepOnce(random_); --n) Check();
    } else if (dice < 88) {
      h_.Pass(milliseconds(random_.Below(1'500)));
    } else if (dice < 94) {
      h_.Flush();
    } else {
      Disturb();
    }
  }

  void Append() {
    static constexpr char kIds[] = "0123456789abcdef";
    const EventTime at = h_.now() - milliseconds(random_.Below(4) == 0 ? random_.Below(8'000) : 0);
    std::string text;
    if (random_.Chance(0.08)) {
      text = absl::StrCat("bad ", payloads_.size());
    } else if (random_.Chance(0.08) && !payloads_.empty()) {
      text = payloads_[random_.Below(payloads_.size())];  // sent twice
    } else {
      const char id = kIds[random_.Below(16)];
      text =
          SpanText(kIds[random_.Below(3)], id, random_.Chance(0.2) ? '\0' : kIds[random_.Below(16)],
                   absl::StrCat("n", payloads_.size(), std::string(random_.Below(300), 'x')));
    }
    payloads_.push_back(text);
    h_.Append(text, at);
  }

  void Disturb() {
    if (random_.Chance(mix_.moves)) Move(random_.Chance(0.3));
    if (random_.Chance(mix_.crashes)) Crash();
    if (random_.Chance(mix_.kafka)) h_.kafka.is_reachable = !h_.kafka.is_reachable;
    if (random_.Chance(0.3)) snapshots_.push_back(h_.store.Snapshot());
    if (random_.Chance(mix_.rollback) && !snapshots_.empty()) {
      h_.store.Restore(snapshots_[random_.Below(snapshots_.size())]);
      is_rolled_back_ = true;
    }
    if (random_.Chance(mix_.loss)) {
      h_.store.LoseEverything();
      snapshots_.clear();
      is_rolled_back_ = true;
    }
    if (h_.store.delayed_calls() > 0 && random_.Chance(0.5)) h_.store.RunDelayed();
    if (random_.Chance(mix_.rules)) ChangeRules();
  }

  // Of traces; some expire soon. A worker that has just started is not told.
  void ChangeRules() {
    auto rules = std::make_shared<DropRules>();
    for (uint64_t digit = 0; digit < 3; ++digit) {
      if (random_.Chance(0.6)) continue;
      const uint64_t half = 0x1111111111111111ull * digit;
      const auto lives = static_cast<int64_t>(random_.Below(10'000'000));
      rules->push_back({absl::StrCat("trace-", digit),
                        {.project_id = {}, .trace_id = wire::TraceId{half, half}},
                        WallTime{h_.clock.Wall().us + lives}});
    }
    for (size_t w = 0; w < 2; ++w) {
      if (h_.worker(w).session() != nullptr) h_.worker(w).session()->SetDropRules(rules);
    }
  }

  void Assign() {
    for (size_t w = 0; w < 2; ++w) {
      if (w == assigned_) h_.worker(w).consumer.Assign({kShard});
    }
  }
  void Move(bool lost) {
    h_.worker(assigned_).consumer.Revoke({kShard}, lost);
    assigned_ = random_.Below(2);
    Assign();
  }
  void Crash() {
    h_.ReplaceWorker(assigned_);
    ArmLetters(assigned_);
    Assign();
  }
  void ArmLetters(size_t worker) {
    h_.worker(worker).producer.set_policy(
        [this](const std::string&, const kafka::OutgoingMessage&) {
          kafka::FakeProducer::Outcome outcome;
          if (!is_over_ && random_.Chance(mix_.letters)) {
            outcome.report = {random_.Chance(0.5) ? kafka::Delivery::kNotDelivered
                                                  : kafka::Delivery::kPossiblyPersisted,
                              "away"};
            outcome.is_persisted = random_.Chance(0.5);
          }
          return outcome;
        });
  }
  // A flush round switches faults off, so they are armed anew before each step.
  void ArmFaults() {
    h_.store.SetFaults([this](StoreCall call, ShardId) {
      if (call == StoreCall::kAdd && random_.Chance(mix_.memory)) return StoreFault::kRefuseMemory;
      if (!random_.Chance(mix_.net)) return StoreFault::kNone;
      static constexpr StoreFault kFaults[] = {StoreFault::kLoseRequest, StoreFault::kLoseReply,
                                               StoreFault::kDelay, StoreFault::kMoving};
      return kFaults[random_.Below(4)];
    });
  }

  // A message is done with when its bytes have left, in whichever copy, or are a dead letter.
  std::set<std::string> Done() {
    std::set<std::string> done;
    const auto& log = h_.kafka.partition(kTopic, 0).records;
    for (const auto& [offset, count] : h_.DeliveredOffsets())
      done.insert(log[static_cast<size_t>(offset)].payload);
    for (const kafka::FakeRecord& letter : h_.kafka.Records(kLetters)) done.insert(letter.payload);
    return done;
  }
  // What Redis has been told; it forgets what is not read again, and what began above W and never
  // judged anything.
  void LearnRules() {
    if (mix_.rules == 0 || h_.store.shards().empty()) return;
    const auto history = DropHistory::FromText(h_.redis().drop_rules);
    if (!history.ok()) return Fail(history.status().ToString());
    if (!is_rolled_back_)
      std::erase_if(periods_, [](const auto& entry) { return !entry.second.to; });
    for (const DropHistory::Period& period : history->periods()) {
      periods_[{period.rule, period.from}] = period;
    }
  }
  // After a rollback a later rule may have judged what an earlier one had not, so any will do.
  bool IsFiltered(Offset offset) {
    span::SpanParser parser;
    const auto read = parser.Parse(payloads_[static_cast<size_t>(offset)]);
    const auto* span = std::get_if<span::Span>(&read);
    if (span == nullptr) return false;
    for (const auto& [name, period] : periods_) {
      const bool is_within = offset >= period.from && (!period.to || offset < *period.to);
      if ((is_within || is_rolled_back_) && period.match.Covers(span->trace)) return true;
    }
    return false;
  }
  void Check() {
    LearnRules();
    const Offset low = h_.committed().value_or(0);
    if (low < last_low_) Fail(absl::StrCat("C fell from ", last_low_, " to ", low));
    if (low == last_low_) return;
    last_low_ = low;
    const std::set<std::string> done = Done();
    const auto& log = h_.kafka.partition(kTopic, 0).records;
    for (Offset offset = 0; offset < low; ++offset) {
      if (!done.contains(log[static_cast<size_t>(offset)].payload) && !IsFiltered(offset))
        Fail(absl::StrCat("C is above ", offset));
    }
  }
  void Converge() {
    is_over_ = true;
    h_.kafka.is_reachable = true;
    h_.store.SetFaults({});
    while (h_.store.delayed_calls() > 0) h_.store.RunDelayed();
    const auto end = static_cast<Offset>(payloads_.size());
    for (int i = 0; i < 40 && h_.committed().value_or(0) < end; ++i) {
      h_.Pass(seconds(10));
      h_.Flush();
      Check();
    }
    if (h_.committed().value_or(0) < end)
      return Fail(absl::StrCat("stuck at ", h_.committed().value_or(0), " of ", end));
    const std::set<std::string> done = Done();
    for (Offset offset = 0; offset < end; ++offset) {
      const std::string& payload = payloads_[static_cast<size_t>(offset)];
      if (!done.contains(payload) && !IsFiltered(offset)) Fail("lost: " + payload);
    }
    buffer::AuditReply audit;
    h_.store.Audit(kShard, [&](buffer::StoreResult<buffer::AuditReply> r) { audit = r.value; });
    h_.Settle();
    if (!is_rolled_back_ && audit.residual != 0) Fail(absl::StrCat("residual ", audit.residual));
    if (is_rolled_back_) return;
    if (audit.message_residual != 0) Fail(absl::StrCat("messages ", audit.message_residual));
    for (const auto& [offset, count] : h_.DeliveredOffsets()) {
      if (count > 1) Fail(absl::StrCat("offset ", offset, " left ", count, " times"));
      if (IsFiltered(offset)) Fail(absl::StrCat("offset ", offset, " left in spite of a rule"));
    }
  }
  void Fail(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }

  const Mix mix_;
  test_support::SeededRandom random_;
  Harness h_;
  std::vector<std::string> payloads_;
  std::vector<buffer::FakeShardStore::Shards> snapshots_;
  std::map<std::pair<std::string, Offset>, DropHistory::Period> periods_;
  size_t assigned_ = 0;
  Offset last_low_ = 0;
  bool is_rolled_back_ = false;
  bool is_over_ = false;
  std::string wrong_;
};

class IngestSimTest : public ::testing::TestWithParam<Mix> {};

TEST_P(IngestSimTest, LosesNothing) {
  ConfigureLog(LogFormat::kText, LogLevel::kError);
  constexpr uint64_t kSeeds = 200;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const std::string wrong = Simulation(GetParam(), seed).Run();
    ASSERT_EQ(wrong, "") << "mix " << GetParam().name << ", seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Mixes, IngestSimTest,
    ::testing::Values(
        Mix{.name = "quiet"}, Mix{.name = "moves", .moves = 0.6},
        Mix{.name = "crashes", .moves = 0.3, .crashes = 0.5},
        Mix{.name = "network", .net = 0.12, .moves = 0.3, .crashes = 0.2},
        Mix{.name = "memory", .net = 0.03, .memory = 0.4, .moves = 0.2},
        Mix{.name = "kafka", .net = 0.03, .kafka = 0.5, .moves = 0.4, .letters = 0.4},
        Mix{.name = "rollback", .net = 0.05, .moves = 0.3, .crashes = 0.2, .rollback = 0.4},
        Mix{.name = "loss", .net = 0.05, .moves = 0.3, .crashes = 0.2, .loss = 0.3},
        Mix{.name = "rules",
            .net = 0.05,
            .memory = 0.05,
            .moves = 0.3,
            .crashes = 0.3,
            .letters = 0.1,
            .rules = 0.6},
        Mix{.name = "everything",
            .net = 0.1,
            .memory = 0.1,
            .kafka = 0.3,
            .moves = 0.4,
            .crashes = 0.3,
            .letters = 0.2,
            .rollback = 0.2,
            .loss = 0.1,
            .rules = 0.3}),
    [](const auto& mix) { return mix.param.name; });

}  // namespace
}  // namespace spillway::ingest
