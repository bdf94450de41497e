"""Does the steps of a plan to a running fleet, each in a thread of its own; and what is seen meanwhile."""

import collections
import contextlib
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request

import confluent_kafka
import redis as redis_client

import explain
import plan
from harness import alive, command_line, wait_until

PATIENCE = 60.0  # seconds: for what an outage makes slow


class Watch:
    """Samples what can only be known while it is so: committed offsets, and counters that end with their process."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.committed = {partition: 0 for partition in range(fleet.partitions)}  # C, or less
        self.unsure = explain.Increase()
        self._ends = threading.Event()
        self._consumer = confluent_kafka.Consumer({
            "bootstrap.servers": fleet.kafka.brokers, "log_level": 0, "group.id": fleet.config["input"]["group"]})
        self._threads = [threading.Thread(target=self._repeat, args=(look,)) for look in (self.look_at_offsets,
                                                                                         self.look_at_metrics)]
        for thread in self._threads:
            thread.start()

    def _repeat(self, look):
        while not self._ends.wait(0.3):
            with contextlib.suppress(OSError, confluent_kafka.KafkaException):
                look()

    def look_at_offsets(self):
        partitions = [confluent_kafka.TopicPartition(self.fleet.input.name, p) for p in self.committed]
        for place in self._consumer.committed(partitions, timeout=3):
            self.committed[place.partition] = max(self.committed[place.partition], place.offset)

    def look_at_metrics(self):
        with urllib.request.urlopen(f"http://{self.fleet.http}/metrics", timeout=3) as answer:
            lines = answer.read().decode().splitlines()
        self.unsure.observe({name: float(value) for name, value in (
            line.rsplit(" ", 1) for line in lines if line.startswith("spillway_flush_possibly_persisted_total{"))})

    def end(self):
        self._ends.set()
        for thread in self._threads:
            thread.join()
        self._consumer.close()


class Chaos:
    """Runs a plan against `fleet`. `say(text)` is called with what is done, from several threads."""

    def __init__(self, fleet, watch, say):
        self.fleet, self.watch, self.say = fleet, watch, say
        self.losses = []  # explain.Loss
        self.done = collections.Counter()  # by kind
        self.problems = []
        self.longest_outage = 0.0  # seconds without Kafka
        self._locks = {kind.group or kind.name: threading.Lock() for kind in plan.KINDS}
        self._ends = threading.Event()

    # ---- the plan
    def run(self, steps, start):
        """Returns when every step has ended; what broke is in `problems`."""
        threads = [threading.Thread(target=self._run_step, args=(step, start)) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def give_up(self):
        """Steps that have not begun do not; those under way end at once."""
        self._ends.set()

    def _run_step(self, step, start):
        if self._ends.wait(max(0.0, start + step.at - time.monotonic())):
            return
        verb, whom = step.kind.split()
        kind = plan.kind_of(step)
        # Two stopped workers may be the same one; only what cannot be twice waits for the other.
        with self._locks[kind.group] if kind.group else contextlib.nullcontext():
            if self._ends.is_set():
                return
            try:
                if whom in ("ingest", "flush"):
                    self._resize(whom, step) if verb == "resize" else self._hit_worker(verb, whom, step)
                else:
                    getattr(self, f"_{verb}_{whom}")(step)
                self.done[step.kind] += 1
            except Exception as error:  # whatever it is: the run has failed and says at which step
                self.problems.append(f"{step}: {type(error).__name__}: {error}")
                self.say(f"FAILED {self.problems[-1]}")

    def _last(self, step):
        self._ends.wait(step.seconds)

    def _signalled(self, pids, step, what):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self.say(f"stop {what} for {step.seconds:.1f} s")
        self._last(step)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.say(f"cont {what}")

    # ---- workers
    def _workers(self, pool):
        """Pids of the workers of a pool by slot, from their lock files: spillwayd need not be there to ask."""
        found = {}
        for lock in self.fleet.run_dir.glob(f"{pool}-*.lock"):
            record = dict(re.findall(r"^(\w+)=(.*)$", lock.read_text(), re.M))
            pid = int(record.get("pid", 0))
            if pid and alive(pid) and str(self.fleet.folder) in command_line(pid):
                found[int(record["slot"])] = pid
        return found

    def _hit_worker(self, verb, pool, step):
        workers = wait_until(lambda: sorted(self._workers(pool).items()) or self._ends.is_set(),
                             f"a worker of {pool} runs", PATIENCE)
        if workers is True:
            return
        slot, pid = workers[step.pick % len(workers)]
        what = f"{pool}/{slot}, pid {pid}"
        try:
            if verb == "kill":
                os.kill(pid, signal.SIGKILL)
                self.say(f"kill {what}")
            else:
                self._signalled([pid], step, what)
        except ProcessLookupError:
            self.say(f"{what} has ended by itself")

    def _resize(self, pool, step):
        self.say(f"resize {pool} to {step.size}")
        wait_until(lambda: self.fleet.cli("resize", pool, step.size)[0] == 0 or self._ends.is_set(),
                   f"resize {pool} {step.size} is accepted", PATIENCE)

    # ---- spillwayd
    def _kill_spillwayd(self, step):
        self.fleet.process.kill()
        self.fleet.process.wait()
        self.say(f"kill spillwayd for {step.seconds:.1f} s")
        self._last(step)
        self.fleet.start(wait_healthy=False)
        self.say("spillwayd is back")

    def _stop_spillwayd(self, step):
        self._signalled([self.fleet.process.pid], step, "spillwayd")

    # ---- Redis
    def _kill_redis(self, step):
        redis = self.fleet.redis
        redis.client.client_pause(10_000, all=False)  # no write from here: what is read now is what is lost
        loss = self._loss()
        redis.kill()
        self.say(f"kill redis for {step.seconds:.1f} s, up to {loss.offsets} spans are to be read again")
        self.losses.append(loss)
        self._last(step)
        redis.start()
        self.say("redis is back, empty")

    def _loss(self):
        loss = explain.Loss(at=time.time(), ranges={})
        for partition in range(self.fleet.partitions):
            ledger = self.fleet.ledger(partition)
            loss.ranges[partition] = (self.watch.committed[partition], int(ledger.get("watermark", 0)))
            loss.released += int(ledger.get("released", 0))
            loss.stale += int(ledger.get("stale_acknowledges", 0))
        return loss

    def _stop_redis(self, step):
        self._signalled([self.fleet.redis.process.pid], step, "redis")

    # ---- Kafka
    def _kill_kafka(self, step):
        began = time.monotonic()
        self.fleet.kafka.stop()  # kill -9
        self.say(f"kill kafka for {step.seconds:.1f} s")
        self._last(step)
        self.fleet.kafka.start()
        self.longest_outage = max(self.longest_outage, time.monotonic() - began)
        self.say("kafka is back")

    def _stop_kafka(self, step):
        self.fleet.kafka.signal(signal.SIGSTOP)
        self.say(f"stop kafka for {step.seconds:.1f} s")
        self._last(step)
        self.fleet.kafka.signal(signal.SIGCONT)
        self.say("cont kafka")


def counters(fleet):
    """Sums over the shards of what Redis holds; None while it does not answer."""
    try:
        ledgers = [fleet.ledger(partition) for partition in range(fleet.partitions)]
    except redis_client.exceptions.RedisError:
        return None
    total = collections.Counter()
    for ledger in ledgers:
        total.update({name: int(value) for name, value in ledger.items() if value.isdigit()})
    return total


def processes_naming(text):
    """`pid command` of the processes that have `text` in their command line, but for our own."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,args=", "-ww"], capture_output=True, text=True).stdout
    return [line.strip() for line in listed.splitlines()
            if text in line and int(line.split()[0]) not in (os.getpid(), os.getppid())]
