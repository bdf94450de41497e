"""Starting without Redis or Kafka, bad configuration, worker replacement (P1, P5)."""

import json
import os
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request
import uuid

import confluent_kafka

import harness
from harness import alive, wait_until
from spans import left, span, span_id


def http(fleet, path):
    try:
        with urllib.request.urlopen(f"http://{fleet.http}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_killed_idle_worker_is_replaced_after_it_is_gone(make_fleet):
    """P5."""
    fleet = make_fleet().start()
    before = fleet.worker("flush", 0)
    os.kill(int(before["pid"]), signal.SIGKILL)
    after = wait_until(lambda: next((w for w in fleet.workers("flush")
                                     if int(w.get("generation", 0)) > int(before["generation"])
                                     and w["state"] == "WORKER_STATE_READY"), None), "a new generation")
    assert after["uid"] != before["uid"] and not alive(int(before["pid"]))
    trace = uuid.uuid4().hex
    fleet.input.send([span("a*", trace)])
    assert left(fleet.segments(1)) == [(trace, 1, span_id("a"), (span_id("a"),))]


def test_the_server_says_what_it_waits_for_and_goes_on_when_it_comes(make_fleet):
    fleet = make_fleet()
    fleet.redis.kill()
    fleet.start(wait_healthy=False)
    code, text = wait_until(lambda: (lambda r: r if "redis" in r[1].lower() else None)(http(fleet, "/readyz?verbose")),
                            "readyz names redis")
    assert code == 503
    assert http(fleet, "/livez")[0] == 200
    code, text = fleet.cli("health")
    assert code != 0 and "redis" in text.lower(), text
    fleet.redis.start()
    for pool in ("ingest", "flush"):
        fleet.must("wait", pool, "--for", "healthy", "--timeout", "60s")
    wait_until(lambda: http(fleet, "/readyz")[0] == 200, "ready")
    trace = uuid.uuid4().hex
    fleet.input.send([span("a*", trace)])
    assert left(fleet.segments(1)) == [(trace, 1, span_id("a"), (span_id("a"),))]


def test_topics_that_appear_later_are_found(make_fleet):
    fleet = make_fleet(create_topics=False)
    fleet.start(wait_healthy=False)
    wait_until(lambda: http(fleet, "/readyz?verbose")[0] == 503, "not ready")
    fleet.create_topics()
    for pool in ("ingest", "flush"):
        fleet.must("wait", pool, "--for", "healthy", "--timeout", "60s")
    trace = uuid.uuid4().hex
    fleet.input.send([span("a*", trace)])
    assert left(fleet.segments(1)) == [(trace, 1, span_id("a"), (span_id("a"),))]


def test_bad_configuration_ends_with_78_and_a_line_each(make_fleet):
    fleet = make_fleet(config={"segments": {"root_timeout": "soon"}, "flsuh": {"lease": "60s"},
                               "flush": {"lease": "20s"}})
    done = subprocess.run([fleet.bin / "spillwayd", f"--config={fleet.write_config()}"], capture_output=True, text=True)
    assert done.returncode == 78
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for needle in ("segments.root_timeout", "flsuh"):
        assert any(needle in line for line in lines), lines
    assert any("soon" in line for line in lines), lines


def test_check_prints_the_effective_configuration(make_fleet):
    fleet = make_fleet()
    done = subprocess.run([fleet.bin / "spillwayd", f"--config={fleet.write_config()}", "--check",
                           "--flusher-processes", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    effective = harness.yaml.safe_load(done.stdout)
    assert effective["segments"]["root_timeout"] == "1s"
    assert next(p for p in effective["pools"] if p["name"] == "flush")["replicas"] == 3


def test_a_worker_that_cannot_start_is_reported_with_its_last_lines(make_fleet):
    """P1: the output topic takes only tiny messages, which is a configuration error of the worker."""
    fleet = make_fleet(topic_config={"max.message.bytes": "20000"})
    fleet.start(wait_healthy=False)
    code, text = fleet.cli("wait", "ingest", "--for", "healthy", "--timeout", "30s")
    assert code == 1, (code, text)
    assert "78" in text, text


def test_wrong_redis_types_are_named_and_crash_nothing(make_fleet):
    """K12."""
    fleet = make_fleet().start()
    wait_until(fleet.ledger, "the shard is taken")
    fleet.stop()
    fleet.redis.client.delete(fleet.meta_key())
    fleet.redis.client.set(fleet.meta_key(), "not a hash")
    fleet.start(wait_healthy=False)

    def reason():
        code, text = fleet.cli("health")
        return text if code != 0 and fleet.meta_key() in text else None

    assert "string" in wait_until(reason, "health names the key")
    assert all(w["restarts"] == 0 and w["state"] != "WORKER_STATE_BACKOFF" for w in fleet.workers())


def test_metrics_and_json_agree(make_fleet):
    fleet = make_fleet(partitions=2).start()
    trace = uuid.uuid4().hex
    fleet.input.send([span("a*", trace)], partition=1)
    fleet.segments(1)
    code, text = http(fleet, "/metrics")
    assert code == 200
    assert "spillway_" in text and 'shard="1"' in text
    code, text = http(fleet, "/api/v1/shards")
    assert code == 200 and len(json.loads(text)["shards"]) == 2


def test_a_running_workers_log_stays_bounded(make_fleet):
    """As if a worker had written 17 MiB: its file is cut while it runs on, its last lines are kept beside it."""
    fleet = make_fleet().start()
    pid, log = fleet.pid("ingest", 0), fleet.run_dir / "ingest-0.log"
    with log.open("ab") as file:
        file.write(b"a line of an eventful life\n" * 660_000)
    wait_until(lambda: log.stat().st_size < 1 << 20, "the log is cut")
    assert pathlib.Path(f"{log}.1").stat().st_size > 16 << 20
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: "ending" in log.read_text(), "the same process still writes to it")


def test_a_group_with_foreign_members_is_refused_until_they_leave(make_fleet):
    """Another implementation that still reads: Spillway says who, takes nothing, and goes on when it has left."""
    fleet = make_fleet()
    foreign = confluent_kafka.Consumer({"bootstrap.servers": fleet.kafka.brokers, "client.id": "old-flusher",
                                        "group.id": fleet.config["input"]["group"], "log_level": 0})
    foreign.subscribe([fleet.input.name])
    wait_until(lambda: foreign.poll(0.1) is not None or foreign.assignment(), "the foreign member has joined")
    fleet.start(wait_healthy=False)

    def refusal():
        foreign.poll(0)
        code, text = fleet.cli("health")
        return text if code != 0 and "old-flusher" in text else None

    assert fleet.config["input"]["group"] in wait_until(refusal, "health names the foreign member")
    assert foreign.assignment(), "nothing was taken from it"
    assert all(int(w.get("restarts", 0)) == 0 for w in fleet.workers())
    foreign.close()
    fleet.must("wait", "ingest", "--for", "healthy", "--timeout", "60s")
    trace = uuid.uuid4().hex
    fleet.input.send([span("a*", trace)])
    assert left(fleet.segments(1)) == [(trace, 1, span_id("a"), (span_id("a"),))]


def test_a_short_retention_is_warned_of_once(make_fleet):
    fleet = make_fleet(input_config={"retention.ms": "600000"}).start()
    log = wait_until(lambda: (lambda text: text if "retention" in text else None)(fleet.log()), "the warning")
    assert log.count("retention is short") == 1, log
    assert fleet.input.name in log and "10m" in log and "max_age" in log, log
