"""Pools as operators declare them: applied from a file, pruned, kept over a server's death, with nothing lost."""

import json
import signal

import yaml

from harness import wait_until
from load import Load, assert_exactly_once, written


def apply(fleet, *options, **pools):
    """`spillway apply` of these flush pools: name → replicas."""
    path = fleet.folder / "pools.yaml"
    path.write_text(yaml.safe_dump({"pools": [
        {"name": name.replace("_", "-"), "role": "flush", "replicas": replicas} for name, replicas in pools.items()]}))
    return fleet.cli("apply", "-f", path, *options)


def desired(fleet):
    return {pool["name"].split("/")[1]: pool.get("desired", 0) for pool in fleet.pools()}


def owners(fleet):
    return {shard.get("flushWorker", "").rpartition("/workers")[0] for shard in fleet.shards()}


def test_a_file_of_pools_is_applied_under_load_and_pruned_with_nothing_lost(make_fleet):
    """Two pools of a role share the shards; one that is deleted hands its own over first."""
    fleet = make_fleet(partitions=4).start()
    load = Load(fleet, rate=4_000)
    wait_until(lambda: written(fleet) > 500, "load arrives")

    code, text = apply(fleet, "--dry-run", flush=2, flush_2=1)
    assert code == 0 and "~ pools/flush: desired 1 → 2" in text and "+ pools/flush-2" in text, text
    assert desired(fleet) == {"ingest": 1, "flush": 1}

    code, text = apply(fleet, "--wait", "--timeout", "60s", flush=2, flush_2=1)
    assert code == 0, text
    assert desired(fleet) == {"ingest": 1, "flush": 2, "flush-2": 1}
    wait_until(lambda: owners(fleet) == {"pools/flush", "pools/flush-2"}, "both pools have shards")
    assert apply(fleet, flush=2, flush_2=1)[1] == "  pools/flush: unchanged\n  pools/flush-2: unchanged\n"

    code, text = apply(fleet, "--prune", "--wait", "--timeout", "60s", flush=1)
    assert code == 0 and "- pools/flush-2" in text, text
    assert desired(fleet) == {"ingest": 1, "flush": 1}
    assert not fleet.workers("flush-2")
    assert_exactly_once(load.check())


def test_a_created_pool_outlives_the_server_and_the_files_pools_cannot_be_deleted(make_fleet):
    fleet = make_fleet(partitions=2).start()
    assert apply(fleet, "--wait", "--timeout", "60s", flush=1, flush_2=1)[0] == 0
    pids = {w["name"]: w["pid"] for w in fleet.workers()}
    fleet.process.send_signal(signal.SIGKILL)
    fleet.process.wait(30)
    fleet.start()
    assert {w["name"]: w["pid"] for w in fleet.workers()} == pids
    origins = {pool["name"]: pool["origin"] for pool in fleet.pools()}
    assert origins["pools/flush-2"] == "POOL_ORIGIN_API" and origins["pools/flush"] == "POOL_ORIGIN_CONFIGURATION"
    code, text = apply(fleet, "--prune", "--wait", "--timeout", "60s", flush_2=1)
    assert code == 0 and "pools/flush:" not in text, text
    actions = [e["action"] for e in json.loads(fleet.must("-o", "json", "events"))["events"]]
    assert "CreatePool" in actions and "DeletePool" not in actions
    assert desired(fleet) == {"ingest": 1, "flush": 1, "flush-2": 1}


def test_a_change_that_the_server_refuses_is_found_before_any_is_done(make_fleet):
    fleet = make_fleet().start()
    (fleet.folder / "bad.yaml").write_text("pools:\n- {name: flush, role: flush, replicas: 2}\n- name: more\n  role: flsuh\n")
    code, text = fleet.cli("apply", "-f", fleet.folder / "bad.yaml")
    assert code == 2 and "bad.yaml:4: pools.more.role: flsuh: expected" in text, text
    assert desired(fleet) == {"ingest": 1, "flush": 1}
    code, text = apply(fleet, flush_2=1, flush=9)
    assert code == 2 and "desired: 9: expected from 1 to 8" in text, text
    assert desired(fleet) == {"ingest": 1, "flush": 1}
