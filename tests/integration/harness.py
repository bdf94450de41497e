"""A private Spillway for one test: Redis, topics on a real Kafka, spillwayd and its workers.

Everything has its own port and folder; nothing survives the test. Waiting is always for a condition
with a deadline, never for time to pass.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import time
import urllib.request
import uuid

import confluent_kafka
import confluent_kafka.admin
import redis as redis_client
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


class TimedOut(AssertionError):
    pass


def wait_until(condition, what, timeout=30.0):
    """Returns the first true value of `condition`; raises TimedOut naming `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimedOut(f"not within {timeout} s: {what}")
        time.sleep(0.02)


def free_port():
    """Below the range that connections get their own ports from: one of those might take it before it is bound."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def alive(pid):
    """Whether `pid` runs; a zombie does not."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


class Redis:
    """A private redis-server on its own port."""

    def __init__(self, folder, *arguments):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.arguments = arguments
        self.process = None
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            [os.environ.get("SPILLWAY_REDIS_SERVER", "redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
             "--save", "", "--appendonly", "no", *self.arguments],
            stdout=open(self.folder / "redis.log", "ab"), stderr=subprocess.STDOUT, start_new_session=True)
        self.client = redis_client.Redis(port=self.port)
        wait_until(self._answers, "redis-server answers")

    def _answers(self):
        try:
            return self.client.ping()
        except redis_client.exceptions.RedisError:
            return False

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def keep(self):
        """Keeps a copy of what it holds now, for set_back."""
        self.client.save()
        (self.folder / "dump.rdb").rename(self.folder / "kept.rdb")

    def load_kept(self):
        """Goes on with what keep() kept, once it starts. It must not run."""
        shutil.copy(self.folder / "kept.rdb", self.folder / "dump.rdb")

    def set_back(self):
        self.kill()
        self.load_kept()
        self.start()

    def flushall(self):
        self.client.flushall()


class Kafka:
    """A single-node KRaft broker. It keeps its port and its data when it is killed and started again."""

    def __init__(self, folder, **properties):
        """`properties` of the broker; names with underscores for dots."""
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.properties = "\n".join(f"{name.replace('_', '.')}={value}" for name, value in properties.items())
        self.start()
        self.admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

    def start(self):
        script = ROOT / "deploy/lib/services.sh"
        self.process = subprocess.Popen(
            ["bash", "-c", f'. "{script}" && run_kafka "$1" "$2"', "kafka", str(self.folder), str(self.port)],
            stdout=subprocess.PIPE, stderr=open(str(self.folder) + ".log", "ab"), start_new_session=True, text=True,
            env={**os.environ, "SPILLWAY_KAFKA_PROPERTIES": self.properties})
        self.brokers = self.process.stdout.readline().strip()
        assert self.brokers, f"Kafka did not start: see {self.folder}.log"

    def create(self, topic, partitions=1, config=None):
        new = confluent_kafka.admin.NewTopic(topic, partitions, 1, config=config or {})
        self.admin.create_topics([new])[topic].result(30)

    def configure(self, topic, **values):
        """Changes a topic's configuration; names with underscores for dots."""
        resource = confluent_kafka.admin.ConfigResource(confluent_kafka.admin.RESOURCE_TOPIC, topic, set_config={
            name.replace("_", "."): str(value) for name, value in values.items()})
        self.admin.alter_configs([resource])[resource].result(30)

    def cut_off(self, topic, partition, offset):
        """Deletes what lies below `offset`: DeleteRecords v1, which not every client has."""
        name = topic.encode()
        body = struct.pack(f">hhih1sih{len(name)}siiqi", 21, 1, 1, 1, b"t", 1, len(name), name, 1, partition, offset,
                           10_000)
        host, port = self.brokers.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = connection.makefile("rb")
            (length,) = struct.unpack(">i", answer.read(4))
            (error,) = struct.unpack(">h", answer.read(length)[-2:])
        assert error == 0, f"DeleteRecords of {topic}/{partition}: error {error}"

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def stop(self):
        try:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class MockKafka:
    """librdkafka's mock cluster in a process: faults on demand, see tests/support/mock_kafka_main.cc."""

    PRODUCE, FETCH, OFFSET_COMMIT = 0, 1, 8  # Kafka's API keys
    OFFSET_OUT_OF_RANGE, NOT_LEADER, REQUEST_TIMED_OUT, MESSAGE_TOO_LARGE = 1, 6, 7, 10  # and errors
    NOT_ENOUGH_REPLICAS, OUT_OF_ORDER_SEQUENCE, STORAGE_ERROR, UNKNOWN_PRODUCER = 19, 45, 56, 59

    def __init__(self, bin_folder, brokers=1):
        self.count = brokers
        self.process = subprocess.Popen([bin_folder / "spillway-mock-kafka", "--control", f"--brokers={brokers}"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        start_new_session=True, text=True)
        self.brokers = self.process.stdout.readline().strip()
        assert self.brokers, "the mock cluster did not start"

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", f"{words}: {answer}"

    def create(self, topic, partitions=1, config=None):
        self.tell("topic", topic, partitions)

    def every_broker(self, verb, *words):
        for broker in range(1, self.count + 1):
            self.tell(verb, broker, *words)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Topic:
    """Sends to and reads all of one topic."""

    def __init__(self, kafka, name):
        self.kafka, self.name = kafka, name

    def send(self, payloads, partition=0, timestamp_ms=None):
        """Sends one message a payload, in order; each may be a dict, text, bytes or None."""
        producer = confluent_kafka.Producer({"bootstrap.servers": self.kafka.brokers, "log_level": 0, "acks": "all",
                                             "message.max.bytes": 20 << 20})
        for payload in payloads:
            value = json.dumps(payload) if isinstance(payload, dict) else payload
            extra = {"timestamp": timestamp_ms} if timestamp_ms else {}
            producer.produce(self.name, value, partition=partition, **extra)
            producer.poll(0)
        assert producer.flush(30) == 0

    def read(self, until, what, timeout=60.0, settle=0.0):
        """Reads from the beginning until `until(messages)`, then for `settle` seconds more."""
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.kafka.brokers, "group.id": uuid.uuid4().hex, "log_level": 0,
            "auto.offset.reset": "earliest", "enable.auto.commit": False})
        partitions = consumer.list_topics(self.name, 10).topics[self.name].partitions
        consumer.assign([confluent_kafka.TopicPartition(self.name, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
        messages, deadline, done = [], time.monotonic() + timeout, None
        try:
            while True:
                message = consumer.poll(0.05)
                if message is not None and not message.error():
                    messages.append(message)
                    continue
                now = time.monotonic()
                if done is None and until(messages):
                    done = now
                if done is not None and now >= done + settle:
                    return messages
                if done is None and now > deadline:
                    raise TimedOut(f"not within {timeout} s on {self.name}: {what}; {len(messages)} messages")
        finally:
            consumer.close()


class Fleet:
    """spillwayd with its workers on private topics of a shared Kafka."""

    def __init__(self, folder, kafka, bin_folder, partitions=1, config=None, redis=None, topic_config=None,
                 create_topics=True, input_config=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kafka, self.bin = kafka, pathlib.Path(bin_folder)
        self.owns_redis = redis is None
        self.redis = redis or Redis(self.folder / "redis")
        name = uuid.uuid4().hex[:10]
        self.input = Topic(kafka, f"in-{name}")
        self.output = Topic(kafka, f"out-{name}")
        self.dead_letters = Topic(kafka, f"in-{name}-dlq")
        self.partitions, self.topic_config, self.input_config = partitions, topic_config, input_config
        self.environment = {}  # of spillwayd and its workers, over our own
        if create_topics:
            self.create_topics()
        self.api = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.run_dir = self.folder / "run"
        self.config = {
            "namespace": name,
            "redis": {"url": self.redis.url},
            "kafka": {"brokers": kafka.brokers},
            "input": {"topic": self.input.name, "group": f"group-{name}"},
            "output": {"topic": self.output.name},
            "segments": {"root_timeout": "1s", "idle_timeout": "4s", "late_window": "2s"},
            "health": {"report_interval": "200ms"},
            "restart": {"backoff": {"initial": "100ms", "max": "2s"}},
            "server": {"api": self.api, "http": self.http, "run_dir": str(self.run_dir),
                       "state": str(self.folder / "state.db")},
        }
        for section, values in (config or {}).items():
            if isinstance(values, dict):
                self.config.setdefault(section, {}).update(values)
            else:
                self.config[section] = values
        self.process = None

    def create_topics(self):
        self.kafka.create(self.input.name, self.partitions, self.input_config)
        self.kafka.create(self.output.name, self.partitions, self.topic_config)
        self.kafka.create(self.dead_letters.name, 1)

    # ---- processes
    def write_config(self):
        path = self.folder / "spillway.yaml"
        path.write_text(yaml.safe_dump(self.config))
        return path

    def start(self, wait_healthy=True, arguments=()):
        self.run_dir.mkdir(parents=True, exist_ok=True)
        log = open(self.folder / "spillwayd.log", "ab")
        self.process = subprocess.Popen([self.bin / "spillwayd", f"--config={self.write_config()}", *arguments],
                                        stdout=log, stderr=log, start_new_session=True, env={**os.environ, **self.environment})
        wait_until(lambda: self.process.poll() is not None or self.cli("version")[0] == 0, "spillwayd answers")
        assert self.process.poll() is None, f"spillwayd ended with {self.process.returncode}: {self.log()}"
        if wait_healthy:
            for pool in self.pools():
                self.must("wait", pool["name"].split("/")[1], "--for", "healthy", "--timeout", "60s")
        return self

    def stop(self):
        """TERM, as an operator would; the server and every worker must be gone afterwards."""
        if self.process is None:
            return
        pids = self.worker_pids()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.kill_everything()
        left = [pid for pid in pids if alive(pid)]
        assert not left, f"workers left behind: {left}"

    def kill_everything(self):
        for pid in self.worker_pids_by_lock_files():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self):
        try:
            self.stop()
        finally:
            if self.owns_redis:
                self.redis.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return (self.folder / "spillwayd.log").read_text(errors="replace")[-4000:]

    # ---- the command line
    def cli(self, *arguments, timeout=120):
        """Exit code and output of `spillway`."""
        done = subprocess.run([self.bin / "spillway", "--server", self.api, *map(str, arguments)],
                              capture_output=True, text=True, timeout=timeout)
        return done.returncode, done.stdout + done.stderr

    def must(self, *arguments, timeout=120):
        code, output = self.cli(*arguments, timeout=timeout)
        assert code == 0, f"spillway {' '.join(map(str, arguments))}: exit {code}: {output}\n{self.log()}"
        return output

    def get(self, what):
        code, output = self.cli("-o", "json", "get", what)
        return json.loads(output).get(what, []) if code == 0 else []

    def pools(self):
        return self.get("pools")

    def workers(self, pool=None):
        return [w for w in self.get("workers") if pool is None or w["name"].startswith(f"pools/{pool}/")]

    def shards(self):
        return self.get("shards")

    def worker(self, pool, slot):
        return next(w for w in self.workers(pool) if w["name"].endswith(f"/{slot}"))

    def pid(self, pool, slot):
        return int(self.worker(pool, slot).get("pid", 0))

    def kill(self, pool, slot=0):
        """kill -9 of a worker, as soon as it runs; its pid."""

        def killed():
            pid = self.pid(pool, slot)
            try:
                return pid and (os.kill(pid, signal.SIGKILL) or pid)
            except ProcessLookupError:  # it has ended and the server does not know yet
                return 0

        return wait_until(killed, f"{pool}/{slot} runs")

    def worker_pids(self):
        return [int(w["pid"]) for w in self.workers() if int(w.get("pid", 0))]

    def worker_pids_by_lock_files(self):
        """Processes named in lock files that still run this fleet's configuration."""
        words = [w for lock in self.run_dir.glob("*.lock") for w in lock.read_text().replace("=", " ").split()]
        return {int(w) for w in words if w.isdigit() and str(self.folder) in command_line(int(w))}

    # ---- the load tool
    def load(self, *arguments, timeout=300):
        return subprocess.run([self.bin / "spillway-load", *map(str, arguments)], capture_output=True, text=True,
                              timeout=timeout)

    # ---- figures
    def metric(self, name, **labels):
        """Sum over the series of a metric that have these labels."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines
                   if line.startswith((f"{name}{{", f"{name} ")) and all(w in line for w in wanted))

    # ---- what left
    def segments(self, count, timeout=60.0, settle=0.0):
        """Output messages as objects, once there are `count` of them (and `settle` seconds later)."""
        messages = self.output.read(lambda m: len(m) >= count, f"{count} segments", timeout, settle)
        return [json.loads(m.value()) for m in messages]

    def meta_key(self, shard=0):
        return f"{{{self.config['namespace']}/{shard}}}m"

    def ledger(self, shard=0):
        """`meta` of a shard as Redis has it (buffer/KEYS.md); empty: not taken yet."""
        values = self.redis.client.hgetall(self.meta_key(shard))
        return {k.decode(): v.decode(errors="replace") for k, v in values.items()}

    def ledger_sum(self, *counters):
        """Sum of these counters over all shards."""
        ledgers = [self.ledger(shard) for shard in range(self.partitions)]
        return sum(int(ledger.get(counter, 0)) for ledger in ledgers for counter in counters)

    def live_keys(self):
        """Keys of the shards that hold anything but counters and dictionaries: none once everything has left."""
        keys = self.redis.client.scan_iter(match=f"{{{self.config['namespace']}/*", count=1000)
        return [key.decode() for key in keys if not key.endswith((b"}m", b"}z"))]

    def residual(self):
        """What the ledgers cannot explain, once nothing is live."""
        wait_until(lambda: not self.live_keys(), "everything has left Redis", 60.0)
        left = ("acknowledged", "deduplicated", "dropped", "dead_lettered", "quarantined")
        return self.ledger_sum("carried", "accepted") - self.ledger_sum(*left)


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""
