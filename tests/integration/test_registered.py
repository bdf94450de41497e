"""Registered mode: workers that somebody else starts dial in over TCP, come, go, vanish and come back; 0 lost."""

import signal
import socket
import subprocess
import threading

import pytest

from harness import free_port, wait_until
from load import Load, assert_nothing_lost, written

CONFIG = {
    "flush": {"lease": "12s"}, "output": {"delivery_timeout": "1s"},
    "health": {"report_interval": "100ms", "silence_timeout": "4s", "handover_timeout": "6s"},
}


class Registered:
    """spillwayd with pools that it does not start, and workers that the test starts by hand."""

    def __init__(self, fleet, max_flush=8):
        self.fleet = fleet
        self.gateway = f"127.0.0.1:{free_port()}"
        fleet.config["server"]["gateway"] = self.gateway
        fleet.config["pools"] = [
            {"name": "ingest", "role": "ingest", "scale_owner": "external"},
            {"name": "flush", "role": "flush", "scale_owner": "external", "max": max_flush}]
        self.processes = []
        fleet.start(wait_healthy=False)

    def worker(self, role, gateway=None, uid=None):
        log = open(self.fleet.folder / f"worker-{len(self.processes)}.log", "ab")
        process = subprocess.Popen(
            [self.fleet.bin / "spillway-worker", f"--role={role}", f"--config={self.fleet.folder / 'spillway.yaml'}",
             f"--gateway={gateway or self.gateway}", *([f"--uid={uid}"] if uid else [])],
            stdout=log, stderr=log, start_new_session=True)
        process.log = self.fleet.folder / f"worker-{len(self.processes)}.log"
        self.processes.append(process)
        return process

    def workers(self, count):
        """One ingest worker and `count` of flush, ready."""
        started = [self.worker("ingest")] + [self.worker("flush") for _ in range(count)]
        for pool in ("ingest", "flush"):
            self.fleet.must("wait", pool, "--for", "healthy", "--timeout", "60s")
        wait_until(lambda: self.owners(count), f"shards spread over {count} workers")
        return started[1:]

    def owners(self, count):
        owners = {s.get("flushWorker", "") for s in self.fleet.shards()}
        return "" not in owners and len(owners) == count

    def of(self, process):
        """What the server says of the worker; None: it does not know it."""
        return next((w for w in self.fleet.workers() if int(w.get("pid", 0)) == process.pid), None)

    def state_of(self, process):
        worker = self.of(process)
        return worker and worker["state"].removeprefix("WORKER_STATE_")

    def events(self):
        return self.fleet.get("events")

    def everybody(self):
        """pid → place, generation."""
        return {int(w["pid"]): (w["name"], w["generation"]) for w in self.fleet.workers()
                if w["state"] == "WORKER_STATE_READY"}

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Proxy:
    """Forwards one port to another, until it is told to swallow everything."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.sockets = []
        self.forwards = threading.Event()
        self.forwards.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            self.sockets += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.forward, args=pair, daemon=True).start()

    def forward(self, source, sink):
        try:
            while data := source.recv(65536):
                if self.forwards.is_set():  # else: read and swallowed, both ends stay connected
                    sink.sendall(data)
        except OSError:
            pass

    def close(self):
        for one in [self.listener, *self.sockets]:
            one.close()


def attachments(process):
    lines = process.log.read_text().splitlines()
    return sum("attached to the control plane" in line and "not attached" not in line for line in lines)


@pytest.fixture
def registered(make_fleet):
    made = []

    def make(config=None, **options):
        made.append(Registered(make_fleet(partitions=6, config={**CONFIG, **(config or {})}), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_killed_workers_shards_flush_again_and_a_terminated_ones_at_once(registered):
    place = registered(config={"health": {"report_interval": "100ms", "silence_timeout": "2s", "handover_timeout": "3s"}})
    first, second, third = place.workers(3)
    load = Load(place.fleet, spans=24_000, rate=3_000)
    wait_until(lambda: written(place.fleet) > 1000, "load arrives")
    assert place.fleet.cli("resize", "flush", "2")[0] == 4
    assert "EXTERNALLY_SCALED" in place.fleet.cli("resize", "flush", "2")[1]

    place_of_third = place.of(third)["name"]
    third.send_signal(signal.SIGTERM)
    assert third.wait(60) == 0
    wait_until(lambda: place.state_of(third) is None and place.owners(2), "its place and its shards are free", 60.0)

    # How soon is for control_plane_bench: here are others, and a machine that may be busy.
    second.kill()
    wait_until(lambda: place.state_of(second) == "LOST" and place.owners(1), "its shards flush again", 60.0)
    wait_until(lambda: place.state_of(first) == "READY" and place.fleet.cli("health")[0] == 0,
               "what is there does all of the work", 60.0)
    for action, process in (("worker registered", first), ("worker left", third)):
        wait_until(lambda: any(e["action"] == action and f"pid {process.pid}," in e.get("detail", "")
                               for e in place.events()), f"the journal tells: {action}")
    wait_until(lambda: any(e["action"] == "worker lost" for e in place.events()), "the journal tells: worker lost")

    fourth = place.worker("flush")
    wait_until(lambda: place.state_of(fourth) == "READY" and place.owners(2), "a new one takes its share", 60.0)
    assert place.of(fourth)["name"] == place_of_third, "the lost one's place is kept for it"
    assert_nothing_lost(load.check("--allow-duplicates"))


def test_a_new_server_finds_places_generations_and_shards_as_they_were(registered):
    place = registered()
    place.workers(3)
    load = Load(place.fleet, spans=15_000, rate=3_000)
    wait_until(lambda: written(place.fleet) > 1000, "load arrives")
    before = wait_until(lambda: len(place.everybody()) == 4 and place.everybody(), "all are ready")
    owners = {s["name"]: s["flushWorker"] for s in place.fleet.shards()}
    place.fleet.process.kill()
    place.fleet.process.wait()
    place.fleet.start(wait_healthy=False)
    wait_until(lambda: place.everybody() == before, "everybody is back in the same place", 60.0)
    wait_until(lambda: {s["name"]: s.get("flushWorker") for s in place.fleet.shards()} == owners, "and has its shards",
               60.0)
    assert all(process.poll() is None for process in place.processes)
    assert_nothing_lost(load.check("--allow-duplicates"))


def test_doubles_and_too_many_are_refused_by_name(registered):
    place = registered(max_flush=2)
    original = place.worker("flush", uid="cloned")
    wait_until(lambda: place.state_of(original) == "READY", "it is ready")
    double = place.worker("flush", uid="cloned")
    wait_until(lambda: "DUPLICATE_UID" in double.log.read_text(), "the double is refused")
    assert f"pools/flush/workers/0 (pid {original.pid}, uid cloned)" in double.log.read_text()
    assert place.of(double) is None and place.of(original)["name"] == "pools/flush/workers/0"

    second = place.worker("flush")
    wait_until(lambda: place.state_of(second) == "READY", "the second is ready")
    third = place.worker("flush")
    wait_until(lambda: "POOL_FULL" in third.log.read_text(), "the third is refused")
    second.terminate()
    wait_until(lambda: place.state_of(third) == "READY", "it takes the place that is free", 60.0)
    assert place.of(third)["name"] == "pools/flush/workers/1" and place.of(third)["generation"] == "2"


def test_what_needs_a_process_of_ours_is_refused_and_a_restart_is_an_order_to_end(registered):
    place = registered()
    worker = place.worker("flush")
    wait_until(lambda: place.state_of(worker) == "READY", "it is ready")
    for verb in (("stacks", "flush/0"), ("logs", "flush/0"), ("restart", "flush"), ("stop", "flush")):
        code, text = place.fleet.cli(*verb)
        assert code == 4 and "NOT_LAUNCHED" in text, (verb, code, text)
    place.fleet.must("pause", "flush", "--wait", "--timeout", "60s")
    place.fleet.must("resume", "flush", "--wait", "--timeout", "60s")
    place.fleet.cli("restart", "flush/0")
    assert worker.wait(60) == 0, "whoever started it starts the next"
    successor = place.worker("flush")
    wait_until(lambda: place.state_of(successor) == "READY", "the next one is ready")
    assert place.of(successor)["generation"] == "2"
    place.fleet.process.send_signal(signal.SIGTERM)
    place.fleet.process.wait(60)
    assert successor.poll() is None, "it works on without a server"


def test_a_black_holed_connection_is_noticed_in_seconds_by_both_sides(registered):
    # Nobody is found silent here: what is noticed, pings have noticed.
    place = registered(config={"health": {"report_interval": "100ms", "silence_timeout": "5m", "handover_timeout": "6m"}})
    proxy = Proxy(place.gateway)
    try:
        worker = place.worker("flush", gateway=proxy.address)
        wait_until(lambda: place.state_of(worker) == "READY", "it is ready")
        before = place.everybody()
        proxy.forwards.clear()
        wait_until(lambda: "not attached" in worker.log.read_text(), "the worker notices", 60.0)
        proxy.forwards.set()
        # A server that still believes in the old stream refuses the new one.
        wait_until(lambda: attachments(worker) == 2, "both are back", 60.0)
        wait_until(lambda: place.everybody() == before, "in the same place", 60.0)
        assert worker.poll() is None
    finally:
        proxy.close()
