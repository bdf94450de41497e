"""Redis without persistence is lost, set back or full, under load: nothing is lost (K8, K9, K9b, K9c).

The first two are for `--redis=cluster` too: every master is emptied or set back.
"""

import re

import confluent_kafka
import pytest

import harness
from harness import wait_until
from load import Load, assert_nothing_lost, everything

PARTITIONS = 4
MIB = 1 << 20


def start(make_fleet, **options):
    options.setdefault("partitions", PARTITIONS)
    return make_fleet(**options).start()


def check_nothing_lost(fleet, load, *options):
    """What left twice is the same message again, or of a segment that had left. Returns how many spans did."""
    verdict = load.check("--allow-duplicates", *options)
    assert_nothing_lost(verdict)
    wait_until(lambda: not fleet.live_keys(), "everything has left Redis")
    return verdict["duplicated"]


def ingest_log(fleet):
    return "\n".join(log.read_text(errors="replace") for log in sorted(fleet.run_dir.glob("ingest-*.log*")))


def lines(fleet, text):
    return [line for line in ingest_log(fleet).splitlines() if text in line]


def committed(fleet):
    """C of every shard; -1: none."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": fleet.kafka.brokers, "log_level": 0,
                                         "group.id": fleet.config["input"]["group"]})
    partitions = [confluent_kafka.TopicPartition(fleet.input.name, p) for p in range(fleet.partitions)]
    try:
        return [max(p.offset, -1) for p in consumer.committed(partitions, timeout=10)]
    finally:
        consumer.close()


def watermarks(fleet):
    return [int(fleet.ledger(shard).get("watermark", 0)) for shard in range(fleet.partitions)]


def assert_told(fleet, text, counter):
    """One line of the log for each shard that it happened to, and the counter with them."""
    told = wait_until(lambda: lines(fleet, text), f"the log says {text!r}")
    assert all("shard=" in line and re.search(r"Z (warn|error) ", line) for line in told), told
    wait_until(lambda: fleet.metric(counter) >= len(told), f"{counter} counts {len(told)}")


@pytest.mark.parametrize("how", ["killed", "flushed"])
def test_redis_emptied_under_load_loses_nothing(make_fleet, how):
    """K9: without persistence; the spans are read again from Kafka."""
    fleet = start(make_fleet)
    load = Load(fleet)
    wait_until(lambda: min(committed(fleet)) > 0, "C is committed for every shard")
    if how == "killed":
        fleet.redis.kill()
        fleet.redis.start()
    else:
        fleet.redis.flushall()
    duplicated = check_nothing_lost(fleet, load)
    wait_until(lambda: fleet.metric("spillway_ledger_replayed_total") >= max(duplicated, 1), f"{duplicated} are counted")
    assert len(lines(fleet, "Redis has lost the shard")) == PARTITIONS
    assert_told(fleet, "Redis has lost the shard", "spillway_ingest_redis_losses_total")


@pytest.mark.parametrize("has_committed", [False, True], ids=["before the low watermark", "past the low watermark"])
def test_redis_set_back_under_load_loses_nothing(make_fleet, has_committed):
    """K9b: an old snapshot; what has left since leaves again and is counted."""
    fleet = start(make_fleet)
    load = Load(fleet)
    wait_until(lambda: min(watermarks(fleet)) > 1000, "load arrives")
    fleet.redis.keep()
    kept = watermarks(fleet)
    if has_committed:
        wait_until(lambda: all(c > w for c, w in zip(committed(fleet), kept)), "C has passed the snapshot")
    else:
        wait_until(lambda: all(now > then for now, then in zip(watermarks(fleet), kept)), "W moved on")
    fleet.redis.set_back()
    check_nothing_lost(fleet, load)
    assert_told(fleet, "Redis was set back", "spillway_ingest_redis_rollbacks_total")
    if has_committed:
        assert fleet.ledger_sum("skipped") > 0 and fleet.ledger_sum("resurrected") > 0


def test_a_replica_without_the_last_writes_loses_nothing(make_fleet):
    """K9: it is promoted, on the master's address."""
    fleet = start(make_fleet)
    replica = harness.Redis(fleet.folder / "replica")
    try:
        replica.client.replicaof("127.0.0.1", fleet.redis.port)
        wait_until(lambda: replica.client.info("replication")["master_link_status"] == "up", "the replica follows")
        load = Load(fleet)
        wait_until(lambda: min(watermarks(fleet)) > 1000, "load arrives")
        before = watermarks(fleet)
        replica.client.replicaof("NO", "ONE")
        wait_until(lambda: all(now > then for now, then in zip(watermarks(fleet), before)), "it misses writes")
        fleet.redis.kill()
        replica.client.config_set("port", fleet.redis.port)
        check_nothing_lost(fleet, load)
        assert_told(fleet, "Redis was set back", "spillway_ingest_redis_rollbacks_total")
    finally:
        replica.kill()


def recreate(fleet, topic):
    fleet.kafka.admin.delete_topics([topic])[topic].result(30)

    def is_there_again():
        try:
            fleet.kafka.create(topic, fleet.partitions)
            return True
        except confluent_kafka.KafkaException:  # the deletion takes a moment
            return False

    wait_until(is_there_again, "the topic is there again")
    wait_until(lambda: fleet.kafka.admin.list_topics(topic, 10).topics[topic].error is None, "its leader is known")


def test_a_recreated_input_topic_suppresses_nothing(make_fleet):
    """K9c: its offsets begin again below W; what Redis still holds of the old log leaves too."""
    fleet = start(make_fleet, partitions=1)
    first = Load(fleet, spans=4000, rate=8000, seed=1)
    wait_until(lambda: fleet.ledger_sum("accepted") >= 4000, "all of it is in Redis")
    recreate(fleet, fleet.input.name)
    second = Load(fleet, spans=2000, rate=8000, seed=2)
    for load in (first, second):
        check_nothing_lost(fleet, load, "--ignore-others")
    assert_told(fleet, "the input log was replaced shard=", "spillway_ingest_replaced_logs_total")
    assert int(fleet.ledger()["incarnation"]) >= 2


def test_another_topic_on_the_same_namespace_suppresses_nothing(make_fleet):
    """K9c: the new topic is shorter than W."""
    fleet = start(make_fleet, partitions=1)
    first = Load(fleet, spans=4000, rate=8000, seed=1)
    check_nothing_lost(fleet, first, "--ignore-others")
    fleet.stop()
    fleet.input = harness.Topic(fleet.kafka, fleet.input.name + "-b")
    fleet.kafka.create(fleet.input.name, 1)
    fleet.config["input"]["topic"] = fleet.input.name
    fleet.kafka.create(fleet.input.name + "-dlq", 1)
    fleet.config["input"]["dead_letter_topic"] = fleet.input.name + "-dlq"
    fleet.start()
    second = Load(fleet, spans=2000, rate=8000, seed=2)
    check_nothing_lost(fleet, second, "--ignore-others")
    assert_told(fleet, "the input log was replaced shard=", "spillway_ingest_replaced_logs_total")


def test_offsets_gone_from_the_log_are_counted(make_fleet):
    """K9c: the log is cut off above C while nobody reads it; only what is gone is missing."""
    fleet = start(make_fleet, partitions=1, config={"segments": {"root_timeout": "1s", "idle_timeout": "1s",
                                                                 "late_window": "100ms"}})
    check_nothing_lost(fleet, Load(fleet, spans=1000, rate=8000, seed=1), "--ignore-others")
    wait_until(lambda: committed(fleet)[0] > 0, "C is committed")
    fleet.stop()
    low = committed(fleet)[0]
    lost = Load(fleet, spans=500, rate=0, seed=2)
    assert lost.process.wait(60) == 0
    end = len(everything(fleet.input))
    fleet.kafka.cut_off(fleet.input.name, 0, end)
    fleet.start()
    check_nothing_lost(fleet, Load(fleet, spans=1000, rate=8000, seed=3), "--ignore-others")
    assert fleet.ledger_sum("unreplayable") == end - low
    assert_told(fleet, "offsets are gone from the input log", "spillway_ingest_unreplayable_offsets_total")


@pytest.mark.parametrize("refusal", [False, True], ids=["at the mark", "when Redis refuses"])
def test_full_redis_closes_the_gate_until_it_drains(make_fleet, refusal):
    """K8: noeviction; flushing goes on, parts leave early, ingest resumes by itself."""
    marks = {"slow": 0.98, "close": 1.0} if refusal else {"slow": 0.75, "close": 0.9}
    fleet = make_fleet(partitions=PARTITIONS, config={
        "gate": {"redis_memory": marks},
        "segments": {"root_timeout": "2s", "idle_timeout": "3s", "late_window": "2m"}})
    redis = fleet.redis.client
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] + 4 * MIB)
    fleet.start()
    load = Load(fleet, spans=30_000, rate=20_000)

    def closed():
        gates = [shard.get("gate", {}) for shard in fleet.shards()]
        return [g for g in gates if g.get("cause") == "CAUSE_REDIS_MEMORY" and g["state"] == "GATE_STATE_CLOSED"]

    wait_until(closed, "a gate is closed for redis_memory")
    wait_until(lambda: fleet.metric("spillway_shard_gate_episodes_total") > 0, "metrics show it")
    assert lines(fleet, "cause=redis_memory")
    verdict = load.check()
    assert verdict["lost"] == verdict["duplicated"] == 0 and verdict["audit"] == "even", verdict
    assert "bytes were changed" not in verdict["said"]  # segments were cut early, that is all
    wait_until(lambda: not closed(), "every gate has reopened")
    assert redis.info("stats")["evicted_keys"] == 0


def test_an_evicting_redis_is_refused_at_start(make_fleet):
    fleet = make_fleet()
    fleet.redis.client.config_set("maxmemory-policy", "allkeys-lru")
    fleet.start(wait_healthy=False)
    code, text = fleet.cli("wait", "ingest", "--for", "healthy", "--timeout", "30s")
    assert code == 1 and "78" in text, (code, text)
    assert wait_until(lambda: lines(fleet, "is allkeys-lru"), "the log names the policy")
    fleet.stop()
    fleet.config["redis"]["allow_eviction"] = True
    fleet.start()
