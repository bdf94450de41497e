"""Limits of workers: kept by the kernel where this machine has delegated them, else said and done without."""

import json
import pathlib
import re
import signal
import uuid

from harness import wait_until
from spans import span

POOLS = [{"name": "ingest", "role": "ingest", "replicas": 1},
         {"name": "flush", "role": "flush", "replicas": 2, "memory_max": "1GiB", "cpu_max": 2}]
FILES = {"pools.flush.memory_max": ("memory.max", "1073741824"), "pools.flush.cpu_max": ("cpu.max", "200000 100000")}


def cgroup_of(pid):
    """The folder of a process's cgroup of version 2; None: it has none here."""
    path = re.search(r"^0::(/.*)$", pathlib.Path(f"/proc/{pid}/cgroup").read_text(), re.M)
    mount = re.search(r"^\S+ \S+ \S+ / (\S+) .* - cgroup2 ", pathlib.Path("/proc/self/mountinfo").read_text(), re.M)
    return pathlib.Path(mount[1] + path[1]) if path and mount else None


def not_kept(fleet):
    """By key: why, as the journal tells."""
    events = json.loads(fleet.must("-o", "json", "events"))["events"]
    return {e["detail"].split(" = ")[0]: e["detail"] for e in events if e["action"] == "LimitNotKept"}


def send(fleet, total):
    """Sends three more traces, after which so many have left."""
    fleet.input.send([span("a*", uuid.uuid4().hex) for _ in range(3)])
    fleet.segments(total)


def test_workers_have_their_limits_or_the_journal_says_why_not(make_fleet):
    fleet = make_fleet(partitions=2, config={"pools": POOLS}).start()
    wait_until(lambda: len(fleet.workers("flush")) == 2, "both workers are there", 60)
    send(fleet, 3)
    refused = not_kept(fleet)
    for key, reason in refused.items():
        assert key in FILES and "right would be" in reason, reason
        assert f"a limit is not kept, workers run without it key={key}" in fleet.log(), fleet.log()
    folder = cgroup_of(fleet.pid("flush", 0))
    for key in set(FILES) - set(refused):
        name, value = FILES[key]
        assert (folder / name).read_text().strip() == value
    has_own = folder is not None and folder.name == "flush-0-g1"
    if has_own:
        assert cgroup_of(fleet.pid("ingest", 0)).parent == folder.parent, "one for each, with or without limits"

    pids = sorted(fleet.worker_pids())
    fleet.process.send_signal(signal.SIGKILL)
    fleet.process.wait(30)
    fleet.start()
    assert sorted(fleet.worker_pids()) == pids, "adopted"
    fleet.must("restart", "flush", "--wait", "--timeout", "60s")
    if has_own:
        wait_until(lambda: not folder.exists(), "an adopted worker's cgroup goes with it", 60)
        assert cgroup_of(fleet.pid("flush", 0)).name == "flush-0-g2"
    send(fleet, 6)
    fleet.stop()
    if has_own:
        assert not folder.parent.exists()
