---------------------------- MODULE ShardBuffer ----------------------------
(***************************************************************************)
(* The buffer protocol of docs/design.md, section 4, for one shard: input  *)
(* log, Redis, ingest owners, flush owners, output.  README.md beside this *)
(* file says what is left out and why.                                     *)
(*                                                                         *)
(* A call to Redis is one step, since a script is.  Its answer arrives, or *)
(* the call is *delayed*: it stays in `net` and may be executed at any     *)
(* later time or never, while its sender sends it again.  A lost answer is *)
(* a delayed call that is executed at once.                                *)
(*                                                                         *)
(* "Fresh" ids (owners, claims, lease ends) are the least number that      *)
(* nobody remembers any more: as good as random, and finite.               *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
  Ingesters, Flushers,  \* worker processes
  Log,                  \* the input: a sequence of messages, offset 0 first
  LastClock,            \* the event clock goes from 0 to this
  Timeout,              \* from a part's last span to its deadline
  LateWindow,           \* from the deadline on
  Crashes, Rebalances, Delays, Rollbacks, Losses,  \* how many faults of a kind
  Weak                  \* the clause that is left out, "none" in the design

ASSUME Weak \in
  {"none",
   "index_kept",                \* after any mismatch the index is thrown away
   "missing_meta_accepted",     \* only take creates `meta`
   "watermark_not_compared",    \* an add compares the watermark,
   "clock_not_compared",        \* it and a tick the event clock,
   "figures_unproven",          \* a tick the watermark: else its figures say nothing about C
   "epoch_without_owner",       \* an epoch is a number and a random owner
   "live_parts_not_held",       \* C respects the live parts found at take,
   "live_read_torn",            \* which are read as of one instant
   "watermark_before_letters",  \* dead letters are acknowledged before the add
   "claim_ids_repeat",          \* claims have random ids
   "lease_not_named",           \* acknowledge names the lease end
   "lengths_not_compared",      \* what is loaded is as long as what was claimed
   "acknowledged_early"}        \* delivery comes first

VARIABLES
  redis,      \* the shard's keys
  snapshot,   \* what Redis may fall back to
  net,        \* delayed calls
  ingest,     \* memory of each ingest worker
  flush,      \* memory of each flush worker
  assigned,   \* the ingest worker that Kafka's group has given the partition
  ordered,    \* the flush worker that has the shard by spillwayd's last word
  committed,  \* C, in Kafka
  delivered,  \* spans in the output topic
  letters,    \* offsets in the dead letter topic
  faults,     \* how many faults of a kind are left
  wrong       \* steps that must never be, by name

vars == <<redis, snapshot, net, ingest, flush, assigned, ordered, committed, delivered, letters,
          faults, wrong>>

-----------------------------------------------------------------------------
(* The log.  A message is a span of a segment, with an identity and a      *)
(* timestamp, or no valid span.  (A .cfg file picks one of these.)         *)

Message(segment, id, time) == [is_valid |-> TRUE, segment |-> segment, id |-> id, time |-> time]
Garbage == [is_valid |-> FALSE, segment |-> 0, id |-> 0, time |-> 0]

OneSegment  == <<Message(1, 1, 0), Message(1, 2, 0)>>
LateAndTwin == <<Message(1, 1, 0), Message(2, 2, 1), Message(1, 1, 0), Message(1, 3, 0)>>
WithGarbage == <<Message(1, 1, 0), Garbage, Message(1, 2, 1)>>

End == Len(Log)
At(offset) == Log[offset + 1]

Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b
Least(S) == CHOOSE x \in S : \A y \in S : x <= y
Fresh(S) == Least((1 .. Cardinality(S) + 1) \ S)

Never == 99           \* later than any deadline
Nowhere == 99         \* the part of a message that is written to no part
NoCall == [op |-> "none"]
Unclaimed == [id |-> 0, lease |-> 0]

(* In the end everything leaves. *)
DeadlineAt(time) == Min(time + Timeout, LastClock)

-----------------------------------------------------------------------------
(* Redis.  A part is named by the offset that opened it; it is in `due`    *)
(* unless it is claimed.  `exists` is FALSE when `meta` is missing.        *)

Lost == [exists |-> FALSE, watermark |-> 0, clock |-> 0, writer |-> 0, flusher |-> 0,
         parts |-> <<>>, claims_made |-> 0]

IsClaimed(part) == part.claim.id # 0
IsOpen(r, n) == ~IsClaimed(r.parts[n]) /\ r.parts[n].deadline > r.clock
CanBeClaimed(r, n) == ~IsClaimed(r.parts[n]) /\ r.parts[n].deadline <= r.clock
ClaimedBy(r, id) == {n \in DOMAIN r.parts : r.parts[n].claim.id = id}
LowestOutstanding(r) == Least({Never} \cup {r.parts[n].deadline : n \in DOMAIN r.parts})

WithPart(r, n, part) ==
  [r EXCEPT !.parts = [m \in DOMAIN r.parts \cup {n} |-> IF m = n THEN part ELSE r.parts[m]]]
WithoutPart(r, n) == [r EXCEPT !.parts = [m \in DOMAIN r.parts \ {n} |-> r.parts[m]]]

(* The only script that creates `meta`. *)
Take(r, call) ==
  [r EXCEPT !.exists = TRUE,
            !.watermark = Max(r.watermark, call.committed),
            !.writer = IF Weak = "epoch_without_owner" THEN r.writer + 1 ELSE call.epoch]

Refusal(r, call) ==
  CASE ~r.exists -> IF Weak = "missing_meta_accepted" THEN "ok" ELSE "no shard"
    [] r.exists /\ r.writer # call.epoch -> "fenced"
    [] r.exists /\ r.writer = call.epoch /\ r.watermark # call.watermark
       /\ Weak # (IF call.op = "tick" THEN "figures_unproven" ELSE "watermark_not_compared") -> "watermark"
    [] r.exists /\ r.writer = call.epoch /\ r.clock # call.clock
       /\ Weak # "clock_not_compared" -> "clock"
    [] OTHER -> "ok"

Add(r, call) ==
  LET moved == [r EXCEPT !.exists = TRUE, !.writer = call.epoch,
                         !.watermark = call.watermark + 1, !.clock = call.new_clock]
      is_new == call.part \notin DOMAIN r.parts
      has == IF is_new THEN {} ELSE r.parts[call.part].has
      claim == IF is_new THEN Unclaimed ELSE r.parts[call.part].claim
  IN IF call.part = Nowhere THEN moved
     ELSE WithPart(moved, call.part, [deadline |-> call.deadline, claim |-> claim,
                                      has |-> has \cup {call.watermark}])

(* At the end of time a tick only brings the figures. *)
Tick(r, call) == [r EXCEPT !.exists = TRUE, !.writer = call.epoch, !.clock = Min(r.clock + 1, LastClock)]

(* The same id again is the same claim. `lease` is its end in Redis TIME,  *)
(* so no two executions have the same.                                     *)
Claim(r, call, lease) ==
  IF ClaimedBy(r, call.id) # {} /\ call.id # 0 THEN r
  ELSE IF call.part \in DOMAIN r.parts /\ CanBeClaimed(r, call.part) THEN
    LET number == r.claims_made + 1
        claim == IF Weak = "claim_ids_repeat" THEN [id |-> number, lease |-> number]
                 ELSE [id |-> call.id, lease |-> lease]
    IN [WithPart(r, call.part, [r.parts[call.part] EXCEPT !.claim = claim])
        EXCEPT !.claims_made = IF Weak = "claim_ids_repeat" THEN number ELSE 0]
  ELSE r

IsKnown(r, call) ==
  /\ call.part \in DOMAIN r.parts
  /\ r.parts[call.part].claim.id = call.id
  /\ r.parts[call.part].claim.lease = call.lease \/ Weak = "lease_not_named"

Acknowledge(r, call) == IF IsKnown(r, call) THEN WithoutPart(r, call.part) ELSE r

Release(r, call) ==
  [r EXCEPT !.parts = [n \in DOMAIN r.parts |->
     IF r.parts[n].claim.id = call.id THEN [r.parts[n] EXCEPT !.claim = Unclaimed] ELSE r.parts[n]]]

(* Ids that somebody remembers. *)
CallsOf(ops) == {call \in net : call.op \in ops}
Claims(r) == {r.parts[n].claim : n \in DOMAIN r.parts}
AllClaims == Claims(redis) \cup Claims(snapshot) \cup {flush[f].claim : f \in Flushers}
FreshWriter == Fresh({redis.writer, snapshot.writer} \cup {ingest[p].epoch : p \in Ingesters}
                     \cup {call.epoch : call \in CallsOf({"take", "add", "tick"})})
FreshFlusher == Fresh({redis.flusher, snapshot.flusher} \cup {flush[f].epoch : f \in Flushers}
                      \cup {call.epoch : call \in CallsOf({"claim"})})
FreshClaim == Fresh({claim.id : claim \in AllClaims}
                    \cup {call.id : call \in CallsOf({"claim", "acknowledge", "release"})})
FreshLease == Fresh({claim.lease : claim \in AllClaims}
                    \cup {call.lease : call \in CallsOf({"acknowledge"})})

(* What Redis is after a call, whoever sent it and whenever. *)
Execute(r, call) ==
  CASE call.op = "take" -> Take(r, call)
    [] call.op = "add" -> IF Refusal(r, call) = "ok" THEN Add(r, call) ELSE r
    [] call.op = "tick" -> IF Refusal(r, call) = "ok" THEN Tick(r, call) ELSE r
    [] call.op = "claim" -> IF r.exists /\ r.flusher = call.epoch THEN Claim(r, call, FreshLease) ELSE r
    [] call.op = "acknowledge" -> Acknowledge(r, call)
    [] call.op = "release" -> Release(r, call)

SpansOf(offsets) == {At(offset).id : offset \in offsets}

(* What must not be done by executing it. *)
WrongBy(r, call) ==
  CASE call.op = "add" /\ Refusal(r, call) = "ok" ->
         (IF call.part \in DOMAIN r.parts /\ ~IsOpen(r, call.part)
          THEN {"written although it can be claimed"} ELSE {})
         \cup (IF call.part # Nowhere /\ \E n \in DOMAIN r.parts : call.watermark \in r.parts[n].has
               THEN {"written twice"} ELSE {})
    [] call.op = "acknowledge" ->
         IF IsKnown(r, call) /\ ~(SpansOf(r.parts[call.part].has) \subseteq delivered)
         THEN {"acknowledged before delivery"} ELSE {}
    [] OTHER -> {}

-----------------------------------------------------------------------------
(* The ingest owner's index: what it knows of each part it wrote or found. *)
(* `leaves` is the deadline that says when the part has left, 0 if it is   *)
(* known to have; the late window runs from `deadline`.                    *)

Idle == [phase |-> "idle", epoch |-> 0, watermark |-> 0, clock |-> 0, index |-> {},
         sent |-> NoCall, owed |-> {}, proven |-> 0]

Known(r, names, start) ==
  {[part |-> n, deadline |-> r.parts[n].deadline, leaves |-> r.parts[n].deadline,
    segment |-> IF n >= start THEN At(n).segment ELSE 0,  \* else not found by the replay
    ids |-> SpansOf({k \in r.parts[n].has : k >= start})] : n \in names}

Replayed(r, known, start) ==
  {[part |-> k, deadline |-> Min(At(k).time + Timeout, r.clock), leaves |-> 0,
    segment |-> At(k).segment, ids |-> {At(k).id}] :
     k \in {k \in start .. r.watermark - 1 :
              At(k).is_valid /\ \A x \in known : At(k).id \notin x.ids}}

(* The index after a take: from the log, but what Redis holds is the truth *)
(* about parts.                                                            *)
Rebuilt(r, names, start) == LET known == Known(r, names, start) IN known \cup Replayed(r, known, start)

LiveParts(r) == IF Weak = "live_parts_not_held" THEN {n \in DOMAIN r.parts : IsOpen(r, n)}
                ELSE DOMAIN r.parts

Owner(epoch, r, index) ==
  [Idle EXCEPT !.phase = "live", !.epoch = epoch, !.watermark = r.watermark, !.clock = r.clock,
               !.index = index]

(* What is sent for the next message. *)
PlannedAdd(i) ==
  LET message == At(i.watermark)
      time == Max(i.clock, message.time)
      segment == {x \in i.index : x.segment = message.segment /\ x.deadline + LateWindow >= time}
      open == {x \in segment : x.deadline > time /\ x.leaves # 0}
      last == CHOOSE x \in open : \A y \in open : x.deadline >= y.deadline
      is_twin == \E x \in segment : message.id \in x.ids
      part == IF ~message.is_valid \/ is_twin THEN Nowhere
              ELSE IF open # {} THEN last.part ELSE i.watermark
  IN [op |-> "add", epoch |-> i.epoch, watermark |-> i.watermark, clock |-> i.clock,
      new_clock |-> time, part |-> part, deadline |-> DeadlineAt(time)]

PlannedTick(i) == [op |-> "tick", epoch |-> i.epoch, watermark |-> i.watermark, clock |-> i.clock]

(* The index after the add has been applied. *)
Applied(i, call) ==
  LET message == At(call.watermark)
      before == {x \in i.index : x.part = call.part /\ x.leaves # 0}
      ids == {message.id} \cup UNION {x.ids : x \in before}
      entry == [part |-> call.part, deadline |-> call.deadline, leaves |-> call.deadline,
                segment |-> message.segment, ids |-> ids]
      owed == IF message.is_valid \/ call.watermark \in letters THEN {} ELSE {call.watermark}
  IN [i EXCEPT !.watermark = call.watermark + 1, !.clock = call.new_clock, !.sent = NoCall,
               !.index = IF call.part = Nowhere THEN @ ELSE (@ \ before) \cup {entry},
               !.owed = @ \cup owed]

(* Figures of a call that proved epoch and watermark: C may rise. *)
Observed(i, r) ==
  LET clock == Max(i.clock, r.clock)
      lowest == LowestOutstanding(r)
      holding == {x \in i.index : x.leaves >= lowest \/ clock <= x.deadline + LateWindow}
      low == Least({i.watermark} \cup {x.part : x \in holding})
  IN [i EXCEPT !.clock = clock, !.sent = NoCall, !.index = holding,
               !.proven = IF low > committed THEN low ELSE 0]

GiveUp(i) == IF Weak = "index_kept" THEN [Idle EXCEPT !.index = i.index] ELSE Idle

(* The owner's memory after the answer to `call`, executed in `r`. *)
Answered(i, r, call) ==
  LET refusal == Refusal(r, call)
      is_ours == refusal = "watermark" /\ call.op = "add" /\ r.watermark = call.watermark + 1
  IN CASE refusal = "ok" /\ call.op = "add" -> Observed(Applied(i, call), Execute(r, call))
       [] refusal = "ok" /\ call.op = "tick" -> Observed(i, Execute(r, call))
       [] refusal # "ok" /\ is_ours -> Applied(i, call)  \* it had been executed
       [] refusal # "ok" /\ ~is_ours -> GiveUp(i)

-----------------------------------------------------------------------------
(* Steps. *)

Call(call) == redis' = Execute(redis, call) /\ wrong' = wrong \cup WrongBy(redis, call)
Delay(call) == /\ faults.delays > 0
               /\ faults' = [faults EXCEPT !.delays = @ - 1]
               /\ net' = net \cup {call}
               /\ UNCHANGED <<redis, wrong>>

(* A delayed call arrives. *)
Arrive(call) ==
  /\ Call(call)
  /\ net' = net \ {call}
  /\ UNCHANGED <<snapshot, ingest, flush, assigned, ordered, committed, delivered, letters, faults>>

(* --- ingest --- *)

TakeShard(p) ==
  LET call == [op |-> "take", epoch |-> FreshWriter, committed |-> committed]
      after == Take(redis, call)
      claimed == {n \in DOMAIN after.parts : IsClaimed(after.parts[n])}
  IN /\ p = assigned /\ ingest[p].phase = "idle"
     /\ \/ /\ Call(call)
           /\ ingest' = [ingest EXCEPT ![p] =
                CASE Weak = "index_kept" /\ @.index # {} -> Owner(after.writer, after, @.index)
                  [] Weak = "live_read_torn" ->
                       [Owner(after.writer, after, Known(after, claimed, committed)) EXCEPT !.phase = "half"]
                  [] OTHER -> Owner(after.writer, after, Rebuilt(after, LiveParts(after), committed))]
           /\ UNCHANGED <<net, faults>>
        \/ Delay(call) /\ UNCHANGED ingest
     /\ UNCHANGED <<snapshot, flush, assigned, ordered, committed, delivered, letters>>

(* Only with "live_read_torn": claimed parts above, the others here. *)
ReadTheRest(p) ==
  /\ ingest[p].phase = "half"
  /\ LET others == {n \in DOMAIN redis.parts : ~IsClaimed(redis.parts[n])}
         known == ingest[p].index \cup Known(redis, others, committed)
     IN ingest' = [ingest EXCEPT ![p] = [@ EXCEPT !.phase = "live", !.index =
          known \cup Replayed([redis EXCEPT !.watermark = ingest[p].watermark], known, committed)]]
  /\ UNCHANGED <<redis, snapshot, net, flush, assigned, ordered, committed, delivered, letters, faults, wrong>>

Send(p, call) ==
  /\ \/ /\ Call(call)
        /\ ingest' = [ingest EXCEPT ![p] = Answered(@, redis, call)]
        /\ UNCHANGED <<net, faults>>
     \/ /\ ingest[p].sent = NoCall
        /\ Delay(call)
        /\ ingest' = [ingest EXCEPT ![p].sent = call]
  /\ UNCHANGED <<snapshot, flush, assigned, ordered, committed, delivered, letters>>

IsReady(p) == ingest[p].phase = "live" /\ ingest[p].sent = NoCall

AddNext(p) ==
  /\ IsReady(p) /\ ingest[p].watermark < End
  /\ At(ingest[p].watermark).is_valid \/ ingest[p].watermark \in letters
     \/ Weak = "watermark_before_letters"
  /\ Send(p, PlannedAdd(ingest[p]))

TickNow(p) == IsReady(p) /\ Send(p, PlannedTick(ingest[p]))

SendAgain(p) ==
  /\ ingest[p].phase = "live" /\ ingest[p].sent # NoCall
  /\ Send(p, ingest[p].sent)

(* The dead letter of the next message, or of one that is owed, has been   *)
(* acknowledged by Kafka.                                                  *)
DeliverLetter(p) ==
  /\ ingest[p].phase = "live"
  /\ \E k \in ingest[p].owed \cup ({ingest[p].watermark} \cap (0 .. End - 1)) :
       /\ ~At(k).is_valid /\ (k \notin letters \/ k \in ingest[p].owed)
       /\ letters' = letters \cup {k}
       /\ ingest' = [ingest EXCEPT ![p].owed = @ \ {k}]
  /\ UNCHANGED <<redis, snapshot, net, flush, assigned, ordered, committed, delivered, faults, wrong>>

(* Kafka refuses the commit of a worker that has lost the partition. *)
Commit(p) ==
  /\ p = assigned /\ ingest[p].proven > committed
  /\ committed' = ingest[p].proven
  /\ ingest' = [ingest EXCEPT ![p].proven = 0]
  /\ UNCHANGED <<redis, snapshot, net, flush, assigned, ordered, delivered, letters, faults, wrong>>

(* --- flush --- *)

NoClaim == [id |-> 0, lease |-> 0, part |-> Nowhere, length |-> 0, state |-> "none"]

(* Where there is only one flush worker, epochs of flush owners are left out: all are 0. *)
HasEpoch(f) == flush[f].epoch # 0 \/ Cardinality(Flushers) = 1
IsFlusher(f) == redis.exists /\ flush[f].epoch = redis.flusher /\ HasEpoch(f)

Acquire(f) ==
  LET epoch == IF Weak = "epoch_without_owner" THEN Max(redis.flusher, flush[f].epoch) + 1
               ELSE FreshFlusher
  IN /\ redis.exists /\ f = ordered /\ ~IsFlusher(f)
     /\ redis' = [redis EXCEPT !.flusher = epoch]
     /\ flush' = [flush EXCEPT ![f].epoch = epoch]
     /\ UNCHANGED <<snapshot, net, ingest, assigned, ordered, committed, delivered, letters, faults, wrong>>

(* Of a peek that found it due, or again after no answer. *)
ClaimPart(f, part) ==
  LET held == flush[f].claim
      id == IF Weak = "claim_ids_repeat" THEN 0 ELSE IF held.state = "asked" THEN held.id ELSE FreshClaim
      call == [op |-> "claim", epoch |-> flush[f].epoch, id |-> id, part |-> part]
      after == Execute(redis, call)
      got == after.parts[part].claim
      is_granted == /\ IsFlusher(f) /\ part \in DOMAIN after.parts
                    /\ got.id # 0 /\ (got.id = id \/ after # redis)
  IN /\ \/ held.state = "none" /\ IsFlusher(f)
           /\ part \in DOMAIN redis.parts /\ CanBeClaimed(redis, part)
        \/ held.state = "asked" /\ part = held.part
     /\ \/ /\ Call(call)
           /\ flush' = [flush EXCEPT ![f].claim =
                IF is_granted THEN [id |-> got.id, lease |-> got.lease, part |-> part, state |-> "held",
                                    length |-> Cardinality(after.parts[part].has)]
                ELSE NoClaim]
           /\ UNCHANGED <<net, faults>>
        \/ /\ held.state = "none"
           /\ Delay(call)
           /\ flush' = [flush EXCEPT ![f].claim = [NoClaim EXCEPT !.id = id, !.part = part, !.state = "asked"]]
     /\ UNCHANGED <<snapshot, ingest, assigned, ordered, committed, delivered, letters>>

(* Loads the part's list, whatever Redis now is, compares its length with  *)
(* the claim's answer, produces, and gets the broker's report.             *)
Deliver(f) ==
  /\ flush[f].claim.state = "held" /\ flush[f].claim.part \in DOMAIN redis.parts
  /\ Cardinality(redis.parts[flush[f].claim.part].has) = flush[f].claim.length
     \/ Weak = "lengths_not_compared"
  /\ delivered' = delivered \cup SpansOf(redis.parts[flush[f].claim.part].has)
  /\ flush' = [flush EXCEPT ![f].claim.state = "delivered"]
  /\ UNCHANGED <<redis, snapshot, net, ingest, assigned, ordered, committed, letters, faults, wrong>>

EndWith(f, call) ==
  /\ \/ Call(call) /\ flush' = [flush EXCEPT ![f].claim = NoClaim] /\ UNCHANGED <<net, faults>>
     \/ Delay(call) /\ UNCHANGED flush
  /\ UNCHANGED <<snapshot, ingest, assigned, ordered, committed, delivered, letters>>

AcknowledgeClaim(f) ==
  LET held == flush[f].claim
  IN /\ held.state = "delivered" \/ (held.state = "held" /\ Weak = "acknowledged_early")
     /\ EndWith(f, [op |-> "acknowledge", id |-> held.id, lease |-> held.lease, part |-> held.part])

(* Not delivered in time, or the list is another than was claimed. *)
ReleaseClaim(f) ==
  /\ flush[f].claim.state = "held"
  /\ EndWith(f, [op |-> "release", id |-> flush[f].claim.id])

(* A claim of an older epoch whose lease has ended, or one of its own that *)
(* it does not hold.  When a lease ends is left open.                      *)
ReleaseStale(f) ==
  /\ IsFlusher(f)
  /\ \E n \in DOMAIN redis.parts :
       /\ IsClaimed(redis.parts[n]) /\ redis.parts[n].claim.id # flush[f].claim.id
       /\ Call([op |-> "release", id |-> redis.parts[n].claim.id])
  /\ UNCHANGED <<snapshot, net, ingest, flush, assigned, ordered, committed, delivered, letters, faults>>

(* --- faults --- *)

Spend(kind) == faults[kind] > 0 /\ faults' = [faults EXCEPT ![kind] = @ - 1]

CrashIngest(p) ==
  /\ ingest[p] # Idle /\ Spend("crashes")
  /\ ingest' = [ingest EXCEPT ![p] = Idle]
  /\ UNCHANGED <<redis, snapshot, net, flush, assigned, ordered, committed, delivered, letters, wrong>>

CrashFlush(f) ==
  /\ flush[f].claim # NoClaim /\ Spend("crashes")
  /\ flush' = [flush EXCEPT ![f] = [epoch |-> 0, claim |-> NoClaim]]
  /\ UNCHANGED <<redis, snapshot, net, ingest, assigned, ordered, committed, delivered, letters, wrong>>

(* The old owner learns nothing of it. *)
Rebalance(p) ==
  /\ p # assigned /\ Spend("rebalances")
  /\ assigned' = p
  /\ UNCHANGED <<redis, snapshot, net, ingest, flush, ordered, committed, delivered, letters, wrong>>

Reorder(f) ==
  /\ f # ordered /\ Spend("rebalances")
  /\ ordered' = f
  /\ UNCHANGED <<redis, snapshot, net, ingest, flush, assigned, committed, delivered, letters, wrong>>

Snapshot ==
  /\ faults.rollbacks > 0 /\ ~snapshot.exists /\ redis.exists
  /\ snapshot' = redis
  /\ UNCHANGED <<redis, net, ingest, flush, assigned, ordered, committed, delivered, letters, faults, wrong>>

Rollback ==
  /\ snapshot.exists /\ redis # snapshot /\ Spend("rollbacks")
  /\ redis' = snapshot
  /\ snapshot' = IF faults.rollbacks = 1 THEN Lost ELSE snapshot
  /\ UNCHANGED <<net, ingest, flush, assigned, ordered, committed, delivered, letters, wrong>>

LoseRedis ==
  /\ redis.exists /\ Spend("losses")
  /\ redis' = Lost
  /\ UNCHANGED <<snapshot, net, ingest, flush, assigned, ordered, committed, delivered, letters, wrong>>

Init ==
  /\ redis = Lost /\ snapshot = Lost /\ net = {}
  /\ ingest = [p \in Ingesters |-> Idle]
  /\ flush = [f \in Flushers |-> [epoch |-> 0, claim |-> NoClaim]]
  /\ assigned = CHOOSE p \in Ingesters : TRUE
  /\ ordered = CHOOSE f \in Flushers : TRUE
  /\ committed = 0 /\ delivered = {} /\ letters = {} /\ wrong = {}
  /\ faults = [crashes |-> Crashes, rebalances |-> Rebalances, delays |-> Delays,
               rollbacks |-> Rollbacks, losses |-> Losses]

Next ==
  \/ \E call \in net : Arrive(call)
  \/ \E p \in Ingesters : \/ TakeShard(p) \/ ReadTheRest(p) \/ AddNext(p) \/ TickNow(p) \/ SendAgain(p)
                          \/ DeliverLetter(p) \/ Commit(p) \/ CrashIngest(p) \/ Rebalance(p)
  \/ \E f \in Flushers : \/ Acquire(f) \/ (\E n \in 0 .. End - 1 : ClaimPart(f, n)) \/ Deliver(f)
                         \/ AcknowledgeClaim(f) \/ ReleaseClaim(f) \/ ReleaseStale(f)
                         \/ CrashFlush(f) \/ Reorder(f)
  \/ Snapshot \/ Rollback \/ LoseRedis

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* Properties. *)

(* The message has reached its topic. *)
IsOut(k) == IF At(k).is_valid THEN At(k).id \in delivered ELSE k \in letters
IsBuffered(k) == At(k).is_valid /\ \E n \in DOMAIN redis.parts : At(k).id \in SpansOf(redis.parts[n].has)
WillBeRead(k) == committed <= k /\ (~redis.exists \/ redis.watermark <= k)
(* Only where the watermark may move first. *)
IsOwed(k) == \E p \in Ingesters : k \in ingest[p].owed

NothingLost == \A k \in 0 .. End - 1 : IsOut(k) \/ IsBuffered(k) \/ WillBeRead(k) \/ IsOwed(k)

CommittedIsOut == \A k \in 0 .. committed - 1 : IsOut(k)

NoneAcknowledgedEarly == "acknowledged before delivery" \notin wrong

ClaimableIsFinal == "written although it can be claimed" \notin wrong

OneOwner ==
  redis.exists =>
    /\ Cardinality({p \in Ingesters : ingest[p].phase # "idle" /\ ingest[p].epoch = redis.writer}) <= 1
    /\ Cardinality({f \in Flushers : IsFlusher(f)}) <= 1

BufferedOnce == "written twice" \notin wrong

(* Not a property: that it fails shows that all can be done. *)
NeverDone == ~(committed = End /\ redis.exists /\ redis.parts = <<>>)

Symmetry == Permutations(Ingesters) \cup Permutations(Flushers)
=============================================================================
