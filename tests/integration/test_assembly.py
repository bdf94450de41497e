"""Conformance rows A1 to A6, end to end: every order of arrival, each in a trace of its own."""

import itertools
import json
import uuid

import pytest

import harness
from spans import left, span, span_id

# row: spans, expected {(project, root letter, letters)}
ROWS = {
    "A1": (["a>b", "d>b", "c>b", "b*"], {(1, "b", "abcd")}),
    "A2": (["d>b", "b>a", "a*", "c>a"], {(1, "a", "abcd")}),
    "A3": (["e>d", "d>b", "b>c", "c>a", "a*"], {(1, "a", "abcde")}),
    "A4": (["c>b", "d>b", "e>b", "b*@2"], {(2, "b", "b"), (1, "b", "cde")}),
    "A5": (["c*>d", "d>b", "e>b", "b*@2"], {(2, "b", "b"), (1, "c", "c"), (1, "b", "de")}),
}


def attributed(notation, trace):
    """A6: both spans carry segment id a."""
    return span(notation, trace, attributes={"sentry.segment.id": {"type": "string", "value": span_id("a")}})


def expected_of(expected, trace):
    return [(trace, project, span_id(root), tuple(sorted(span_id(x) for x in letters)))
            for project, root, letters in expected]


def test_every_order_of_arrival_gives_the_same_segments(make_fleet):
    fleet = make_fleet(partitions=4).start()
    expected = []
    for number, (spans, result) in enumerate(ROWS.values()):
        for order in itertools.permutations(spans):
            trace = uuid.uuid4().hex
            fleet.input.send([span(s, trace) for s in order], partition=number % 4)
            expected += expected_of(result, trace)
    for order in itertools.permutations(["b>c", "a*"]):
        trace = uuid.uuid4().hex
        fleet.input.send([attributed(s, trace) for s in order], partition=3)
        expected += expected_of({(1, "a", "ab")}, trace)
    assert left(fleet.segments(len(expected), settle=1.0)) == sorted(expected)


def test_a_segment_does_not_leave_before_its_deadline(make_fleet):
    fleet = make_fleet(config={"segments": {"root_timeout": "3s", "idle_timeout": "6s"}}).start()
    trace = uuid.uuid4().hex
    fleet.input.send([span("a>b", trace), span("b*", trace)])
    message = fleet.output.read(lambda m: m, "the segment")[0]
    sent = fleet.input.read(lambda m: len(m) == 2, "both spans")[-1]
    waited = message.timestamp()[1] - sent.timestamp()[1]
    assert 3000 <= waited, waited


def test_every_real_trace_leaves_once(make_fleet):
    folder = harness.ROOT.parent / "shared/traces"
    if not folder.is_dir():
        pytest.skip("no folder shared/traces beside the checkout")
    fleet = make_fleet().start()
    lines = [line for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]
    fleet.input.send(lines)

    def all_left(messages):
        return sum(len(json.loads(m.value())["spans"]) for m in messages) >= len(lines)

    messages = fleet.output.read(all_left, "every span", settle=1.0)
    segments = [json.loads(m.value()) for m in messages]
    left(segments)
    out = [s for segment in segments for s in segment["spans"]]
    assert len(out) == len(lines)

    def key(value):
        value = {k: v for k, v in value.items() if k != "is_segment"}
        value["attributes"] = {k: v for k, v in (value.get("attributes") or {}).items() if k != "sentry.segment.id"}
        return json.dumps(value, sort_keys=True)

    assert sorted(map(key, out)) == sorted(key(json.loads(line)) for line in lines)
