"""`spillway audit` and the ledger: what is live and what has left explain what came in."""

import json
import urllib.request
import uuid

from harness import wait_until
from spans import span
from load import Load

COUNTERS = ("messages", "accepted", "carried", "rejected", "filtered", "deduplicated", "acknowledged", "dropped",
            "dead_lettered", "quarantined", "orphan", "released", "resurrected", "unreplayable", "skipped",
            "stale_acknowledges")


def audit(fleet, *arguments):
    """Exit code, and the answer with its shards by number."""
    code, output = fleet.cli("-o", "json", "audit", *arguments)
    answer, end = json.JSONDecoder().raw_decode(output)
    return code, answer, {s["shard"]: s for s in answer["shards"]}, output[end:]


def metrics(fleet):
    with urllib.request.urlopen(f"http://{fleet.http}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def send_and_wait(fleet, spans_of_shard):
    """Sends spans without a root, which stay live for idle_timeout; waits until Redis has them."""
    for shard, count in spans_of_shard.items():
        fleet.input.send([span("a>b", uuid.uuid4().hex) for _ in range(count)], partition=shard)
    for shard, count in spans_of_shard.items():
        wait_until(lambda: int(fleet.ledger(shard).get("accepted", 0)) == count, f"spans of shard {shard} are in Redis")


def test_a_healthy_fleet_is_even_and_its_ledger_is_told(make_fleet):
    fleet = make_fleet(partitions=2, config={"segments": {"idle_timeout": "60s"}}).start()
    send_and_wait(fleet, {0: 3, 1: 5})
    fleet.input.send([span("a*", uuid.uuid4().hex), "not a span"], partition=1)
    fleet.segments(1)
    wait_until(lambda: int(fleet.ledger(1).get("acknowledged", 0)) == 1, "the root's segment is acknowledged")

    code, answer, shards, _ = audit(fleet)
    assert code == 0 and answer["isEven"] and answer["unknown"] == 0, answer
    assert shards[0]["outcome"] == shards[1]["outcome"] == "AUDIT_OUTCOME_EXACT"
    assert (shards[0]["figures"]["liveSpans"], shards[1]["figures"]["liveSpans"]) == ("3", "5")
    assert shards[1]["figures"]["ledger"]["rejected"] == "1"
    assert answer["total"]["ledger"]["accepted"] == "9" and answer["total"]["residual"] == "0"
    code, text = fleet.cli("audit", "--shard", 1)
    assert code == 0 and text.splitlines()[-1].split()[:2] == ["total", "EVEN"], text
    assert fleet.cli("audit", "--shard", 99)[0] == 3

    stored = fleet.ledger(1)
    told = wait_until(lambda: next((s["ledger"] for s in fleet.shards() if s["shard"] == 1 and s.get(
        "ledger", {}).get("acknowledged") == "1"), None), "the API tells the ledger")
    exposed = wait_until(lambda: (lambda m: m if m.get('spillway_ledger_acknowledged_total{shard="1"}') == "1" else None)(
        metrics(fleet)), "the metrics tell the ledger")
    for counter in COUNTERS:
        head, *rest = counter.split("_")
        assert told[head + "".join(word.title() for word in rest)] == stored.get(counter, "0"), counter
        assert exposed[f'spillway_ledger_{counter}_total{{shard="1"}}'] == stored.get(counter, "0"), counter


def test_damage_in_redis_is_named_with_its_shard(make_fleet):
    fleet = make_fleet(partitions=3, config={"segments": {"idle_timeout": "60s"}}).start()
    send_and_wait(fleet, {0: 3, 1: 4, 2: 5})
    assert audit(fleet)[0] == 0
    redis, name = fleet.redis.client, fleet.config["namespace"]
    redis.delete(redis.keys(f"{{{name}/0}}p*")[0])
    redis.hincrby(fleet.meta_key(2), "accepted", -2)

    code, answer, shards, said = audit(fleet)
    assert code == 1 and not answer["isEven"]
    assert [shards[i]["figures"]["residual"] for i in range(3)] == ["1", "0", "-2"]
    assert shards[0]["figures"]["missingLists"] == "1"
    assert "shards/0: 1 spans are missing; 1 lists of live parts are gone" in said
    assert "shards/2: 2 spans more than came in" in said and "shards/1" not in said
    assert fleet.cli("audit", "--shard", 1)[0] == 0


def test_what_redis_does_not_tell_is_unknown(make_fleet):
    fleet = make_fleet().start()
    send_and_wait(fleet, {0: 1})
    fleet.redis.kill()
    code, text = fleet.cli("audit")
    assert code == 1
    assert text.splitlines()[1].split()[:3] == ["0", "UNREADABLE", "?"], text
    assert "1 shards could not be told" in text


def test_an_audit_under_load_finds_nothing(make_fleet):
    """Spans come and leave while the shards are walked."""
    fleet = make_fleet(partitions=4).start()
    load = Load(fleet, spans=80_000, rate=10_000)
    exact = 0
    while load.is_running():
        _, _, shards, said = audit(fleet)
        for shard in shards.values():
            if shard["outcome"] == "AUDIT_OUTCOME_EXACT":
                figures = shard["figures"]
                assert figures["residual"] == figures["messageResidual"] == figures["partResidual"] == "0", (shard, said)
                exact += int(figures["liveSpans"]) > 0
            else:
                assert shard["outcome"] == "AUDIT_OUTCOME_NOT_TAKEN", shard
    print(f"audited while live: {exact}")
    assert exact >= 4
    verdict = load.check()
    assert verdict["lost"] == 0 and verdict["exit"] == 0, verdict
    code, answer, _, said = audit(fleet)
    assert code == 0 and answer["total"]["ledger"]["accepted"] == "80000", (answer, said)
