"""Load with an independent check of the output: whatever is resized or killed, nothing is lost."""

import signal
import uuid

from harness import alive, wait_until
from load import Load, assert_exactly_once, assert_nothing_lost, written


def test_resizing_under_load_loses_and_doubles_nothing(make_fleet):
    """P11: `spillway resize flush 4 --wait` moves shards; then 2, 8 and 1."""
    fleet = make_fleet(partitions=8).start()
    load = Load(fleet)
    for size in (4, 2, 8, 1):
        wait_until(lambda: not load.is_running() or written(fleet) > 1000, "load arrives")
        fleet.must("resize", "flush", size, "--wait", "--timeout", "60s")
        owners = wait_until(lambda: owners_of(fleet, size), f"shards spread over {size} workers")
        assert max(owners.values()) - min(owners.values()) <= 1, owners
    assert_exactly_once(load.check())


def owners_of(fleet, size):
    owners = {}
    for shard in fleet.shards():
        owners[shard.get("flushWorker", "")] = owners.get(shard.get("flushWorker", ""), 0) + 1
    return owners if len(owners) == size and "" not in owners else None


def test_killed_workers_lose_nothing(make_fleet):
    """K4, K5: kill -9 of flush and ingest workers under load; what leaves twice has the same flush_id."""
    fleet = make_fleet(partitions=4, config={"flush": {"lease": "12s"}, "output": {"delivery_timeout": "1s"}})
    fleet.config["pools"] = [{"name": "ingest", "role": "ingest", "replicas": 2},
                             {"name": "flush", "role": "flush", "replicas": 2}]
    fleet.start()
    load = Load(fleet)
    for pool in ("flush", "ingest", "flush", "ingest"):
        wait_until(lambda: not load.is_running() or written(fleet) > 1000, "load arrives")
        before = fleet.kill(pool)
        wait_until(lambda: fleet.pid(pool, 0) not in (0, before), f"{pool}/0 is replaced")
        assert not alive(before)
        fleet.must("wait", pool, "--for", "healthy", "--timeout", "60s")
    assert_nothing_lost(load.check("--allow-duplicates"))


def claims(fleet, shard):
    """Ids of the shard's claims in flight (buffer/KEYS.md)."""
    members = fleet.redis.client.zrange(fleet.meta_key(shard)[:-1] + "i", 0, -1)
    return {member.split()[0] for member in members}


def test_claims_of_killed_flush_workers_do_not_wait_for_their_leases(make_fleet):
    """K4, the deaths proven: two owners die in a row with claims in flight, whose leases last five minutes."""
    fleet = make_fleet(partitions=4, config={
        "segments": {"root_timeout": "500ms"}, "flush": {"lease": "300s"},
        "restart": {"backoff": {"initial": "10ms", "max": "100ms"}}})
    fleet.config["pools"] = [{"name": "ingest", "role": "ingest", "replicas": 1},
                             {"name": "flush", "role": "flush", "replicas": 2}]
    fleet.start()
    load = Load(fleet, spans=20_000, rate=4_000)
    wait_until(lambda: fleet.ledger_sum("acknowledged") > 1000, "segments leave")
    fleet.kafka.signal(signal.SIGSTOP)  # what is claimed from now on is not delivered
    try:
        for slot in (0, 1):  # the second has all shards when it dies, and claims on each
            mine = [int(shard["name"].split("/")[1]) for shard in fleet.shards()
                    if slot or shard.get("flushWorker", "").endswith("/0")]
            of_the_dead = wait_until(lambda: all(claims(fleet, shard) for shard in mine) and
                                     set().union(*(claims(fleet, shard) for shard in mine)), "claims are in flight")
            fleet.kill("flush", slot)
            if slot == 0:
                wait_until(lambda: not any(of_the_dead & claims(fleet, shard) for shard in mine),
                           "the other worker releases the claims of the dead", 60)
    finally:
        fleet.kafka.signal(signal.SIGCONT)
    wait_until(lambda: not any(of_the_dead & claims(fleet, shard) for shard in mine), "so do their successors", 60)
    verdict = load.check("--allow-duplicates")
    assert_nothing_lost(verdict)
    assert verdict["duplicated"] == verdict["duplicated_same_flush_id"], verdict
    assert fleet.ledger_sum("released") > 0 and fleet.ledger_sum("stale_acknowledges") == 0


def test_workers_killed_while_redis_holds_their_calls_lose_nothing(make_fleet):
    """K5: what a dead worker has sent is executed after its end, when its successor may have begun."""
    fleet = make_fleet(partitions=4, config={
        "flush": {"lease": "11500ms"}, "output": {"delivery_timeout": "1s"},
        "restart": {"max_restarts": 100, "backoff": {"initial": "10ms", "max": "100ms"}}})
    fleet.config["kafka"]["properties"] = {"session.timeout.ms": "1000", "heartbeat.interval.ms": "250"}
    fleet.start()
    load = Load(fleet, rate=6_000)

    def held():
        return sum("b" in client["flags"] for client in fleet.redis.client.client_list())

    for _ in range(4):
        before = fleet.ledger_sum("acknowledged")
        wait_until(lambda: not load.is_running() or fleet.ledger_sum("acknowledged") > before, "segments leave")
        fleet.redis.client.client_pause(10_000, all=False)
        wait_until(lambda: held() >= 2, "ingest's and flush's calls are held")
        for pool in ("ingest", "flush"):
            fleet.kill(pool)
        fleet.redis.client.client_unpause()
    verdict = load.check("--allow-duplicates")
    assert_nothing_lost(verdict)
    assert verdict["duplicated"] == verdict["duplicated_same_flush_id"], verdict


def test_a_killed_control_plane_changes_nothing(make_fleet):
    """The data plane goes on without spillwayd; the next one adopts the same processes."""
    fleet = make_fleet(partitions=4).start()
    load = Load(fleet)
    pids = sorted(fleet.worker_pids())
    fleet.process.kill()
    fleet.process.wait()
    assert all(alive(pid) for pid in pids)
    fleet.start()
    assert sorted(fleet.worker_pids()) == pids
    assert_exactly_once(load.check())


def test_ctrl_c_leaves_no_process_and_loses_nothing(make_fleet):
    fleet = make_fleet(partitions=4).start()
    load = Load(fleet, rate=20_000)
    wait_until(lambda: written(fleet) > 2000, "load arrives")
    pids = fleet.worker_pids()
    fleet.process.send_signal(signal.SIGINT)
    assert fleet.process.wait(60) == 0
    assert not [pid for pid in pids if alive(pid)]
    fleet.start()
    assert_exactly_once(load.check())


def test_a_stopped_ingest_worker_cuts_no_segment(make_fleet):
    """D4b: spans wait in Kafka while ingest is stopped; afterwards they leave whole."""
    from spans import left, span, span_id
    fleet = make_fleet().start()
    trace = uuid.uuid4().hex
    fleet.input.send([span("a>b", trace)])
    wait_until(lambda: int(fleet.ledger().get("accepted", 0)) == 1, "the first span is in Redis")
    fleet.must("stop", "ingest", "--wait", "--timeout", "60s")
    fleet.input.send([span("b*", trace)])
    fleet.must("start", "ingest", "--wait", "--timeout", "60s")
    assert left(fleet.segments(1, settle=5.0)) == [(trace, 1, span_id("b"), (span_id("a"), span_id("b")))]
