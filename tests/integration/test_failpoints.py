"""Conformance K5: kill -9 at each named step of ingest and flush, under load; nothing is lost.

The steps are those that the worker itself names (base/failpoint.h), so a new one is tested as soon
as it is written. All of them share one fleet: first every step is died at, in turn, each under a
load of its own; then the loads are checked. In between the leases of the dead end for all at once.
"""

import json
import pathlib
import re
import signal
import subprocess

import pytest

import harness
from harness import TimedOut, wait_until
from load import Load, assert_nothing_lost

ROUNDS = 8  # of load, until a step that is seldom reached was reached


def pytest_generate_tests(metafunc):
    if "point" not in metafunc.fixturenames:
        return
    worker = pathlib.Path(metafunc.config.getoption("--bin")) / "spillway-worker"
    listed = subprocess.run([worker, "--failpoints"], capture_output=True, text=True)
    assert listed.returncode == 0, f"{worker} has no failpoints: {listed.stderr}"
    steps = re.compile(metafunc.config.getoption("--steps"))
    metafunc.parametrize("point", filter(steps.search, listed.stdout.split()))


class Deaths:
    """One fleet whose workers die at the steps they are told to."""

    def __init__(self, fleet, folder):
        self.fleet, self.folder = fleet, folder
        self.loads = {}
        self.folder.mkdir()
        fleet.environment = {"SPILLWAY_FAILPOINT_DIR": str(folder)}

    def die_at(self, point):
        """Kills one worker at `point`, under load; its successor goes on."""
        if point in self.loads:
            return
        self.loads[point] = []
        role = point.split(".")[0]
        for _ in range(ROUNDS):
            self.load(point)
            before = wait_until(lambda: self.fleet.pid(role, 0), f"{role}/0 runs")
            (self.folder / point).write_text("1")
            try:
                self.provoke(point, role)
                wait_until(lambda: self.has_died(point), f"death at {point}", 3.0)
            except TimedOut:
                continue
            else:
                break
            finally:
                self.settle(point, role, before)
        assert self.has_died(point), f"{point} was not reached in {ROUNDS} rounds"

    def settle(self, point, role, before):
        if point in ("ingest.revoke.begun", "ingest.revoke.commit_sent", "ingest.drain.finishing"):
            self.fleet.must("resize", "ingest", 1, "--wait", "--timeout", "60s")
        elif self.has_died(point):
            wait_until(lambda: self.fleet.pid(role, 0) not in (0, before), f"{role}/0 is replaced")

    def has_died(self, point):
        return not (self.folder / point).exists()

    def load(self, point):
        """Spans with some invalid messages among them; returns once the first are in Redis."""
        before = self.fleet.ledger_sum("messages")
        # An owner has something to commit when it is revoked only while C moves.
        needs_moving_c = point == "ingest.revoke.commit_sent"
        load = Load(self.fleet, spans=18_000 if needs_moving_c else 1500, rate=1500,
                    seed=1000 + sum(map(len, self.loads.values())), spread=0.02,
                    options=("--invalid-ratio", "0.02", "--rootless-ratio", "0"))
        self.loads[point].append(load)
        wait_until(lambda: self.fleet.ledger_sum("messages") > before + 100, "load arrives")
        if needs_moving_c:
            low = self.fleet.metric("spillway_shard_low_watermark")
            wait_until(lambda: self.fleet.metric("spillway_shard_low_watermark") > low + 100, "C moves")

    def provoke(self, point, role):
        """Brings about what a load alone does not."""
        step = point.split(".")[1]
        if step in ("take", "replay", "acquire"):
            self.fleet.kill(role)
        elif step in ("revoke", "drain"):
            self.fleet.cli("resize", "ingest", 2, "--wait", "--timeout", "20s")
            if step == "drain":
                wait_until(lambda: any(shard.get("ingestWorker", "").endswith("/1") for shard in self.fleet.shards()),
                           "the second worker has shards")
                self.fleet.cli("resize", "ingest", 1, "--wait", "--timeout", "20s")
        elif step == "release":  # what is not delivered in time is released
            self.fleet.kafka.signal(signal.SIGSTOP)
            try:
                wait_until(lambda: self.has_died(point), "a claim is released", 4.0)
            finally:
                self.fleet.kafka.signal(signal.SIGCONT)
        elif step == "stale":  # a claim nobody holds is released at the end of its lease
            (self.folder / "flush.claim.held").write_text("1")
            wait_until(lambda: self.has_died("flush.claim.held"), "a claim is abandoned")
            wait_until(lambda: self.has_died(point), "it is released", 20.0)


@pytest.fixture(scope="module")
def deaths(make_redis, kafka, bin_folder, session_folder):
    redis = make_redis()
    fleet = harness.Fleet(session_folder / "failpoints", kafka, bin_folder, partitions=4, redis=redis, config={
        "kafka": {"brokers": kafka.brokers, "properties": {"session.timeout.ms": "1000",
                                                           "heartbeat.interval.ms": "250"}},
        "segments": {"root_timeout": "400ms", "idle_timeout": "1s", "late_window": "5s"},
        "restart": {"max_restarts": 1000, "backoff": {"initial": "10ms", "max": "100ms"}},
        "flush": {"lease": "11500ms"}, "output": {"delivery_timeout": "1s"}})
    result = Deaths(fleet, fleet.folder / "armed")
    try:
        fleet.start()
        yield result
    finally:
        fleet.close()
        if redis:
            redis.close()


def test_a_worker_dies_at(deaths, point):
    deaths.die_at(point)


def test_nothing_is_lost_by_dying_at(deaths, point):
    """Ingest doubles nothing; what flush sends twice has the same flush_id."""
    deaths.die_at(point)
    for load in deaths.loads[point]:
        verdict = load.check("--ignore-others", "--settle", "200ms", "--allow-duplicates")
        assert_nothing_lost(verdict)
        allowed = verdict["duplicated_same_flush_id"] if point.startswith("flush.") else 0
        assert verdict["duplicated"] == allowed, json.dumps(verdict)
    assert deaths.fleet.residual() == 0


def test_every_invalid_message_became_a_dead_letter(deaths):
    """Conformance K9e, over all the deaths before."""
    rejected = deaths.fleet.ledger_sum("rejected")
    assert rejected > 0

    def distinct(messages):
        return {(h["spillway-partition"], h["spillway-offset"]) for h in map(dict, (m.headers() for m in messages))}

    messages = deaths.fleet.dead_letters.read(lambda m: len(distinct(m)) >= rejected, "every dead letter")
    assert len(distinct(messages)) == rejected
