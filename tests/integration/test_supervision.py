"""Workers that hang, servers that die meanwhile, backpressure: P4, P6, P8, P9, P10, P12 with real workers."""

import json
import os
import signal
import time
import uuid

import pytest

from harness import alive, wait_until
from load import Load, assert_exactly_once, assert_nothing_lost, everything
from spans import span
from test_verbs import fleet_of, pids, pool

# Found after 2 s of silence; its claims by the stranger, if nobody proves its death, after 12 s.
IMPATIENT = {
    "health": {"silence_timeout": "2s", "startup_timeout": "5s", "report_interval": "200ms"},
    "flush": {"lease": "12s"}, "output": {"delivery_timeout": "1s"},
    "restart": {"backoff": {"initial": "10ms", "max": "100ms"}},
}


def successor_of(fleet, name, before):
    def found():
        worker = fleet.worker(name, 0)
        newer = int(worker["generation"]) > int(before["generation"])
        return worker if newer and worker["state"] == "WORKER_STATE_READY" else None

    return wait_until(found, f"{name}/0 is replaced")


@pytest.mark.parametrize("point", ["flush.claim.held", "flush.produce.begun", "ingest.add.planned"])
def test_a_hanging_worker_tells_where_and_is_replaced(make_fleet, point):
    """P6: it computes for ever, deaf to TERM, in the middle of its work, with claims or a batch in its hands."""
    fleet = fleet_of(make_fleet, ingest=1, flush=2, config=IMPATIENT, before=arm)
    name = point.split(".")[0]
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    (fleet.folder / "armed" / point).write_text("1 hang")
    hung = wait_until(lambda: next((w for w in fleet.workers(name)
                                    if w["health"]["state"] == "HEALTH_STATE_UNHEALTHY"), None), "it is found")
    assert "no report for" in hung["health"]["evidence"], hung
    name, slot = hung["name"].split("/")[1], hung["name"].split("/")[3]
    after = wait_until(lambda: (lambda w: w if w["state"] == "WORKER_STATE_READY" and
                                int(w["generation"]) > int(hung["generation"]) else None)(fleet.worker(name, slot)),
                       "it is replaced")
    assert not alive(int(hung["pid"])) and after["uid"] != hung["uid"]
    assert "HangsInFailpoint" in after["lastDeath"] and "SIGKILL" in after["lastDeath"], after["lastDeath"]
    assert list((fleet.run_dir / "stacks").iterdir()), "all threads are in a file"
    moved = fleet.ledger_sum("acknowledged")
    wait_until(lambda: not load.is_running() or fleet.ledger_sum("acknowledged") > moved, "its shards flow again")
    verdict = load.check("--allow-duplicates")
    assert_nothing_lost(verdict)
    assert verdict["duplicated"] == verdict["duplicated_same_flush_id"], verdict


def arm(fleet):
    (fleet.folder / "armed").mkdir()
    fleet.environment = {"SPILLWAY_FAILPOINT_DIR": str(fleet.folder / "armed")}


# Above the 2 s after which waiting for the other side is said to be that.
STALLS = {**IMPATIENT, "health": {"stall_timeout": "4s", "silence_timeout": "60s", "report_interval": "200ms"},
          "flush": {**IMPATIENT["flush"], "drain_timeout": "1s"}}


@pytest.mark.parametrize("point", ["flush.claim.forgotten", "ingest.add.forgotten"])
def test_a_worker_that_reports_but_does_nothing_is_replaced(make_fleet, point):
    """P6: RUNNING but dead. It forgets a step of one shard; the other worker, as busy, is left alone."""
    role = point.split(".")[0]
    fleet = fleet_of(make_fleet, ingest=2, flush=2, config=STALLS, before=arm)
    for side in ("flushWorker", "ingestWorker"):  # a shard that is handed over begins anew, and would be mended
        wait_until(lambda: len({s.get(side) for s in fleet.shards()} - {None}) == 2, f"each {side} has its shards")
    before = {w["name"]: w for w in fleet.workers()}
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    (fleet.folder / "armed" / point).write_text("")

    def replaced():
        return next((w for w in fleet.workers(role) if w["uid"] != before[w["name"]]["uid"] and
                     w["state"] == "WORKER_STATE_READY"), None)

    after = wait_until(replaced, "it is replaced", 60)
    assert "work to do and no progress" in after["lastDeath"], after["lastDeath"]
    assert not alive(int(before[after["name"]]["pid"]))
    assert list((fleet.run_dir / "stacks").iterdir()), "all threads are in a file"
    deaths = json.loads(fleet.must("-o", "json", "deaths"))["deaths"]
    assert len(deaths) == 1 and "no progress" in json.dumps(deaths), deaths
    verdict = load.check("--allow-duplicates")
    assert_nothing_lost(verdict)
    assert verdict["duplicated"] == verdict["duplicated_same_flush_id"], verdict
    others = {w["name"]: w["uid"] for w in fleet.workers() if w["name"] != after["name"]}
    assert others == {name: before[name]["uid"] for name in others}


def test_workers_that_wait_for_redis_are_not_stalled(make_fleet):
    """Redis stands still for longer than a stall may last (Kafka: test_kafka_faults.py): slow is not stalled."""
    fleet = fleet_of(make_fleet, ingest=1, flush=2, config=STALLS)
    before = pids(fleet, "flush") | pids(fleet, "ingest")
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    fleet.redis.process.send_signal(signal.SIGSTOP)
    since = time.monotonic()
    try:
        wait_until(lambda: time.monotonic() - since > 7, "longer than stall_timeout and a margin")
        assert pids(fleet, "flush") | pids(fleet, "ingest") == before
    finally:
        fleet.redis.process.send_signal(signal.SIGCONT)
    assert_nothing_lost(load.check("--allow-duplicates"))
    assert pids(fleet, "flush") | pids(fleet, "ingest") == before
    assert json.loads(fleet.must("-o", "json", "deaths")).get("deaths", []) == []


def test_a_stopped_worker_is_silent_and_replaced(make_fleet):
    """P6, SIGSTOP: the health time-out of a worker that was well."""
    fleet = fleet_of(make_fleet, ingest=1, flush=1, config=IMPATIENT)
    before = fleet.worker("flush", 0)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    os.kill(int(before["pid"]), signal.SIGSTOP)
    after = successor_of(fleet, "flush", before)
    assert "no report for" in after["lastDeath"] and "is stopped" in after["lastDeath"], after["lastDeath"]
    assert not alive(int(before["pid"])) and after["uid"] != before["uid"]
    assert_nothing_lost(load.check("--allow-duplicates"))


def test_a_server_that_starts_while_a_worker_hangs_replaces_only_that(make_fleet):
    """P12: spillwayd is killed while a worker hangs; the next one finds both out."""
    fleet = fleet_of(make_fleet, ingest=1, flush=2, config=IMPATIENT)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    before = {w["name"]: w for w in fleet.workers()}
    hung = before["pools/flush/workers/0"]
    os.kill(int(hung["pid"]), signal.SIGSTOP)
    fleet.process.kill()
    fleet.process.wait()
    fleet.start(wait_healthy=False)
    successor_of(fleet, "flush", hung)
    assert not alive(int(hung["pid"]))
    same = [name for name, worker in before.items() if {w["name"]: w for w in fleet.workers()}[name]["pid"] == worker["pid"]]
    assert sorted(same) == ["pools/flush/workers/1", "pools/ingest/workers/0"]
    assert_nothing_lost(load.check("--allow-duplicates"))


def test_a_pause_outlives_a_killed_server(make_fleet):
    """kill -9 of spillwayd while flush is paused: still paused, nothing is claimed; resume works."""
    fleet = fleet_of(make_fleet, ingest=1, flush=2)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    before = pids(fleet, "flush")
    fleet.must("pause", "flush", "--wait", "--timeout", "60s")
    gone = len(everything(fleet.output))
    fleet.process.kill()
    fleet.process.wait()
    fleet.start(wait_healthy=False)
    fleet.must("wait", "ingest", "--for", "healthy", "--timeout", "60s")
    assert pool(fleet, "flush")["state"] == "POOL_STATE_PAUSED"
    wait_until(lambda: all(w.get("isPaused") for w in fleet.workers("flush")), "the workers say so")
    fleet.must("restart", "flush/0", "--wait", "--timeout", "60s")  # a new process as well
    wait_until(lambda: sum(int(s.get("backlog", 0)) for s in fleet.shards()) > 500, "what is due piles up")
    assert len(everything(fleet.output)) == gone and fleet.worker("flush", 0)["isPaused"]
    fleet.must("resume", "flush", "--wait", "--timeout", "60s")
    assert len(before & pids(fleet, "flush")) == 1
    assert_exactly_once(load.check())


def test_restarted_shards_begin_anew_and_lose_and_double_nothing(make_fleet):
    """Both owners of a shard give it up and take it again, under higher epochs; no process ends."""
    fleet = fleet_of(make_fleet, ingest=1, flush=2)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    before = pids(fleet, "flush") | pids(fleet, "ingest")
    for shard in (0, 3, 3):
        epochs = {s["name"]: (int(s["ingestEpoch"]), int(s["flushEpoch"])) for s in fleet.shards()}
        fleet.must("restart", "--shard", shard, "--wait", "--timeout", "60s")
        after = {s["name"]: (int(s["ingestEpoch"]), int(s["flushEpoch"])) for s in fleet.shards()}
        changed = [name for name in epochs if after[name] != epochs[name]]
        assert changed == [f"shards/{shard}"], (epochs, after)
    assert pids(fleet, "flush") | pids(fleet, "ingest") == before
    event = next(e for e in json.loads(fleet.must("-o", "json", "events"))["events"] if e["action"] == "RestartShard")
    assert event["target"] == "shards/3" and event["outcome"] == "OK" and "pools/ingest/workers/0" in event["detail"], event
    assert fleet.cli("restart", "--shard", 77)[0] == 3
    assert_exactly_once(load.check())


# ---- backpressure -------------------------------------------------------------------------------

def gates(fleet):
    return {int(s.get("shard", 0)): s.get("gate", {}).get("state", "")[len("GATE_STATE_"):] for s in fleet.shards()}


def send_segments(fleet, partition, count):
    fleet.input.send([span("a*", uuid.uuid4().hex) for _ in range(count)], partition=partition)


def test_backpressure_with_several_processes_closes_the_gate_of_the_shard_behind(make_fleet):
    """P8: one of two flush workers stands still; the other's shard stays open, and both drain afterwards."""
    fleet = make_fleet(partitions=2, config={
        "gate": {"backlog": {"slow": 20, "close": 40}}, "health": {"silence_timeout": "60s", "report_interval": "200ms"},
        "segments": {"root_timeout": "500ms"},
        "pools": [{"name": "ingest", "role": "ingest", "replicas": 2}, {"name": "flush", "role": "flush", "replicas": 2}]})
    fleet.start()
    for side in ("flushWorker", "ingestWorker"):  # a shard that moves later has no gate for a moment
        wait_until(lambda: len({s.get(side) for s in fleet.shards()} - {None}) == 2, f"each {side} has one of its own")
    owner = next(s["flushWorker"] for s in fleet.shards() if int(s.get("shard", 0)) == 0)
    pid = fleet.pid("flush", owner.rsplit("/", 1)[1])
    os.kill(pid, signal.SIGSTOP)
    try:
        for partition in (0, 1):
            send_segments(fleet, partition, 100)
        wait_until(lambda: gates(fleet)[0] == "CLOSED", "the gate of the shard behind closes")
        wait_until(lambda: fleet.ledger_sum("acknowledged") >= 100, "the other shard's segments leave")
        wait_until(lambda: gates(fleet)[1] == "OPEN", "its gate is open")
        assert gates(fleet)[0] == "CLOSED"
        send_segments(fleet, 0, 50)
        send_segments(fleet, 1, 50)
        wait_until(lambda: fleet.ledger_sum("acknowledged") >= 150, "and goes on")
        assert int(fleet.ledger(0)["messages"]) == 100, "nothing more is read of the shard behind"
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: set(gates(fleet).values()) == {"OPEN"}, "the gate reopens")
    fleet.segments(300)
    assert fleet.ledger_sum("acknowledged") == 300 and fleet.residual() == 0


def test_many_tiny_segments_are_backpressure_and_a_huge_one_is_not(make_fleet):
    """P9, P10: what counts is what waits to be taken, not how large it is."""
    fleet = make_fleet(config={"gate": {"backlog": {"slow": 20, "close": 40}}, "segments": {"root_timeout": "500ms"}})
    fleet.start()
    fleet.must("pause", "flush", "--wait", "--timeout", "60s")
    trace = uuid.uuid4().hex
    huge = [span("a*", trace)] + [span("b>a", trace, span_id=f"{n:016x}", payload="x" * 2000) for n in range(1, 500)]
    fleet.input.send(huge)
    wait_until(lambda: int(fleet.shards()[0].get("backlog", 0)) == 1, "the huge one is due")
    assert gates(fleet) == {0: "OPEN"}
    send_segments(fleet, 0, 100)
    wait_until(lambda: gates(fleet) == {0: "CLOSED"}, "many tiny ones close the gate")
    assert fleet.shards()[0]["gate"]["cause"] == "CAUSE_BACKLOG"
    fleet.must("resume", "flush", "--wait", "--timeout", "60s")
    wait_until(lambda: gates(fleet) == {0: "OPEN"}, "it reopens")
    assert sum(len(segment["spans"]) for segment in fleet.segments(101)) == 600
    assert fleet.residual() == 0


def test_a_segment_is_in_flight_until_its_delivery_is_told(make_fleet):
    """P4: while Kafka does not answer, the claim is in Redis; when it has, it is gone."""
    fleet = make_fleet(config={"segments": {"root_timeout": "500ms"}})
    fleet.start()
    send_segments(fleet, 0, 1)
    fleet.segments(1)
    fleet.must("pause", "flush", "--wait", "--timeout", "60s")
    send_segments(fleet, 0, 1)
    wait_until(lambda: int(fleet.shards()[0].get("backlog", 0)) == 1, "the second one is due")
    in_flight = fleet.meta_key()[:-1] + "i"
    fleet.kafka.signal(signal.SIGSTOP)
    try:
        fleet.must("resume", "flush")
        wait_until(lambda: fleet.redis.client.zcard(in_flight) == 1, "it is claimed")
        wait_until(lambda: int(fleet.shards()[0].get("inFlight", 0)) == 1, "the server says so")
        assert int(fleet.ledger().get("acknowledged", 0)) == 1
    finally:
        fleet.kafka.signal(signal.SIGCONT)
    wait_until(lambda: int(fleet.ledger().get("acknowledged", 0)) == 2, "it is acknowledged")
    assert fleet.redis.client.zcard(in_flight) == 0 and len(fleet.segments(2)) == 2
    assert fleet.residual() == 0
