"""Dead letters from end to end: they say where they came from and why, and can be sent through once more."""

import json
import os
import signal
import subprocess
import uuid

import confluent_kafka

from harness import wait_until
from spans import left, span, span_id


def headers(message):
    return {k: v.decode() for k, v in message.headers() or []}


def refeed(fleet, *arguments):
    done = fleet.load("refeed", "--brokers", fleet.kafka.brokers, "--from", fleet.dead_letters.name, "--json",
                      "--group", f"refeed-{fleet.config['namespace']}", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def large(trace, letter="a"):
    """A segment span of some 100 kB that no compression makes small."""
    return span(f"{letter}*", trace, name=os.urandom(50_000).hex())


class Letters:
    """Dead letters that a test writes itself."""

    def __init__(self, fleet, count):
        producer = confluent_kafka.Producer({"bootstrap.servers": fleet.kafka.brokers, "log_level": 0})
        for i in range(count):
            producer.produce(fleet.dead_letters.name, str(i), key=f"key-{i}", headers={
                "spillway-reason": "refused", "spillway-topic": fleet.input.name, "spillway-partition": str(i % 2),
                "spillway-offset": str(i)})
            producer.poll(0)
        assert producer.flush(30) == 0
        self.consumer = confluent_kafka.Consumer({"bootstrap.servers": fleet.kafka.brokers, "log_level": 0,
                                                  "group.id": uuid.uuid4().hex})
        self.partitions = [confluent_kafka.TopicPartition(fleet.input.name, p) for p in range(fleet.partitions)]

    def refed(self):
        return sum(self.consumer.get_watermark_offsets(p, timeout=10)[1] for p in self.partitions)


def test_what_the_broker_refused_leaves_after_its_limit_was_raised(make_fleet):
    """L5, K11: dead letters of both kinds of worker; those that a configuration has mended are re-fed, once."""
    fleet = make_fleet(partitions=2).start()
    fleet.kafka.configure(fleet.output.name, max_message_bytes=40_000)
    traces = [uuid.uuid4().hex for _ in range(4)]
    spans = [json.dumps(large(trace)) for trace in traces]
    small = uuid.uuid4().hex
    fleet.input.send([*spans, "not json", json.dumps(span("a*", small)), '{}'], partition=1)
    letters = fleet.dead_letters.read(lambda m: len(m) >= 6, "six dead letters", settle=1.0)
    assert len(letters) == 6
    by_reason = {}
    for message in letters:
        header = headers(message)
        by_reason.setdefault(header["spillway-reason"], []).append(message)
        assert header["spillway-topic"] == fleet.input.name and header["spillway-partition"] == "1"
        assert header["spillway-error"] and header["spillway-offset"].isdigit()
    assert {reason: len(found) for reason, found in by_reason.items()} == {
        "refused": 4, "not_json": 1, "missing_field": 1}
    assert sorted(m.value().decode() for m in by_reason["refused"]) == sorted(spans)
    assert all("too large" in headers(m)["spillway-error"] for m in by_reason["refused"])
    assert left(fleet.segments(1)) == [(small, 1, span_id("a"), (span_id("a"),))]
    wait_until(lambda: fleet.metric("spillway_flush_dead_lettered_spans_total") == 4
               and fleet.metric("spillway_ingest_rejected_total") == 2, "both counters")

    fleet.kafka.configure(fleet.output.name, max_message_bytes=1_048_588)
    assert refeed(fleet, "--dry-run")["sent"] == 6
    assert refeed(fleet, "--reason", "refused") == {
        "read": 6, "sent": 4, "left_out": 2, "omitted": 0, "no_letters": 0}
    segments = left(fleet.segments(5, settle=3.0))
    assert sorted(segments) == sorted((trace, 1, span_id("a"), (span_id("a"),)) for trace in [*traces, small])
    assert refeed(fleet, "--reason", "refused") == {"read": 0, "sent": 0, "left_out": 0, "omitted": 0, "no_letters": 0}

    refed = [m for m in fleet.input.read(lambda m: len(m) >= 11, "the input with what was re-fed")
             if "spillway-refed-from" in headers(m)]
    assert sorted(m.value().decode() for m in refed) == sorted(spans)
    assert {m.partition() for m in refed} == {1}
    assert {headers(m)["spillway-refed-from"].split("/")[0] for m in refed} == {fleet.dead_letters.name}
    # A transaction's marks are no lag, and nothing to be stalled by.
    wait_until(lambda: all(int(s["inputLag"]) == 0 for s in fleet.shards()), "no lag is left")


def test_a_letter_that_is_still_bad_is_a_letter_again(make_fleet):
    fleet = make_fleet().start()
    fleet.input.send(["not json"])
    fleet.dead_letters.read(lambda m: len(m) >= 1, "a dead letter")
    assert refeed(fleet)["sent"] == 1
    letters = fleet.dead_letters.read(lambda m: len(m) >= 2, "it comes back", settle=1.0)
    assert [m.value() for m in letters] == [b"not json"] * 2
    assert [headers(m)["spillway-offset"] for m in letters] == ["0", "1"]


def test_a_flood_of_bad_messages_fills_no_log(make_fleet):
    fleet = make_fleet().start()
    fleet.input.send([b"not json"] * 5_000)
    wait_until(lambda: fleet.metric("spillway_ingest_rejected_total") == 5_000, "all are counted", 60)
    log = (fleet.run_dir / "ingest-0.log").read_text()
    assert 1 <= log.count("message rejected") <= 40, log.count("message rejected")
    assert "reason=not_json" in log


def test_a_killed_run_goes_on_where_it_was(make_fleet):
    """Each letter is re-fed once, though the run is killed -9 again and again."""
    fleet = make_fleet(partitions=2)  # not started: the input topic is all that is looked at
    count = 3_000
    letters = Letters(fleet, count)
    arguments = [fleet.bin / "spillway-load", "refeed", "--brokers", fleet.kafka.brokers,
                 "--from", fleet.dead_letters.name, "--group", fleet.config["namespace"], "--rate", "2000"]
    for enough in (200, 1_000, 2_000):
        run = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: letters.refed() >= enough or run.poll() is not None, "some were re-fed", 60)
        run.send_signal(signal.SIGKILL)
        run.wait()
    done = fleet.load(*arguments[1:])
    assert done.returncode == 0, done.stderr
    messages = fleet.input.read(lambda m: len(m) >= count, "all of them", settle=2.0)
    assert sorted(int(m.value()) for m in messages) == list(range(count))
    assert all(m.key() == f"key-{int(m.value())}".encode() for m in messages)
    assert all(m.partition() == int(m.value()) % 2 for m in messages)
