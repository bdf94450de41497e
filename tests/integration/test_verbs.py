"""What operators tell a fleet that works: restart, pause, drain and resume, with nothing lost."""

import signal
import subprocess
import uuid

import pytest

import harness
from harness import alive, wait_until
from load import Load, assert_exactly_once, everything, written
from spans import span


def pools_of(ingest, flush):
    return [{"name": "ingest", "role": "ingest", "replicas": ingest}, {"name": "flush", "role": "flush", "replicas": flush}]


def fleet_of(make_fleet, ingest, flush, config=None, before=None):
    """Started; `before(fleet)` is called right before that."""
    fleet = make_fleet(partitions=6, config=config)
    fleet.config["pools"] = pools_of(ingest, flush)
    if before:
        before(fleet)
    return fleet.start()


def pids(fleet, pool):
    return {int(worker["pid"]) for worker in fleet.workers(pool)}


def pool(fleet, name):
    return next(p for p in fleet.pools() if p["name"] == f"pools/{name}")


def restart_watching(fleet, name, *options):
    """Restarts a pool; answers with the largest number of workers that were down at once."""
    worst = 0
    command = subprocess.Popen([fleet.bin / "spillway", "--server", fleet.api, "restart", name, "--wait",
                                "--timeout", "120s", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while command.poll() is None:
        seen = pool(fleet, name)
        worst = max(worst, int(seen["desired"]) - int(seen.get("ready", 0)))
    assert command.returncode == 0, command.stdout.read().decode()
    return worst


def test_rolling_restarts_under_load_lose_and_double_nothing(make_fleet):
    """P14: at most max_unavailable are down; each has a new process afterwards."""
    fleet = fleet_of(make_fleet, ingest=2, flush=3)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: written(fleet) > 1000, "load arrives")
    for name, options, allowed in (("flush", (), 1), ("ingest", (), 1), ("flush", ("--max-unavailable", "2"), 2)):
        before = pids(fleet, name)
        worst = restart_watching(fleet, name, *options)
        assert 1 <= worst <= allowed, (name, worst)
        assert not before & pids(fleet, name)
        assert not any(alive(pid) for pid in before)
        restart = pool(fleet, name)["restart"]
        assert restart["state"] == "RESTART_STATE_DONE" and restart["replaced"] == len(before), restart
    assert_exactly_once(load.check())


def test_a_bad_configuration_halts_the_restart_at_its_first_worker(make_fleet):
    """The others keep the processes they have; when it is mended, what has failed is restarted."""
    fleet = fleet_of(make_fleet, ingest=1, flush=3)
    before = pids(fleet, "flush")
    path = max(fleet.run_dir.glob("config.*.yaml"))  # what the server gives its workers
    good = path.read_text()
    path.write_text(good + "\nflsuh: {}\n")
    code, text = fleet.cli("restart", "flush", "--wait", "--timeout", "60s")
    assert code == 1 and "HALTED" in text and "flush/workers/0 is CRASH_LOOP" in text and "78" in text, text
    assert len(before & pids(fleet, "flush")) == 2
    assert "CRASH_LOOP" in pool(fleet, "flush")["restart"]["detail"]
    assert "restart halted" in fleet.cli("health")[1]
    path.write_text(good)
    fleet.must("restart", "flush", "--failed", "--wait", "--timeout", "60s")
    fleet.must("wait", "flush", "--for", "healthy", "--timeout", "60s")
    assert len(before & pids(fleet, "flush")) == 2


def test_a_crash_loop_ends_by_a_persons_hand(make_fleet):
    """P7: its shards flow meanwhile, through the other worker."""
    fleet = fleet_of(make_fleet, ingest=1, flush=2, config={
        "restart": {"max_restarts": 1, "backoff": {"initial": "10ms"}},
        "flush": {"lease": "12s"}, "output": {"delivery_timeout": "1s"}})
    for _ in range(2):
        wait_until(lambda: fleet.worker("flush", 0)["state"] == "WORKER_STATE_READY", "flush/0 works")
        fleet.kill("flush")
    given_up = wait_until(lambda: (lambda w: w if w["state"] == "WORKER_STATE_CRASH_LOOP" else None)
                          (fleet.worker("flush", 0)), "flush/0 is given up")
    assert "SIGKILL" in given_up["lastDeath"]
    for partition in range(6):
        fleet.input.send([span("a*", uuid.uuid4().hex)], partition=partition)
    fleet.segments(6)
    fleet.must("restart", "flush/0", "--wait", "--timeout", "60s")
    worker = fleet.worker("flush", 0)
    assert worker["state"] == "WORKER_STATE_READY" and not int(worker.get("restarts", 0)), worker
    fleet.must("wait", "flush", "--for", "healthy", "--timeout", "60s")


def test_while_flush_is_paused_nothing_leaves_and_everything_afterwards(make_fleet):
    fleet = fleet_of(make_fleet, ingest=1, flush=2)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    before = pids(fleet, "flush")
    fleet.must("pause", "flush", "--wait", "--timeout", "60s")
    left = len(everything(fleet.output))
    owners = {s["name"]: s["flushWorker"] for s in fleet.shards()}
    wait_until(lambda: sum(int(s.get("backlog", 0)) for s in fleet.shards()) > 500, "what is due piles up")
    assert len(everything(fleet.output)) == left
    assert {s["name"]: s["flushWorker"] for s in fleet.shards()} == owners
    assert all(w["isPaused"] and w["health"]["state"] == "HEALTH_STATE_HEALTHY" for w in fleet.workers("flush"))
    assert fleet.cli("health")[0] == 0
    fleet.must("resume", "flush", "--wait", "--timeout", "60s")
    assert pids(fleet, "flush") == before
    assert_exactly_once(load.check())


def test_while_ingest_is_paused_nothing_is_read_even_by_new_workers(make_fleet):
    """A worker that starts meanwhile starts paused; a server that starts meanwhile leaves it so."""
    fleet = fleet_of(make_fleet, ingest=1, flush=1)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: written(fleet) > 1000, "load arrives")
    fleet.must("pause", "ingest", "--wait", "--timeout", "60s")
    read = wait_until(lambda: standing(fleet), "what was read is in Redis")
    fleet.must("resize", "ingest", "2", "--wait", "--timeout", "60s")
    fleet.must("restart", "ingest", "--wait", "--timeout", "60s")
    wait_until(lambda: lagging(fleet) == 6, "the shards have owners, and input that they do not read")
    assert fleet.ledger_sum("messages") == read
    assert all(w["isPaused"] for w in fleet.workers("ingest"))
    fleet.must("resume", "ingest", "--wait", "--timeout", "60s")
    assert_exactly_once(load.check())


def drained(fleet, name):
    """The last drain of a pool, which is over and has left nothing; the pool is paused."""
    seen = pool(fleet, name)
    assert seen["state"] == "POOL_STATE_PAUSED", seen
    assert seen["drain"]["state"] == "DRAIN_STATE_DONE" and not seen["drain"].get("remaining"), seen["drain"]
    return seen["drain"]


def journalled(fleet, action):
    return [e for e in fleet.get("events") if e["action"] == action]


def test_a_drained_flush_pool_has_delivered_what_was_due_and_claims_nothing_more(make_fleet):
    fleet = fleet_of(make_fleet, ingest=1, flush=2)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    before = pids(fleet, "flush")
    text = fleet.must("drain", "flush", "--wait", "--timeout", "60s")
    assert "flush: nothing remains" in text, text
    drained(fleet, "flush")
    assert sum(int(s.get("inFlight", 0)) for s in fleet.shards()) == 0
    left = len(everything(fleet.output))
    wait_until(lambda: sum(int(s.get("backlog", 0)) for s in fleet.shards()) > 500, "what is due now piles up")
    assert len(everything(fleet.output)) == left
    assert pids(fleet, "flush") == before and all(w["isPaused"] for w in fleet.workers("flush"))
    assert len({s["flushWorker"] for s in fleet.shards()}) == 2  # still owned by both
    assert "DRAINING" in journalled(fleet, "DrainPool")[0]["after"] and journalled(fleet, "pool drained")
    fleet.must("resume", "flush", "--wait", "--timeout", "60s")
    assert_exactly_once(load.check())


def test_a_drained_ingest_pool_has_committed_and_then_flush_empties_redis(make_fleet):
    """The way to a buffer that holds nothing: ingest first, then flush once everything is due."""
    fleet = fleet_of(make_fleet, ingest=2, flush=1)
    load = Load(fleet, rate=6_000)
    wait_until(lambda: written(fleet) > 1000, "load arrives")
    fleet.must("drain", "ingest", "--wait", "--timeout", "60s")
    drained(fleet, "ingest")
    read = fleet.ledger_sum("messages")
    wait_until(lambda: lagging(fleet) == 6, "there is input that nobody reads")
    assert fleet.ledger_sum("messages") == read
    fleet.must("drain", "flush", "--wait", "--timeout", "60s")
    drained(fleet, "flush")
    fleet.must("resume", "flush")
    fleet.must("resume", "ingest", "--wait", "--timeout", "60s")
    assert_exactly_once(load.check())


@pytest.fixture
def own_kafka(tmp_path):
    broker = harness.Kafka(tmp_path / "kafka")
    yield broker
    broker.stop()


def test_a_drain_whose_time_is_up_names_what_remains_and_why(make_fleet, own_kafka):
    """Kafka hangs: parts remain, with that reason; the pool is paused, also for the next server; all leaves later."""
    fleet = fleet_of(lambda **options: make_fleet(on=own_kafka, **options), ingest=1, flush=1, config={
        "output": {"delivery_timeout": "2s"}, "flush": {"lease": "13s"}})
    fleet.must("pause", "flush", "--wait", "--timeout", "60s")
    for partition in range(6):
        fleet.input.send([span("a*", uuid.uuid4().hex)], partition=partition)
    wait_until(lambda: sum(int(s.get("backlog", 0)) for s in fleet.shards()) == 6, "six segments are due")
    own_kafka.signal(signal.SIGSTOP)
    code, text = fleet.cli("drain", "flush", "--wait", "--timeout", "8s")
    assert code == 6 and "its time is up" in text and "waits for Kafka" in text, (code, text)
    seen = pool(fleet, "flush")
    assert seen["state"] == "POOL_STATE_PAUSED" and seen["drain"]["state"] == "DRAIN_STATE_TIMED_OUT", seen
    remaining = seen["drain"]["remaining"]
    assert {r["shard"] for r in remaining} == {f"shards/{shard}" for shard in range(6)}, remaining
    assert all(r["worker"] == "pools/flush/workers/0" and r["why"] == "waits for Kafka" for r in remaining), remaining
    assert sum(int(r["parts"]) for r in remaining) == 6, remaining
    assert "6 remain" in journalled(fleet, "drain of the pool timed out")[0]["detail"]
    own_kafka.signal(signal.SIGCONT)
    fleet.process.kill()
    fleet.process.wait()
    fleet.start(wait_healthy=False)
    assert pool(fleet, "flush")["state"] == "POOL_STATE_PAUSED"
    fleet.must("resume", "flush", "--wait", "--timeout", "60s")
    fleet.segments(6)


def standing(fleet):
    """The messages taken, if they are as many after some questions to the server; else None."""
    seen = {fleet.ledger_sum("messages") for _ in range(10) if fleet.workers()}
    return seen.pop() if len(seen) == 1 else None


def lagging(fleet):
    return sum(int(s.get("inputLag", -1)) > 0 and bool(s.get("ingestWorker")) for s in fleet.shards())
