"""Kafka's faults (K10 and its kin) on the whole program: no worker is replaced for them, nothing is lost, and what
leaves twice is within the deliveries whose report could not tell.

The mock cluster makes each fault on demand; the real broker is stopped, continued, killed and started again.
Health is judged twelve times as fast as by default: five seconds here are a minute there.
"""

import collections
import contextlib
import json
import signal
import time

import pytest

import harness
from harness import wait_until
from spans import span
from load import Load, assert_nothing_lost, written

STALL = 5.0  # seconds
IMPATIENT = {
    "health": {"report_interval": "200ms", "stall_timeout": f"{STALL:.0f}s", "silence_timeout": "5s",
               "startup_timeout": "5s"},
    "output": {"delivery_timeout": "2s"},
    "flush": {"lease": "13s"},
    # The mock cluster's groups wait for all but a second of the session timeout at every rebalance.
    "kafka": {"properties": {"session.timeout.ms": 4000, "heartbeat.interval.ms": 1000}},
}
SPANS = 8_000  # the mock cluster keeps 5 MiB a partition


@pytest.fixture
def make_mock(bin_folder):
    clusters = []

    def make(**options):
        clusters.append(harness.MockKafka(bin_folder, **options))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.stop()


@pytest.fixture
def own_kafka(tmp_path):
    broker = harness.Kafka(tmp_path / "kafka")
    yield broker
    broker.stop()


def config_with(**sections):
    return {name: {**IMPATIENT.get(name, {}), **sections.get(name, {})} for name in {**IMPATIENT, **sections}}


def started(make_fleet, broker, partitions=8, **sections):
    return make_fleet(on=broker, partitions=partitions, config=config_with(**sections)).start()


def loaded(make_fleet, broker, fault=lambda: None, **sections):
    """A fleet whose input is complete in Kafka before the first span is read, so that faults are Spillway's alone;
    `fault` is called in between."""
    fleet = started(make_fleet, broker, **sections)
    fleet.must("stop", "ingest", "--wait", "--timeout", "60s")
    load = Load(fleet, spans=SPANS, rate=0)
    assert load.process.wait(60) == 0
    fault()
    fleet.must("start", "ingest", "--timeout", "60s")
    return fleet, load


@contextlib.contextmanager
def undisturbed(fleet):
    """Yields a check that is to be made often; afterwards the same processes must still be there."""
    pids = sorted(fleet.worker_pids())
    assert pids

    def check():
        unhealthy = [w for w in fleet.workers() if w["health"]["state"] == "HEALTH_STATE_UNHEALTHY"]
        assert not unhealthy, json.dumps(unhealthy)
        return True

    yield check
    check()
    assert sorted(fleet.worker_pids()) == pids, fleet.log()
    assert all(int(w.get("restarts", 0)) == 0 for w in fleet.workers())


def lasts(seconds, check):
    """A condition that holds once `seconds` have passed; `check` must hold all the time."""
    end = time.monotonic() + seconds
    return lambda: check() and time.monotonic() >= end


def refuse_everything(mock):
    mock.tell("errors", mock.PRODUCE, mock.NOT_ENOUGH_REPLICAS, 1000)


def delivered(fleet):
    return fleet.metric("spillway_flush_spans_total")


def assert_delivered(fleet, load, spans=SPANS, copies_each=1):
    """Everything came; no more messages came twice than the counters allow, each `copies_each` times."""
    verdict = load.check("--allow-duplicates")
    assert_nothing_lost(verdict)
    messages = fleet.output.read(lambda m: len(m) >= verdict["messages_out"], "the output")
    copies = collections.Counter(json.loads(m.value())["flush_id"] for m in messages)
    repeated = sum(copies.values()) - len(copies)
    wait_until(lambda: delivered(fleet) >= spans, "the counters have everything")
    allowed = fleet.metric("spillway_flush_possibly_persisted_total")
    assert repeated <= allowed * copies_each, f"{repeated} messages left twice, {allowed} explained"
    assert verdict["duplicated"] == verdict["duplicated_same_flush_id"], "a copy has its original's flush_id"
    return verdict, repeated


def test_a_broker_that_is_gone_for_long_is_waited_for(make_fleet, make_mock):
    """K10: four stall timeouts without any broker, with spans unread and segments undelivered."""
    mock = make_mock()
    # Nothing is taken to begin with, so that work is left when the broker goes.
    fleet, load = loaded(make_fleet, mock, lambda: refuse_everything(mock))
    with undisturbed(fleet) as check:
        wait_until(lambda: fleet.metric("spillway_shard_in_flight_parts") > 100, "segments are due")
        mock.every_broker("down")
        mock.tell("clear", mock.PRODUCE)
        wait_until(lasts(4 * STALL, check), "a long outage", 60)
        assert delivered(fleet) == 0
        assert fleet.metric("spillway_worker_blocked_seconds_total", cause="kafka") > 2 * STALL
        code, text = fleet.cli("health")
        assert code != 0 and "kafka" in text.lower(), text
        mock.every_broker("up")
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 60)
    assert_delivered(fleet, load)


def test_starting_without_a_broker_is_waiting_not_failing(make_fleet, make_mock):
    mock = make_mock()
    fleet = make_fleet(on=mock, partitions=2, config=config_with())
    mock.every_broker("down")
    fleet.start(wait_healthy=False)
    wait_until(lambda: len(fleet.worker_pids()) == 2, "the workers are started")
    with undisturbed(fleet) as check:
        wait_until(lasts(2 * STALL, check), "longer than startup_timeout and stall_timeout")
        mock.every_broker("up")
        for pool in ("ingest", "flush"):
            fleet.must("wait", pool, "--for", "healthy", "--timeout", "60s")


def test_leaders_that_move_lose_and_double_nothing(make_fleet, make_mock):
    mock = make_mock(brokers=3)
    fleet, load = loaded(make_fleet, mock, ingest={"batch_bytes": "16KiB"})
    with undisturbed(fleet) as check:
        step = 0
        while delivered(fleet) < SPANS:
            step += 1
            for partition in range(8):
                for topic in (fleet.input.name, fleet.output.name):
                    mock.tell("leader", topic, partition, (partition + step) % 3 + 1)
            if step == 3:  # the group's coordinator moves, too
                mock.tell("coordinator", fleet.config["input"]["group"], 2)
            wait_until(lasts(0.3, check), "the next move")
            assert step < 200, "no end of it"
        assert step >= 4, "it was over before it began"
    assert_delivered(fleet, load)


def test_a_partition_without_its_leader_stops_only_itself(make_fleet, make_mock):
    """Of three brokers one is gone, which leads one input and one output partition."""
    mock = make_mock(brokers=3)
    alone = {"in": 3, "out": 5}

    def place():
        mock.tell("coordinator", fleet.config["input"]["group"], 1)
        for partition in range(8):
            mock.tell("leader", fleet.input.name, partition, 3 if partition == alone["in"] else 1)
            mock.tell("leader", fleet.output.name, partition, 3 if partition == alone["out"] else 1)

    fleet, load = loaded(make_fleet, mock)
    with undisturbed(fleet) as check:
        place()
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 60)
        mock.tell("down", 3)
        wait_until(lasts(2 * STALL, check), "without that broker")
        for partition in range(8):
            if partition != alone["in"]:
                fleet.input.send([span("a*", f"{partition:032x}")], partition=partition)
        wait_until(lambda: check() and delivered(fleet) >= SPANS + 7, "the other shards go on", 60)
        mock.tell("up", 3)
        fleet.input.send([span("a*", f"{alone['in']:032x}")], partition=alone["in"])
        wait_until(lambda: check() and delivered(fleet) >= SPANS + 8, "that shard, too", 60)


def test_a_slow_broker_is_backpressure(make_fleet, make_mock):
    """Half a second for each answer."""
    mock = make_mock()
    fleet, load = loaded(make_fleet, mock)
    with undisturbed(fleet) as check:
        mock.every_broker("rtt", 500)
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 120)
        mock.every_broker("rtt", 0)
    assert_delivered(fleet, load)


def test_a_broker_slower_than_the_delivery_timeout(make_fleet, make_mock):
    """Answers come after delivery_timeout: nobody knows what was written, and nothing is taken for delivered.

    The mock cluster compares no sequence numbers: what librdkafka itself sends again just before the timeout is one
    more copy there. (The test with the real broker counts exactly.)
    """
    mock = make_mock()
    # Nothing is taken to begin with: however fast the machine, all of it is left when the broker becomes slow.
    fleet, load = loaded(make_fleet, mock, lambda: refuse_everything(mock))
    with undisturbed(fleet) as check:
        wait_until(lambda: fleet.metric("spillway_shard_in_flight_parts") > 100, "segments are due")
        mock.every_broker("rtt", 2500)
        mock.tell("clear", mock.PRODUCE)
        # Who reads a message waits as long for it as its producer for the answer.
        fleet.output.read(lambda messages: messages, "something is written")
        wait_until(lambda: check() and fleet.metric("spillway_flush_possibly_persisted_total") > 0,
                   "deliveries in doubt", 60)
        mock.every_broker("rtt", 0)
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 120)
    _, repeated = assert_delivered(fleet, load, copies_each=2)
    assert repeated > 0


def test_a_full_client_queue_is_backpressure(make_fleet, make_mock):
    mock = make_mock()
    fleet, load = loaded(make_fleet, mock, kafka={"properties": {
        **IMPATIENT["kafka"]["properties"], "queue.buffering.max.messages": 20}})
    with undisturbed(fleet) as check:
        mock.every_broker("rtt", 20)
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 120)
    _, repeated = assert_delivered(fleet, load)
    assert repeated == 0


@pytest.mark.parametrize("errors", [["REQUEST_TIMED_OUT", "NOT_ENOUGH_REPLICAS"],
                                    ["OUT_OF_ORDER_SEQUENCE", "UNKNOWN_PRODUCER"]], ids=["passing", "fatal"])
def test_refused_produce_requests_are_repeated(make_fleet, make_mock, errors):
    """Those of the second kind are the end of an idempotent producer: a new one takes over."""
    mock = make_mock()
    fleet, load = loaded(make_fleet, mock)
    with undisturbed(fleet) as check:
        for error in errors:
            mock.tell("errors", mock.PRODUCE, getattr(mock, error), 6)
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 60)
    assert_delivered(fleet, load)


def test_fetches_that_fail_are_repeated(make_fleet, make_mock):
    mock = make_mock()

    def fault():
        for error in (mock.NOT_LEADER, mock.OFFSET_OUT_OF_RANGE, mock.STORAGE_ERROR):
            mock.tell("errors", mock.FETCH, error, 8)

    fleet, load = loaded(make_fleet, mock, fault)
    with undisturbed(fleet) as check:
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 60)
    assert_delivered(fleet, load)


def test_commits_that_fail_are_repeated(make_fleet, make_mock):
    mock = make_mock()
    fleet, load = loaded(make_fleet, mock)
    with undisturbed(fleet) as check:
        mock.tell("errors", harness.MockKafka.OFFSET_COMMIT, 15, 30)  # the coordinator is not available
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 60)
        wait_until(lambda: all(int(s.get("lowWatermark", -1)) == int(s.get("watermark", 0)) for s in fleet.shards()),
                   "the low watermark is committed in the end", 60)
    assert_delivered(fleet, load)


def test_a_batch_that_is_too_large_for_the_broker_is_sent_one_by_one(make_fleet, make_mock):
    """The broker refuses a batch for its size: none of its messages is, so each leaves whole, and none is lost."""
    mock = make_mock()
    fleet, load = loaded(make_fleet, mock)
    with undisturbed(fleet) as check:
        mock.tell("errors", mock.PRODUCE, mock.MESSAGE_TOO_LARGE, 1)
        wait_until(lambda: check() and delivered(fleet) >= SPANS, "everything leaves", 60)
    verdict, repeated = assert_delivered(fleet, load)
    assert repeated == 0 and verdict["segments_split"] == 0, json.dumps(verdict)
    assert fleet.metric("spillway_flush_dead_lettered_spans_total") == 0


def test_a_real_broker_stopped_killed_and_restarted_under_load(make_fleet, own_kafka):
    """Frozen for longer than the stall timeout, then killed and started again, while spans come and segments leave."""
    spans = 40_000
    # Longer than each outage: what the load's own producer holds back meanwhile is not late for its segment.
    fleet = started(make_fleet, own_kafka, segments={"root_timeout": "35s", "idle_timeout": "35s"})
    load = Load(fleet, spans=spans, rate=700)
    with undisturbed(fleet) as check:
        wait_until(lambda: delivered(fleet) > 1_000, "segments leave", 60)
        own_kafka.signal(signal.SIGSTOP)
        wait_until(lasts(1.2 * STALL, check), "a frozen broker")
        own_kafka.signal(signal.SIGCONT)
        before = delivered(fleet)
        wait_until(lambda: check() and delivered(fleet) > before + 1_000, "segments leave again", 60)
        own_kafka.stop()
        check()
        own_kafka.start()
        assert load.is_running(), "under load"
        wait_until(lambda: check() and delivered(fleet) >= spans, "everything leaves", 180)
    assert_delivered(fleet, load, spans)
