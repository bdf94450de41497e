"""Spillway on a Redis Cluster, behind Sentinel and over TLS, under load: slots move, nodes go and come back."""

import signal

import pytest

from harness import wait_until
from redis_deployments import RedisCluster, RedisSentinel, SecuredRedis, SlotMove
from load import Load, assert_exactly_once, assert_nothing_lost, written

SHARDS = 8
INGEST_WORKERS = 2
POOLS = [{"name": "ingest", "role": "ingest", "replicas": INGEST_WORKERS}, {"name": "flush", "role": "flush", "replicas": 2}]


@pytest.fixture
def cluster(session_folder):
    deployment = RedisCluster(session_folder / "cluster")
    yield deployment
    deployment.close()


@pytest.fixture
def sentinel(session_folder):
    deployment = RedisSentinel(session_folder / "sentinel")
    yield deployment
    deployment.close()


def shard_of(fleet, number):
    return next((s for s in fleet.shards() if int(s.get("shard", 0)) == number), {})


def is_settled(fleet):
    """Every shard is at work, and every ingest worker has some: the group will not move them any more."""
    shards = fleet.shards()
    owners = {shard.get("ingestWorker") for shard in shards if shard.get("gate", {}).get("state") == "GATE_STATE_OPEN"}
    return len(shards) == SHARDS and len(owners) == INGEST_WORKERS and None not in owners


def gate_cause(fleet, number):
    return shard_of(fleet, number).get("gate", {}).get("cause", "")


def watermarks(fleet):
    return {int(s.get("shard", 0)): int(s.get("watermark", 0)) for s in fleet.shards()}


def others_go_on(fleet, resting):
    """Once every shard but those that rest has written more."""
    before = watermarks(fleet)
    wait_until(lambda: all(watermark > before.get(shard, 0) for shard, watermark in watermarks(fleet).items()
                           if shard not in resting), "the other shards go on")


def test_slots_move_under_load(make_fleet, cluster):
    """K9d: half moved, gate `redis_moving`, others go on; finished; abandoned. Nothing lost, nothing twice."""
    fleet = make_fleet(partitions=SHARDS, redis=cluster, config={"pools": POOLS}).start()
    assert len({cluster.node_of(fleet.meta_key(shard)) for shard in range(SHARDS)}) == 3
    wait_until(lambda: is_settled(fleet), "the group has settled", 60.0)
    load = Load(fleet, spans=120_000, rate=3_000)  # long enough for a slow machine too
    wait_until(lambda: written(fleet) > 2000, "load arrives")
    for shard in (0, 1):
        move = SlotMove(cluster, fleet.meta_key(shard))
        move.begin()
        move.move_half()
        wait_until(lambda: gate_cause(fleet, shard) == "CAUSE_REDIS_MOVING", "the gate says so")
        others_go_on(fleet, {shard})
        resting = watermarks(fleet).get(shard, 0)
        move.finish()
        wait_until(lambda: watermarks(fleet).get(shard, 0) > resting, "the shard goes on where it is now")
    move = SlotMove(cluster, fleet.meta_key(2))
    move.begin()
    wait_until(lambda: gate_cause(fleet, 2) == "CAUSE_REDIS_MOVING", "the gate says so")
    resting = watermarks(fleet).get(2, 0)
    move.abandon()
    wait_until(lambda: watermarks(fleet).get(2, 0) > resting, "the shard goes on where it was")
    assert load.is_running()
    assert_exactly_once(load.check())


def test_a_node_stops_its_own_shards_only(make_fleet, cluster):
    """Finding 4: a node hangs, goes on, is killed, comes back empty; the others' shards never wait. Nothing lost."""
    # On a slow machine the load may pause within a segment: long time-outs, so that none is cut for that.
    segments = {"root_timeout": "2s", "idle_timeout": "6s", "late_window": "10s"}
    fleet = make_fleet(partitions=SHARDS, redis=cluster, config={"pools": POOLS, "segments": segments}).start()
    node = cluster.node_of(fleet.meta_key(0))
    mine = {shard for shard in range(SHARDS) if cluster.node_of(fleet.meta_key(shard)) == node}
    assert 0 < len(mine) < SHARDS
    wait_until(lambda: is_settled(fleet), "the group has settled", 60.0)
    load = Load(fleet, spans=80_000, rate=4_000)
    wait_until(lambda: written(fleet) > 2000, "load arrives")

    cluster.signal(node, signal.SIGSTOP)
    others_go_on(fleet, mine)
    wait_until(lambda: int(cluster.info((node + 1) % 3, "cluster_slots_fail")) > 0, "the cluster knows")
    others_go_on(fleet, mine)
    resting = watermarks(fleet)
    cluster.signal(node, signal.SIGCONT)
    wait_until(lambda: all(watermarks(fleet).get(shard, 0) > resting[shard] for shard in mine), "its shards go on")

    cluster.nodes[node].kill()
    others_go_on(fleet, mine)
    wait_until(lambda: all(gate_cause(fleet, shard) in ("CAUSE_REDIS", "CAUSE_REDIS_MOVING") for shard in mine),
               "the gates of its shards say so")
    cluster.nodes[node].start()
    cluster.wait_until_whole()
    resting = watermarks(fleet)
    wait_until(lambda: all(watermarks(fleet).get(shard, 0) > resting[shard] for shard in mine), "its shards go on", timeout=60)
    assert_nothing_lost(load.check("--allow-duplicates"))


def test_a_failover_that_forgets_loses_nothing(make_fleet, sentinel):
    """K9: the master is killed, and the replica that takes over lacks the last seconds."""
    fleet = make_fleet(partitions=4, redis=sentinel).start()
    load = Load(fleet, spans=60_000, rate=5_000)
    wait_until(lambda: written(fleet) > 2000, "load arrives")
    sentinel.replica.process.send_signal(signal.SIGSTOP)
    before = watermarks(fleet)
    wait_until(lambda: all(w > before[s] + 500 for s, w in watermarks(fleet).items()), "the master alone has more")
    known = watermarks(fleet)
    sentinel.master.kill()
    sentinel.replica.process.send_signal(signal.SIGCONT)
    wait_until(lambda: sentinel.replica.client.info("replication")["role"] == "master", "the replica is promoted")
    wait_until(lambda: all(w > known[s] for s, w in watermarks(fleet).items()), "the shards go on", timeout=60)
    assert_nothing_lost(load.check("--allow-duplicates"))


@pytest.fixture
def secured(session_folder):
    deployment = SecuredRedis(session_folder / "secured")
    yield deployment
    deployment.close()


def test_over_tls_as_an_acl_user(make_fleet, secured):
    """Every connection, the server's and the workers'; another authority's certificate is refused, and said."""
    fleet = make_fleet(redis=secured, config={"redis": secured.settings()}).start()
    load = Load(fleet, spans=10_000)
    wait_until(lambda: written(fleet) > 1000, "load arrives")
    assert secured.users_connected() == {"spillway"}
    assert_exactly_once(load.check())

    fleet.stop()
    fleet.config["redis"] = secured.settings(ca="other-ca.pem")
    fleet.start(wait_healthy=False)
    said = f"redis.tls.ca: the server's certificate is not trusted by {secured.file('other-ca.pem')}"
    for log in ("ingest-*.log*", "flush-*.log*"):
        wait_until(lambda: any(said in path.read_text() for path in fleet.run_dir.glob(log)), f"{log} says so")
