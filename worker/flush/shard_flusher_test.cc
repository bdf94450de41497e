#include "worker/flush/shard_flusher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <variant>
#include <vector>

namespace spillway::flush {
namespace {

using buffer::StoreCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Epoch kEpoch{5, 77};

class ShardFlusherTest : public testing::Test {
 protected:
  ShardFlusherTest() : flusher_(options_, [this] { return ++random_; }) {}

  ShardFlusher::Actions Step(FlusherEvent event) {
    return flusher_.Step(std::move(event), now_, {.may_claim = may_claim_});
  }
  // The one action of a step, of the type expected.
  template <typename Action>
  Action Only(ShardFlusher::Actions actions) {
    EXPECT_THAT(actions, SizeIs(1));
    if (actions.size() != 1 || !std::holds_alternative<Action>(actions[0])) {
      ADD_FAILURE() << "another action than expected";
      return {};
    }
    return std::get<Action>(std::move(actions[0]));
  }
  DoPeek Acquire() {
    Only<DoAcquire>(Step(Tick{}));
    return Only<DoPeek>(Step(Acquired{.code = StoreCode::kOk, .value = kEpoch, .message = ""}));
  }
  Peeked PeekWith(std::vector<buffer::PeekedPart> due) {
    Peeked peeked{.code = StoreCode::kOk, .value = {}, .message = ""};
    peeked.value.clock = EventTime{1'000};
    peeked.value.redis_time = WallTime{1'000'000};
    peeked.value.due_count = due.size();
    peeked.value.due = std::move(due);
    return peeked;
  }
  static buffer::PeekedPart Part(Offset offset, uint32_t attempts = 0) {
    return {.name = {1, offset}, .deadline = {1}, .references = {}, .attempts = attempts};
  }
  static Claimed ClaimOf(const DoClaim& action, uint64_t bytes = 1'000) {
    Claimed claimed{.code = StoreCode::kOk, .value = {}, .message = ""};
    claimed.value.id = action.request.id;
    for (const auto& part : action.request.parts) {
      claimed.value.parts.emplace_back().name = part.name;
      claimed.value.parts.back().part_bytes = bytes;
    }
    return claimed;
  }
  template <typename Result>
  static Result Failed(StoreCode code) {
    return {.code = code, .value = {}, .message = ""};
  }
  void Wait() { now_ = std::max(now_, flusher_.wake()); }

  FlushOptions options_;
  uint64_t random_ = 0;
  Instant now_{seconds(1'000)};
  bool may_claim_ = true;
  ShardFlusher flusher_;
};

TEST_F(ShardFlusherTest, ProposesTheHighestNumberSeenAndANewOwnerEachTime) {
  const auto first = Only<DoAcquire>(Step(Tick{})).request;
  EXPECT_EQ(first.proposed_number, 0u);
  Step(Acquired{.code = StoreCode::kOk, .value = kEpoch, .message = ""});
  EXPECT_THAT(Step(Failed<Peeked>(StoreCode::kFenced)), IsEmpty());
  EXPECT_EQ(flusher_.blocked_cause(), wire::Cause::kOwnership);
  Wait();
  const auto second = Only<DoAcquire>(Step(Tick{})).request;
  EXPECT_EQ(second.proposed_number, kEpoch.number);
  EXPECT_NE(second.owner, first.owner);
}

TEST_F(ShardFlusherTest, WaitsLongerEachTimeItIsFenced) {
  Duration last{0};
  for (int i = 0; i < 5; ++i) {
    Acquire();
    Step(Failed<Peeked>(StoreCode::kFenced));
    if (i % 2 == 0) {  // jitter is at most a half: two doublings always grow
      EXPECT_GT(flusher_.wake() - now_, last);
      last = flusher_.wake() - now_;
    }
    Wait();
  }
}

TEST_F(ShardFlusherTest, RepeatsAClaimWithItsIdUntilItIsAnswered) {
  Acquire();
  const auto first = Only<DoClaim>(Step(PeekWith({Part(1)})));
  EXPECT_EQ(first.request.epoch, kEpoch);
  for (const StoreCode code : {StoreCode::kUnavailable, StoreCode::kMoving, StoreCode::kMemory}) {
    EXPECT_THAT(Step(Failed<Claimed>(code)), IsEmpty());
    Wait();
    EXPECT_EQ(Only<DoClaim>(Step(Tick{})).request.id, first.request.id);
  }
  const auto actions = Step(ClaimOf(first));  // and a peek, for which it is time by now
  ASSERT_THAT(actions, testing::Not(IsEmpty()));
  EXPECT_EQ(std::get<RunClaim>(actions[0]).claim.id, first.request.id);
  EXPECT_EQ(flusher_.parts_in_flight(), 1u);
}

TEST_F(ShardFlusherTest, GivesUpAClaimThatWasRefused) {
  Acquire();
  const auto first = Only<DoClaim>(Step(PeekWith({Part(1)})));
  EXPECT_THAT(Step(Failed<Claimed>(StoreCode::kFenced)), IsEmpty());
  EXPECT_EQ(flusher_.stage(), wire::ShardStage::kAcquiring);
  Wait();
  Acquire();
  EXPECT_NE(Only<DoClaim>(Step(PeekWith({Part(1)}))).request.id, first.request.id);
}

TEST_F(ShardFlusherTest, HoldsSeveralClaimsButNotMoreThanAllowed) {
  options_ = FlushOptions();
  Acquire();
  std::vector<buffer::PeekedPart> due;
  for (Offset i = 0; i < 5'000; ++i) due.push_back(Part(i));
  auto claim = Only<DoClaim>(Step(PeekWith(due)));
  for (uint32_t n = 1; n <= options_.max_claims; ++n) {
    EXPECT_LE(claim.request.parts.size(), options_.max_claim_parts);
    auto actions = Step(ClaimOf(claim));
    ASSERT_THAT(actions, SizeIs(2));
    EXPECT_TRUE(std::holds_alternative<RunClaim>(actions[0]));
    if (n == options_.max_claims) {
      EXPECT_TRUE(std::holds_alternative<DoPeek>(actions[1]));
    } else {
      claim = std::get<DoClaim>(actions[1]);
    }
  }
}

TEST_F(ShardFlusherTest, AimsAtClaimsOfAFewMegabytes) {
  options_ = FlushOptions();
  Acquire();
  std::vector<buffer::PeekedPart> due;
  for (Offset i = 0; i < 5'000; ++i) due.push_back(Part(i));
  auto claim = Only<DoClaim>(Step(PeekWith(due)));
  for (int i = 0; i < 20; ++i) {
    auto actions = Step(ClaimOf(claim, 1 << 20));
    Step(ClaimEnded{.id = claim.request.id});
    ASSERT_THAT(actions, SizeIs(2));
    claim = std::get<DoClaim>(actions[1]);
  }
  EXPECT_LE(claim.request.parts.size(), 3u);
}

TEST_F(ShardFlusherTest, ClaimsTriedPartsAloneAndMarksHopelessOnes) {
  Acquire();
  const auto first = Only<DoClaim>(Step(PeekWith({Part(1), Part(2, 1), Part(3, 2), Part(4, 5)})));
  EXPECT_THAT(first.request.parts, SizeIs(2));
  auto actions = Step(ClaimOf(first));
  const auto second = std::get<DoClaim>(actions[1]);
  EXPECT_THAT(second.request.parts, SizeIs(1));
  actions = Step(ClaimOf(second));
  EXPECT_FALSE(std::get<RunClaim>(actions[0]).to_dead_letters);
  const auto third = std::get<DoClaim>(actions[1]);
  actions = Step(ClaimOf(third));
  EXPECT_TRUE(std::get<RunClaim>(actions[0]).to_dead_letters);
}

TEST_F(ShardFlusherTest, ReleasesOnlyClaimsNobodyCanEnd) {
  Acquire();
  Peeked peeked = PeekWith({});
  const Epoch older{4, 1};
  peeked.value.inflight = {
      {.id = {0, 1}, .epoch = kEpoch, .lease_end = {9'000'000}},  // ours, not held
      {.id = {0, 2}, .epoch = older, .lease_end = {9'000'000}},   // its owner may live
      {.id = {0, 3}, .epoch = older, .lease_end = {999'999}}};    // past its lease
  std::vector<uint64_t> released;
  auto actions = Step(peeked);
  while (actions.size() == 1 && std::holds_alternative<DoReleaseStale>(actions[0])) {
    released.push_back(std::get<DoReleaseStale>(actions[0]).id.low);
    actions = Step(StaleReleased{StoreCode::kOk});
  }
  EXPECT_THAT(released, testing::UnorderedElementsAre(1, 3));
}

std::vector<wire::DeadEpoch> Dead(const std::vector<Epoch>& epochs) {
  std::vector<wire::DeadEpoch> dead;
  for (const Epoch& epoch : epochs) dead.push_back({ShardId{0}, epoch, {}});
  return dead;
}

TEST_F(ShardFlusherTest, ReleasesAtOnceWhatTheOrderCallsDeadAndNothingElse) {
  const Epoch dead{4, 1}, same_number{4, 2}, older{3, 1};
  Only<DoAcquire>(Step(Wanted{.is_wanted = true, .dead = Dead({{2, 9}, dead})}));
  Only<DoPeek>(Step(Acquired{.code = StoreCode::kOk, .value = kEpoch, .message = ""}));
  Peeked peeked = PeekWith({});
  peeked.value.inflight = {{.id = {0, 1}, .epoch = same_number, .lease_end = {9'000'000}},
                           {.id = {0, 2}, .epoch = dead, .lease_end = {9'000'000}},
                           {.id = {0, 3}, .epoch = older, .lease_end = {9'000'000}}};
  const auto release = Only<DoReleaseStale>(Step(peeked));
  EXPECT_EQ(release.id.low, 2u);
  EXPECT_TRUE(release.is_owner_dead);
  Only<DoPeek>(Step(StaleReleased{StoreCode::kOk}));
}

// Of a dead owner's claims only the one that it worked on is suspected of its death.
TEST_F(ShardFlusherTest, CountsAnAttemptOnlyForWhatADeadOwnerHadInHand) {
  const Epoch dead{4, 1}, other{4, 2};
  std::vector<wire::DeadEpoch> told = Dead({dead, other});
  told[0].in_hand = buffer::ClaimId{0, 2};
  Only<DoAcquire>(Step(Wanted{.is_wanted = true, .dead = told}));
  Only<DoPeek>(Step(Acquired{.code = StoreCode::kOk, .value = kEpoch, .message = ""}));
  Peeked peeked = PeekWith({});
  peeked.value.inflight = {{.id = {0, 1}, .epoch = dead, .lease_end = {9'000'000}},
                           {.id = {0, 2}, .epoch = dead, .lease_end = {9'000'000}},
                           {.id = {0, 3}, .epoch = other, .lease_end = {9'000'000}},
                           {.id = {0, 4}, .epoch = {3, 1}, .lease_end = {0}}};
  std::map<uint64_t, bool> counted;
  auto actions = Step(peeked);
  while (actions.size() == 1 && std::holds_alternative<DoReleaseStale>(actions[0])) {
    const auto& release = std::get<DoReleaseStale>(actions[0]);
    counted[release.id.low] = release.counts_attempt;
    actions = Step(StaleReleased{StoreCode::kOk});
  }
  EXPECT_THAT(counted,
              testing::UnorderedElementsAre(testing::Pair(1, false), testing::Pair(2, true),
                                            testing::Pair(3, false), testing::Pair(4, false)));
}

// The death of an owner that had given the shard up, or was silent, is told later.
TEST_F(ShardFlusherTest, LooksAtOnceWhenADeathIsToldLate) {
  Acquire();
  Peeked peeked = PeekWith({});
  const Epoch dead{4, 1};
  peeked.value.inflight = {{.id = {0, 1}, .epoch = dead, .lease_end = {9'000'000}}};
  EXPECT_THAT(Step(peeked), IsEmpty());
  EXPECT_GT(flusher_.wake(), now_);
  Only<DoPeek>(Step(Wanted{.is_wanted = true, .dead = Dead({dead})}));
  EXPECT_EQ(Only<DoReleaseStale>(Step(peeked)).id.low, 1u);
  EXPECT_THAT(Step(Wanted{.is_wanted = true, .dead = Dead({dead})}), IsEmpty())
      << "the same word again";
}

TEST_F(ShardFlusherTest, PeeksInTimeForTheNextDeadlineWhileTheClockMoves) {
  Acquire();
  Peeked peeked = PeekWith({});
  peeked.value.next_deadline = EventTime{1'020};
  Step(peeked);
  EXPECT_EQ(flusher_.wake() - now_, milliseconds(20));
  Wait();
  Only<DoPeek>(Step(Tick{}));
  Step(peeked);  // the clock stands still
  EXPECT_EQ(flusher_.wake() - now_, milliseconds(100));
}

TEST_F(ShardFlusherTest, PausesAfterARelease) {
  Acquire();
  const auto claim = Only<DoClaim>(Step(PeekWith({Part(1)})));
  Step(ClaimOf(claim));
  const uint64_t due = flusher_.last_peek().due_count;
  Step(ClaimEnded{
      .id = claim.request.id, .how = ClaimEnded::How::kReleased, .cause = wire::Cause::kKafka});
  EXPECT_EQ(flusher_.blocked_cause(), wire::Cause::kKafka);
  EXPECT_EQ(flusher_.last_peek().due_count, due + 1) << "due again, before the next look";
  EXPECT_GT(flusher_.wake(), now_);
}

TEST_F(ShardFlusherTest, IgnoresRepliesNobodyWaitsFor) {
  Acquire();
  Step(PeekWith({}));
  EXPECT_THAT(Step(Failed<Claimed>(StoreCode::kFenced)), IsEmpty());
  EXPECT_THAT(Step(ClaimEnded{.id = {1, 2}}), IsEmpty());
  EXPECT_EQ(flusher_.epoch(), kEpoch);
}

TEST_F(ShardFlusherTest, LeavesAtOnceIfItHoldsNothing) {
  Acquire();
  Step(PeekWith({}));
  EXPECT_THAT(Step(Wanted{false}), IsEmpty());
  EXPECT_TRUE(flusher_.is_gone());
}

TEST_F(ShardFlusherTest, StopsAndThenForgetsClaimsThatDoNotEnd) {
  Acquire();
  const auto claim = Only<DoClaim>(Step(PeekWith({Part(1)})));
  Step(ClaimOf(claim));
  Step(Failed<Peeked>(StoreCode::kUnavailable));
  EXPECT_THAT(Step(Wanted{false}), IsEmpty());
  EXPECT_EQ(flusher_.stage(), wire::ShardStage::kReleasing);
  Wait();
  Only<StopClaims>(Step(Tick{}));
  EXPECT_FALSE(flusher_.is_gone());
  Wait();
  Only<ForgetClaims>(Step(Tick{}));
  EXPECT_TRUE(flusher_.is_gone());
}

}  // namespace
}  // namespace spillway::flush
