"""spillwayd's state of record with real workers: a resize outlives the server, a lost record costs no span (P12b)."""

import json
import pathlib
import signal
import uuid

from harness import alive, wait_until
from spans import span


def kill_server(fleet):
    fleet.process.send_signal(signal.SIGKILL)
    fleet.process.wait(30)


def pids(fleet):
    return {w["name"]: int(w.get("pid", 0)) for w in fleet.workers()}


def owners(fleet):
    """Which flush worker has each shard; empty while one of them has none."""
    held = {s["name"]: s.get("flushWorker", "") for s in fleet.shards()}
    return held if held and all(held.values()) else {}


def epochs(fleet):
    """Numbers of both epochs of every shard, as Redis has them."""
    ledgers = [fleet.ledger(shard) for shard in range(fleet.partitions)]
    return [tuple(int(ledger[owner].split(":")[0]) for owner in ("ingest", "flush")) for ledger in ledgers]


def test_a_resize_and_its_workers_outlive_the_server(make_fleet):
    fleet = make_fleet(partitions=2).start()
    fleet.must("resize", "flush", "2", "--wait", "--timeout", "60s")
    before = pids(fleet)
    kill_server(fleet)
    assert all(alive(pid) for pid in before.values())
    fleet.start()
    assert next(p for p in fleet.pools() if p["name"] == "pools/flush")["desired"] == 2
    assert pids(fleet) == before
    events = json.loads(fleet.must("-o", "json", "events"))["events"]
    resize = next(e for e in events if e["action"] == "ResizePool")
    assert resize["outcome"] == "OK" and "spillway/" in resize["actor"] and "desired 2" in resize["after"]


def test_a_death_can_be_looked_up_after_the_server_has_gone(make_fleet):
    fleet = make_fleet().start()
    killed = fleet.kill("flush")
    wait_until(lambda: fleet.pid("flush", 0) not in (0, killed), "a successor")
    wait_until(lambda: str(killed) in fleet.must("deaths", "flush"), "the death is on record")
    kill_server(fleet)
    fleet.start()
    deaths = json.loads(fleet.must("-o", "json", "deaths", "flush"))["deaths"]
    assert [(int(d["pid"]), d["signal"], d["isExpected"]) for d in deaths] == [(killed, 9, False)]


def test_a_lost_record_moves_no_shard_and_loses_no_span(make_fleet):
    """P12b: pools from the file, shards as the workers hold them, epochs only rise."""
    pools = [{"name": "ingest", "role": "ingest", "replicas": 1}, {"name": "flush", "role": "flush", "replicas": 2}]
    fleet = make_fleet(partitions=4, config={"pools": pools}).start()
    held, workers, taken = wait_until(lambda: owners(fleet), "every shard is owned"), pids(fleet), epochs(fleet)
    traces = [uuid.uuid4().hex for _ in range(40)]
    for index, trace in enumerate(traces[:20]):
        fleet.input.send([span("a*", trace)], partition=index % 4)
    kill_server(fleet)
    for part in pathlib.Path(fleet.folder).glob("state.db*"):
        part.unlink()
    for index, trace in enumerate(traces[20:]):
        fleet.input.send([span("a*", trace)], partition=index % 4)
    fleet.start()
    assert pids(fleet) == workers
    assert wait_until(lambda: owners(fleet), "every shard is owned") == held
    assert all(now >= then for new, old in zip(epochs(fleet), taken) for now, then in zip(new, old))
    segments = fleet.segments(40)
    assert sorted(s["spans"][0]["trace_id"] for s in segments) == sorted(traces)
    wait_until(lambda: fleet.residual() == 0, "the ledger is even")
