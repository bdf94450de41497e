"""Attempts: a part that ends every worker leaves as a dead letter; one whose worker somebody else ends does not."""

import json
import signal
import uuid

import pytest

from harness import MockKafka, wait_until
from spans import left, span, span_id


def headers(message):
    return {k: v.decode() for k, v in message.headers() or []}


def attempts(fleet, shard=0):
    """Part name → attempts, as Redis has them (buffer/KEYS.md)."""
    values = fleet.redis.client.hgetall(f"{{{fleet.config['namespace']}/{shard}}}a")
    return {k.decode(): int(v) for k, v in values.items()}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL], ids=["a_bug", "out_of_memory"])
def test_a_part_that_ends_every_worker_leaves_as_a_dead_letter(make_fleet, number):
    """K11's kin: with the restart budget's defaults nobody has to help."""
    fleet = make_fleet()
    armed = fleet.folder / "armed"
    armed.mkdir()
    fleet.environment = {"SPILLWAY_FAILPOINT_DIR": str(armed)}
    poison = uuid.uuid4().hex
    (armed / "flush.assemble.poison").write_text(f"{int(number)} {poison}\n")
    fleet.config["flush"] = {"lease": "60s"}  # nobody waits for it
    fleet.config["restart"] = {"max_restarts": 5, "window": "10m", "backoff": {"initial": "100ms", "max": "1s"}}
    fleet.start()
    first = fleet.pid("flush", 0)

    innocent = [uuid.uuid4().hex for _ in range(20)]
    deadly = [span("b>a", poison), span("a*", poison)]
    spans = [span("a*", trace) for trace in innocent[:10]] + deadly + [span("a*", trace) for trace in innocent[10:]]
    fleet.input.send([json.dumps(s) for s in spans])

    letters = fleet.dead_letters.read(lambda m: len(m) >= 2, "both spans of the part", settle=1.0)
    assert sorted(json.loads(m.value())["span_id"] for m in letters) == [span_id("a"), span_id("b")]
    for message in letters:
        header = headers(message)
        assert header["spillway-reason"] == "attempts" and header["spillway-topic"] == fleet.input.name
        assert header["spillway-error"] and header["spillway-partition"] == "0"
    wait_until(lambda: not fleet.live_keys(), "everything has left Redis")
    assert {trace for trace, _, _, _ in left(fleet.segments(20))} == set(innocent)
    assert fleet.residual() == 0 and fleet.ledger_sum("dead_lettered") == 2
    fleet.must("audit")

    fleet.must("wait", "flush", "--for", "healthy", "--timeout", "60s")
    deaths = [d for d in fleet.get("deaths") if d["worker"] == "pools/flush/workers/0"]
    assert len(deaths) == 5, deaths
    assert int(fleet.worker("flush", 0)["generation"]) == 6 and fleet.pid("flush", 0) != first
    log = (fleet.run_dir / "flush-0.log").read_text()
    assert log.count("releasing the claim that its owner was working on when it died") == 5
    assert "while it worked on a claim of shards/0" in (fleet.folder / "spillwayd.log").read_text()


def test_parts_whose_worker_somebody_kills_while_kafka_refuses_are_delivered(make_fleet, bin_folder):
    """More often than a part has attempts; the parts are in flight each time, and not to blame."""
    kafka = MockKafka(bin_folder)
    try:
        fleet = make_fleet(on=kafka, config={
            "restart": {"max_restarts": 1000, "backoff": {"initial": "10ms", "max": "100ms"}},
            "kafka": {"properties": {"session.timeout.ms": 4000, "heartbeat.interval.ms": 1000}}}).start()
        fleet.must("pause", "flush")
        traces = [uuid.uuid4().hex for _ in range(50)]
        fleet.input.send([json.dumps(span("a*", trace)) for trace in traces])
        wait_until(lambda: fleet.ledger_sum("accepted") == len(traces), "all are in Redis")
        kafka.tell("errors", kafka.PRODUCE, kafka.NOT_ENOUGH_REPLICAS, 100_000)  # it will be tried again and again
        fleet.must("resume", "flush")

        def in_flight():
            return int(fleet.shards()[0].get("inFlight", 0)) == len(traces)

        wait_until(in_flight, "all are in flight")
        for kills in range(1, 9):
            fleet.kill("flush")
            wait_until(lambda: fleet.ledger_sum("released") >= kills * len(traces), "the successor releases them")
            wait_until(lambda: int(fleet.worker("flush", 0)["generation"]) == kills + 1 and in_flight(),
                       "all are in flight again")
        assert attempts(fleet) == {}
        kafka.tell("clear", kafka.PRODUCE)
        assert {trace for trace, _, _, _ in left(fleet.segments(len(traces)))} == set(traces)
        wait_until(lambda: not fleet.live_keys(), "everything has left Redis")
        assert fleet.residual() == 0 and fleet.ledger_sum("dead_lettered") == 0
        fleet.must("audit")
    finally:
        kafka.stop()
