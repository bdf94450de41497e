"""What operators tell a fleet that works: restart, pause and resume, with nothing lost."""

import subprocess
import uuid

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


def standing(fleet):
    """The messages taken, if they are as many after some questions to the server; else None."""
    seen = {fleet.ledger_sum("messages") for _ in range(10) if fleet.workers()}
    return seen.pop() if len(seen) == 1 else None


def lagging(fleet):
    return sum(int(s.get("inputLag", -1)) > 0 and bool(s.get("ingestWorker")) for s in fleet.shards())
