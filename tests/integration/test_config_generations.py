"""A changed configuration reaches the workers one by one; one that they cannot work with is taken back."""

import json
import signal
import uuid

from harness import wait_until
from spans import span

POOLS = [{"name": "ingest", "role": "ingest", "replicas": 1}, {"name": "flush", "role": "flush", "replicas": 2}]


def make(make_fleet):
    """A fleet whose first configuration is proven."""
    fleet = make_fleet(config={"pools": POOLS})
    fleet.config["restart"]["healthy_after"] = "1s"
    fleet.start()
    wait_until(lambda: config(fleet)["state"] == "CONFIG_STATE_PROVEN", "the first configuration is proven", 60)
    return fleet


def config(fleet):
    return next(p for p in fleet.pools() if p["name"] == "pools/flush")["config"]


def generations(fleet):
    """By worker: of its configuration."""
    return {w["name"]: int(w["configGeneration"]) for w in fleet.workers()}


def start_again(fleet, **options):
    """Another server, while the workers go on."""
    fleet.process.send_signal(signal.SIGKILL)
    fleet.process.wait(30)
    fleet.start(wait_healthy=False, **options)


def event(fleet, action):
    """The newest one."""
    events = json.loads(fleet.must("-o", "json", "events"))["events"]
    return max((e for e in events if e["action"] == action), key=lambda e: int(e["sequence"]), default=None)


def send(fleet, count):
    traces = [uuid.uuid4().hex for _ in range(count)]
    fleet.input.send([span("a*", trace) for trace in traces])
    return traces


def left(fleet, count):
    return sorted(s["spans"][0]["trace_id"] for s in fleet.segments(count))


def test_a_changed_configuration_reaches_every_worker_one_by_one(make_fleet):
    fleet = make(make_fleet)
    before = {w["name"]: int(w["pid"]) for w in fleet.workers()}
    traces = send(fleet, 20)
    fleet.config["flush"] = {"lease": "90s"}
    start_again(fleet)
    traces += send(fleet, 20)
    wait_until(lambda: config(fleet)["state"] == "CONFIG_STATE_PROVEN", "the new configuration is proven", 90)
    assert int(config(fleet)["generation"]) == 2
    assert set(generations(fleet).values()) == {2}
    after = {w["name"]: int(w["pid"]) for w in fleet.workers()}
    assert all(after[name] != before[name] for name in before), (before, after)
    assert all(int(w["restarts"]) == 0 for w in fleet.workers()), "nobody died for it"
    change = event(fleet, "ChangeConfiguration")
    assert (change["before"], change["after"]) == ("generation 1", "generation 2")
    assert "flush.lease 1m → 90s" in change["detail"], change
    assert event(fleet, "configuration proven")
    assert left(fleet, 40) == sorted(traces)
    wait_until(lambda: fleet.residual() == 0, "the ledger is even")


def test_one_that_workers_cannot_work_with_is_taken_back(make_fleet):
    """The new output topic takes only tiny messages, which only a worker can find out."""
    fleet = make(make_fleet)
    tiny = f"{fleet.output.name}-tiny"
    fleet.kafka.create(tiny, 1, {"max.message.bytes": "20000"})
    good = fleet.config["output"]
    fleet.config["output"] = {**good, "topic": tiny}
    traces = send(fleet, 20)
    start_again(fleet)
    wait_until(lambda: config(fleet)["state"] == "CONFIG_STATE_TAKEN_BACK", "it is taken back", 90)
    standing = config(fleet)
    assert (int(standing["generation"]), int(standing["rejected"])) == (1, 2), standing
    assert "CRASH_LOOP" in standing["detail"] and "exited with 78" in standing["detail"], standing
    wait_until(lambda: set(generations(fleet).values()) == {1}, "all workers run the former one", 90)
    for pool in ("ingest", "flush"):
        fleet.must("wait", pool, "--for", "healthy", "--timeout", "60s")
    taken_back = event(fleet, "configuration taken back")
    assert (taken_back["before"], taken_back["after"]) == ("generation 2", "generation 1"), taken_back
    assert "2 was taken back" in fleet.must("get", "pools", "-o", "wide")
    assert "generation 2 was taken back" in fleet.must("health", "-o", "wide")
    traces += send(fleet, 20)
    assert left(fleet, 40) == sorted(traces)

    start_again(fleet)
    assert int(config(fleet)["generation"]) == 1, "and is not tried again"
    assert len([e for e in json.loads(fleet.must("-o", "json", "deaths"))["deaths"] if e.get("exitCode") == 78]) == 1
    start_again(fleet, arguments=["--retry-config"])
    assert event(fleet, "ChangeConfiguration")["after"] == "generation 3", "unless a person says so"
    fleet.config["output"] = good
    start_again(fleet)
    wait_until(lambda: config(fleet)["state"] == "CONFIG_STATE_PROVEN", "the former one holds again", 90)
    wait_until(lambda: fleet.residual() == 0, "the ledger is even")
