"""What tests/sim/mutate breaks: one clause of design section 4 at a time, and who must notice.

`text` stands exactly once in `file`. An Expression is replaced by another, a Statement by others; of
a Script the file is. Where only a piece is to be replaced, it stands between « and ». `breaks`: the invariant of section 4 (or rule of section 5).
`model`: the option of the protocol's executable model whose unsafe value this is, if it has one.
Options of the model without a counterpart in the code, and why:
  commit_clock, add_guard, commit_take, drop_ghost, two_merge, own_claims' claim_once: readings of
    the text that were not adopted; there is nothing in the code to break;
  size_off, size_dups, age_bound: about guessing a reopened part's size from the replay; Redis has
    it in the last chunk's header (option `header`, mutant redis-size);
  shared, only_loss, check_size: what the model generates and checks, not what it does.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sim:
    """Runs of the whole data plane: seeds 1 to `seeds` of one mix."""
    mix: str
    seeds: int = 240
    target = "data_plane_sim"

    @property
    def arguments(self):
        return [f"--mix={self.mix}", f"--seeds={self.seeds}", f"--gtest_filter=*/{self.mix}"]

    def __str__(self):
        return f"{self.target} {self.mix}"


@dataclass(frozen=True)
class Case:
    """Cases of a GoogleTest binary."""
    target: str
    filter: str

    @property
    def arguments(self):
        return [f"--gtest_filter={self.filter}", "--gtest_fail_fast"]

    def __str__(self):
        return f"{self.target} {self.filter}"


def redis(case):
    """A contract case on a real Redis."""
    return Case("redis_store_test", f"*ShardStoreContract.{case}/plain")


@dataclass(frozen=True)
class Mutant:
    id: str
    breaks: str
    file: str
    text: str
    instead: str
    by: object
    model: str = ""

    @property
    def whole(self):
        return self.text.replace("«", "").replace("»", "")

    @property
    def piece(self):
        return self.text[self.text.find("«") + 1:self.text.find("»")] if "«" in self.text else self.text

    def apply(self, to):
        """`to`, a file's text, with the mutant in it."""
        after = self.text.replace(f"«{self.piece}»", self.both) if "«" in self.text else self.both
        return to.replace(self.whole, after)


class Script(Mutant):
    """Text of a Lua script: of another build."""
    @property
    def both(self):
        return self.instead


class Expression(Mutant):
    """C++: both are compiled, and one is chosen when the test runs."""
    @property
    def both(self):
        return f'(SPILLWAY_MUTANT("{self.id}") ? ({self.instead}) : ({self.piece}))'


class Statement(Mutant):
    """C++: likewise."""
    @property
    def both(self):
        return f'if (SPILLWAY_MUTANT("{self.id}")) {{ {self.instead} }} else {{ {self.piece} }}'


INDEX = "worker/segment"
INGEST = "worker/ingest"
FLUSH = "worker/flush"
SCRIPTS = "buffer/scripts"
FAKE = "tests/support/fake_shard_store.cc"
FAKE_SHARD = "tests/support/fake_shard.cc"

MUTANTS = [
    # ---- Redis' scripts, noticed on a real Redis
    Script("tick-without-clock", "3: the clock is compared and set", f"{SCRIPTS}/tick.lua",
           "if m[3] ~= ARGV[3] then return {err = 'CLOCK ' .. m[3]} end\n", "",
           redis("ALateCopyOfATickDoesNotMoveTheClock"), "cas_clock"),
    Script("tick-back", "8: the clock never moves back", f"{SCRIPTS}/tick.lua",
           "if ARGV[4] == '1' and clock < time_ms then", "if ARGV[4] == '1' then",
           redis("TickNeverMovesTheClockBack")),
    Script("add-twice", "3: W is compared and set", f"{SCRIPTS}/add.lua",
           "if m[2] ~= ARGV[2] then return {err = 'WATERMARK ' .. m[2]} end\n", "",
           redis("TheSameBatchIsAppliedOnce")),
    Script("add-unfenced", "2: one writer, fenced by its epoch", f"{SCRIPTS}/add.lua",
           "if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end\n", "",
           redis("AFencedWriterWritesNothing")),
    Script("add-without-meta", "3: only take creates meta", f"{SCRIPTS}/add.lua",
           "if not m[1] then return {err = 'NO_SHARD'} end",
           "if not m[1] then m = {ARGV[1], ARGV[2], ARGV[3], 0, 0, '', 0, 0, 0, 0, 0, 0} end",
           redis("WithoutAShardNothingIsWritten")),
    Script("add-counts-twice", "13: the ledger counts a span once", f"{SCRIPTS}/add.lua",
           "'accepted', (m[8] or 0) + ARGV[7]", "'accepted', (m[8] or 0) + 2 * ARGV[7]",
           redis("EverySpanLeavesByOneCounter")),
    Script("take-same-epoch", "2: take stores the highest number + 1", f"{SCRIPTS}/take.lua",
           "number = number + 1\n", "",
           redis("EpochRisesAboveTheStoredAndTheProposedNumber")),
    Script("take-keeps-w", "3: if W < C then W := C", f"{SCRIPTS}/take.lua",
           "    watermark = committed\n", "",
           redis("AWatermarkBelowTheCommitIsRaisedToIt"), "w_to_c"),
    Script("take-old-log", "4: a log that ends below W is a new one", f"{SCRIPTS}/take.lua",
           "is_new_log = log_end < watermark or", "is_new_log =",
           redis("ALogThatEndsBelowTheWatermarkIsANewOne")),
    Script("ack-any-parts", "5: acknowledge names the claim's parts", f"{SCRIPTS}/ack.lua",
           "  if not are_as_held() and not are_the_same_parts() then return false end",
           "  if not are_as_held() then are_the_same_parts() end",
           redis("AStrangeAcknowledgeChangesNothing"), "ack_parts"),
    Script("ack-any-lease", "5: acknowledge names the claim's lease end", f"{SCRIPTS}/ack.lua",
           "if not held[1] or string.match(held[1], '%d+$') ~= ARGV[2] then return false end",
           "if not held[1] then return false end",
           redis("AStrangeAcknowledgeChangesNothing"), "ack_stamp"),
    Script("ack-counts-twice", "13: the ledger counts a span once", f"{SCRIPTS}/ack.lua",
           "'acknowledged', (m[4] or 0) + ARGV[3]", "'acknowledged', (m[4] or 0) + 2 * ARGV[3]",
           redis("EverySpanLeavesByOneCounter")),
    Script("release-loses-score", "5: release puts parts back with their old scores",
           f"{SCRIPTS}/release.lua", "entries[2 * i - 1], entries[2 * i] = scores[i], held[i + 2]",
           "entries[2 * i - 1], entries[2 * i] = 0, held[i + 2]",
           redis("ReleasedPartsAreDueAgain")),
    Script("peek-unfenced", "2: every peek compares the epoch", f"{SCRIPTS}/peek.lua",
           "if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end\n", "",
           redis("OnlyTheStoredEpochClaims"), "peek_epoch"),
    Script("claim-anew", "5: the same claim id returns the same claim", f"{SCRIPTS}/claim.lua",
           "local held = call('LRANGE', claim, 0, -1)\n", "local held = {}\n",
           redis("AClaimCallRepeatedReturnsTheSameClaim")),
    Script("claim-before-due", "claimable when deadline <= clock", f"{SCRIPTS}/claim.lua",
           "if lies_at and lies_at <= highest and", "if lies_at and",
           redis("AClaimSkipsWhatIsNotDue")),
    Script("claim-counts-own", "5: lengths of references' lists too", f"{SCRIPTS}/claim.lua",
           "    out[at] = entry_count(KEYS[j])\n", "    out[at] = 0\n",
           redis("AbsorbedPartsLeaveWithTheirHost"), "len_refs"),
    Expression("live-two-instants", "3: live parts of one instant", "buffer/redis/paged_read.cc",
               "changes_ == changes", "true",
               Case("redis_store_test", "*LivePartsOfManyPagesAreReadAgainWhenTheyChange*"),
               "atomic_live"),

    # ---- the same clauses in the store of the simulation: does it need them?
    Expression("sim-clock", "3: the clock is compared and set", FAKE,
               "shard->clock != request.expected_clock", "false", Sim("everything"), "cas_clock"),
    Expression("sim-ack-lease", "5: acknowledge names the claim's lease end", FAKE_SHARD,
               "claim.lease_end != request.lease_end", "false",
               Case("shard_store_contract_test", "*AStrangeAcknowledge*"), "ack_stamp"),
    Statement("sim-take-keeps-w", "3: if W < C then W := C", FAKE,
              "shard.watermark = request.committed;", "", Case("shard_store_contract_test", "*AWatermarkBelow*"), "w_to_c"),
    Expression("sim-add-twice", "3: W is compared and set", FAKE,
               "«shard->watermark != request.expected_watermark») {\n    auto", "false", Sim("net")),
    Expression("sim-add-unfenced", "2: one writer, fenced by its epoch", FAKE,
               "«shard->ingest_epoch != request.epoch»)\n    return Refuse<ShardFigures>", "false", Case("shard_store_contract_test", "*AFencedWriter*")),
    Statement("sim-same-incarnation", "4: another log is another incarnation", FAKE_SHARD,
              "++shard.incarnation;", "", Sim("new_log"), "inc_name"),

    # ---- the index
    Expression("clock-falls", "8: the clock never moves back", f"{INDEX}/shard_index.cc",
               "std::max(clock_, record.timestamp)", "record.timestamp", Sim("quiet")),
    Statement("c-above-live", "9: C is below what has not left", f"{INDEX}/shard_index.cc",
              "if (const auto live = live_offsets_.Lowest()) lowest = std::min(lowest, *live);", "",
              Sim("quiet")),
    Statement("c-above-taken", "9: C is below the live parts read at take",
              f"{INDEX}/shard_index.cc",
              "if (const auto held = held_parts_.Lowest()) lowest = std::min(lowest, *held);", "",
              Sim("rollback"), "hold_live"),
    Expression("c-before-late", "9: C is below what is in its late window",
               f"{INDEX}/shard_index.cc", "horizon = clock_ - «limits_.late_window»",
               "0 * limits_.late_window", Case("shard_index_test", "LowWatermarkTest.*")),
    Statement("c-ignores-flush", "9: C waits for what has not left", f"{INDEX}/shard_index.cc",
              "horizon = std::min(horizon, *lowest_outstanding);", "", Sim("kafka")),
    Expression("held-own-offset", "6: a part's lowest offset counts its references",
               f"{INDEX}/live_offsets.cc", "std::min(lowest, reference.offset)", "lowest",
               Case("shard_index_test", "RebuildTest.AReferenceHoldsTheLowWatermark"), "true_first"),
    Statement("no-reconcile", "3: what Redis holds is the truth about parts",
              f"{INDEX}/rebuild.cc", "Close(slot, live_deadlines);",
              "if (!component.is_open) Close(slot, live_deadlines);",
              Case("shard_index_test", "RebuildTest.APartThatRedisHasNotIsClosed"), "reconcile"),
    Expression("no-reopen", "3: open parts go on after a take", f"{INDEX}/rebuild.cc",
               "part.is_in_due && part.deadline > taken_.clock && part.last_header", "false",
               Sim("ids_faults"), "reopen"),
    Expression("not-by-reference", "3: a part belongs to a reference's component",
               f"{INDEX}/rebuild.cc", "if («component != kNoSlot») break;", "true",
               Case("shard_index_test", "RebuildTest.APartIsFoundByWhatItRefersTo"), "find_refs"),
    Expression("earlier-goes-on", "3: of several open parts the latest goes on",
               f"{INDEX}/rebuild.cc",
               "std::pair(a.deadline, a.name.offset) > std::pair(b.deadline, b.name.offset)",
               "std::pair(a.deadline, a.name.offset) < std::pair(b.deadline, b.name.offset)",
               Case("shard_index_test", "RebuildTest.OfSeveralOpenParts*"), "two_late"),
    Statement("own-references", "3: references as Redis has them", f"{INDEX}/rebuild.cc",
              "for (const PartName& reference : live.references) "
              "part.references.Append(reference.offset);",
              "part.references = component.part.references;",
              Case("index_sim_test", "*"), "redis_parts"),
    Expression("redis-size", "3: a reopened part's size as Redis has it", f"{INDEX}/rebuild.cc",
               "std::min<uint64_t>(header.part_bytes, kMaxPartBytes)", "component.part.bytes",
               Case("index_sim_test", "*"), "header"),
    Statement("closed-not-cut", "3: every other rebuilt part is closed", f"{INDEX}/rebuild.cc",
              "component.is_open = false;\n  «component.is_sticky = true;»", "",
              Case("shard_index_test", "RebuildTest.ASegmentWhosePartIsClosed*"), "sticky_closed"),
    Expression("last-parent", "rule 3: the first of a shared id decides its parent",
               f"{INDEX}/grouping.cc", "graph_.node(node).parent != Node::kUndecided", "false",
               Sim("ids"), "first_parent"),
    Expression("late-by-flusher", "9: the late window runs from the deadline",
               f"{INDEX}/grouping.cc",
               "!component.is_open && clock_ > component.deadline + limits_.late_window",
               "component.is_expired", Case("index_sim_test", "*"), "late_deadline"),
    Expression("host-is-parent", "6: the list with more chunks is kept", f"{INDEX}/parts.cc",
               "child.part.chunk_count > parent.part.chunk_count", "false",
               Case("index_sim_test", "*"), "host_chunks"),
    Expression("seal-by-chunks", "rule 5: the part opened first is sealed", f"{INDEX}/parts.cc",
               "child.part.LowestOffset() < parent.part.LowestOffset()",
               "child.part.chunk_count < parent.part.chunk_count",
               Case("index_sim_test", "*"), "seal_first"),
    Statement("seal-unmarked", "6: sealing appends a marked chunk", f"{INDEX}/parts.cc",
              "write.header.sealed = true;", "", Case("shard_index_test", "SizeTest.*"),
              "seal_mark"),
    Expression("name-without-incarnation", "6: names have the incarnation",
               f"{INDEX}/shard_index_impl.h", "return {«incarnation_», offset};", "1u",
               Sim("new_log"), "inc_name"),

    # ---- the ingest owner
    Expression("letters-later", "rule 9: W moves after the dead letters",
               f"{INGEST}/session_writing.cc", "«current_.letters_waiting > 0» || call_", "false",
               Sim("kafka")),
    Statement("memory-not-planned", "3: a batch refused for memory is planned again",
              f"{INGEST}/session_writing.cc", "index_->AbortBatch();", "",
              Sim("oom"), "replan"),
    Expression("index-full-stands", "8: a full index moves the clock",
               f"{INGEST}/session_writing.cc", "gate_.wants_clock()", "false",
               Case("ingest_test", "ShardSessionTest.TheIndexLimit*"), "index_tick, index_gate"),
    Expression("own-w-is-foreign", "3: W = our own new W means applied",
               f"{INGEST}/session_writing.cc",
               "result.value.watermark == sent_add_->new_watermark", "false",
               Case("ingest_test", "*ALostAnswerIsFoundAppliedByTheSecondTry")),
    Statement("mismatch-keeps-index", "3: a mismatch gives up the index",
              f"{INGEST}/session_writing.cc",
              "return GiveUp(absl::StrCat(\"Redis does not hold what was expected: \", "
              "result.message),\n                    NextBackoff());",
              "call_ = lost;\n      send_again_at_ = parts_.clock.Now() + NextBackoff();\n"
              "      return;", Sim("rollback")),
    Expression("c-read-once", "3: C is read again after take", f"{INGEST}/shard_taking.cc",
               "committed_now_ = «*committed»", "take_.committed",
               Case("ingest_test", "ShardTakingTest.*"), "late_c"),
    Expression("owner-of-process", "2: a random owner id at each take",
               f"{INGEST}/shard_taking.cc", "request_.draw_owner()", "uint64_t{7}",
               Case("ingest_test", "ShardTakingTest.*"), "fresh_id"),
    Expression("unanswered-not-replayed", "13: what a lost Redis had held is counted",
               f"{INGEST}/session_writing.cc", "before_.sent = «sent_add_->new_watermark»",
               "before_.watermark",
               Case("ingest_test", "*CountsWhatWasSentAndNeverAnswered")),
    Expression("loss-not-told", "13: what a lost Redis had held is counted",
               f"{INGEST}/shard_taking.cc",
               "request_.reached_at_most == kNoOffset ? «extent->log_end» : "
               "request_.reached_at_most",
               "extent->log_start", Sim("loss_alone")),
    Expression("counts-accepted-twice", "13: the ledger counts a span once",
               f"{INGEST}/work_batch.cc", "request.ledger.accepted = «plan.accepted»",
               "plan.accepted + plan.deduplicated", Sim("quiet")),
    Expression("replay-takes-all", "drop rules: what is read again is judged as it was",
               f"{INGEST}/shard_session.cc",
               "if («IsFiltered(message.offset, parsed.span.trace)») continue;", "false",
               Case("ingest_sim_test", "*")),
    Expression("reads-while-rules-change", "drop rules: Redis knows first",
               f"{INGEST}/session_reading.cc",
               "if («call_ == Call::kRules || call_ == Call::kRulesLost») return;", "false",
               Case("ingest_sim_test", "*")),

    # ---- the flush owner
    Expression("claims-of-nobody", "5: the owner releases claims it does not hold",
               f"{FLUSH}/shard_flusher.cc", "is_ours || claim.lease_end < peek_.redis_time",
               "!is_ours && claim.lease_end < peek_.redis_time", Sim("rollback"), "own_claims"),
    Expression("lease-ignored", "5: an older epoch's claim is released when its lease ends",
               f"{FLUSH}/shard_flusher.cc", "is_ours || claim.lease_end < peek_.redis_time",
               "is_ours", Sim("crash")),
    Expression("lease-too-short", "5: ... and not before", f"{FLUSH}/shard_flusher.cc",
               "is_ours || claim.lease_end < peek_.redis_time", "true",
               Case("shard_flusher_test", "*ReleasesOnlyClaimsNobodyCanEnd")),
    Expression("dead-ignored", "5: a dead owner's claim is released at once",
               f"{FLUSH}/shard_flusher.cc", "dead.epoch == epoch", "false", Sim("proven_dead")),
    Expression("dead-all", "5: ... and a living owner's is not", f"{FLUSH}/shard_flusher.cc",
               "dead.epoch == epoch", "true", Sim("proven_dead")),
    Expression("dead-by-number", "5: an epoch is a pair", f"{FLUSH}/shard_flusher.cc",
               "dead.epoch == epoch", "dead.epoch.number == epoch.number",
               Case("shard_flusher_test", "*WhatTheOrderCallsDead*")),
    Statement("silence-is-death", "5: dead is who is proven to be", "server/fleet/fleet.cc",
              "if (exited != nullptr) KeepEpochs(found->second, *exited);",
              "if (exited != nullptr || std::holds_alternative<Detached>(of.event)) "
              "KeepEpochs(found->second, Exited{});",
              Case("fleet_simulation_test", "*")),
    Expression("late-start-waited-for", "6: configuration generations", "server/fleet/config_rollout.cc",
               "const bool is_late = «worker.state == WorkerState::kStarting»", "false",
               Case("fleet_simulation_test", "*")),
    Statement("claim-id-reused", "5: claim ids are random", f"{FLUSH}/shard_flusher.cc",
              "due_.erase(due_.begin(), due_.begin() + static_cast<std::ptrdiff_t>(count));",
              "due_.erase(due_.begin(), due_.begin() + static_cast<std::ptrdiff_t>(count)); "
              "pending_->request.id = {.high = 1, .low = claims_.size() + 1};",
              Case("shard_flusher_test", "*GivesUpAClaimThatWasRefused")),
    Expression("flusher-of-process", "2: a random owner id at each acquire",
               f"{FLUSH}/shard_flusher.cc", ".owner = «random_()»", "uint64_t{7}",
               Case("shard_flusher_test", "*ANewOwnerEachTime"), "fresh_id"),
    Expression("ack-before-report", "5: a claim ends when every report has come",
               f"{FLUSH}/claim_run.cc",
               "if («is_waiting») return;\n  if (NumberOf", "false", Sim("kafka")),
    Statement("ack-undelivered", "5: only what was delivered is acknowledged",
              f"{FLUSH}/claim_run.cc",
              "«piece.has_failed = true;»\n      cause_ = is_dead", "", Sim("kafka")),
    Expression("load-unchecked", "5: what is loaded must match the claim", f"{FLUSH}/claim_run.cc",
               "!std::all_of(result.value.begin(), result.value.end(), is_whole)",
               "false", Case("flush_engine_test", "*ReleasesWhatDoesNotMatch*"), "load_check"),
    Expression("attempts-of-nobody", "5: a claim that its owner died over counts an attempt",
               f"{FLUSH}/flush_engine.cc", ".counts_attempt = «stale->counts_attempt»", "false",
               Case("flush_engine_test", "*GoesToTheDeadLetterTopicAfterFive")),
    Expression("attempts-of-the-dead", "5: a claim that only waited counts none",
               f"{FLUSH}/shard_flusher.cc", "dead->in_hand == claim.id", "true",
               Case("shard_flusher_test", "*WhatADeadOwnerHadInHand*")),
    Statement("never-put-down", "5: what waits for Kafka is not in hand",
              f"{FLUSH}/in_hand.h", "if (note_) note_(std::nullopt);", "",
              Case("flush_engine_test", "*WhileKafkaIsWaitedFor*")),
    Expression("letter-too-soon", "5: five attempts make a dead letter", f"{FLUSH}/shard_flusher.cc",
               "«due_[0].attempts» >= options_.dead_letter_attempts", "due_[0].attempts + 1",
               Sim("poison", 20)),
    Expression("letter-too-late", "5: five attempts make a dead letter",
               f"{FLUSH}/flush_options.h", "dead_letter_attempts = «5»", "6", Sim("poison", 20)),
    Expression("never-alone", "5: a part that was tried in vain is claimed alone",
               f"{FLUSH}/shard_flusher.cc", "part.attempts >= «options_.lonely_attempts»", "100u",
               Sim("poison", 40)),
    Statement("noted-too-late", "5: what is in hand is noted before it is worked on",
              f"{FLUSH}/claim_run.cc",
              "if (!queue_.empty()) in_hand.emplace(context_.note_in_hand, ClaimNow());", ";",
              Sim("poison", 20)),
    Statement("attempts-of-kafka", "5: an unreachable Kafka costs no attempt",
              f"{FLUSH}/claim_run.cc", "cause_ = is_dead ? wire::Cause::kDeadLetter : "
              "wire::Cause::kKafka;", 
              "counts_attempt_ = true; cause_ = wire::Cause::kKafka;", Case("flush_engine_test", "*ReleasesWhatKafka*"), "attempts_all"),
]
