"""Conformance rows V1 to V4, end to end: dead letters name the field; good messages pass."""

import json
import uuid

from spans import left, span, span_id

REQUIRED = ["organization_id", "project_id", "trace_id", "span_id", "start_timestamp", "end_timestamp",
            "received", "retention_days", "status"]


def headers(message):
    return {k: v.decode() for k, v in message.headers()}


def test_invalid_messages_become_dead_letters_and_good_ones_pass(make_fleet):
    fleet = make_fleet().start()
    trace = uuid.uuid4().hex
    good = span("a*", trace)
    bad, fields = [], []
    for field in REQUIRED:
        for change in ("missing", "null", "wrong type"):
            value = dict(good)
            value.pop(field)
            if change == "null":
                value[field] = None
            elif change == "wrong type":
                value[field] = 7 if isinstance(good[field], str) else "x"
            bad.append(json.dumps(value).encode())
            fields.append(field)
    shapes = [b"hello", json.dumps(good).encode()[:-5], b"", None, b"[" * 900_000,
              json.dumps(good).encode().replace(b'"ok"', b'"\xff\xfe"'), b"\0\0\0",
              json.dumps(good).encode()[:-1] + b',"x":' + b'{"x":' * 10_000 + b"1" + b"}" * 10_000 + b"}"]
    fleet.input.send(bad + shapes + [good])

    assert left(fleet.segments(1)) == [(trace, 1, span_id("a"), (span_id("a"),))]
    letters = fleet.dead_letters.read(lambda m: len(m) >= len(bad) + len(shapes), "every dead letter", settle=0.5)
    letters.sort(key=lambda m: int(headers(m)["spillway-offset"]))
    assert [m.value() or b"" for m in letters] == [b or b"" for b in bad + shapes]
    for offset, message in enumerate(letters):
        header = headers(message)
        assert header["spillway-topic"] == fleet.input.name
        assert header["spillway-partition"] == "0"
        assert header["spillway-offset"] == str(offset)
        assert header["spillway-reason"]
        if offset < len(fields):
            assert fields[offset] in header.get("spillway-field", "") + header.get("spillway-error", ""), header


def test_unusual_but_valid_spans_leave_unchanged(make_fleet):
    fleet = make_fleet().start()
    texts, expected = [], []
    for extra in ['"start_timestamp":1,"end_timestamp":2', '"start_timestamp":1e3,"end_timestamp":1.50']:
        for tail in ["", ',"attributes":null', ',"attributes":{}', ',"unknown":{"n":[1e3,12345678901234567890,"\\u00e9ü"]}',
                     ',"parent_span_id":null,"is_segment":null', ',"status":"second"']:
            trace = uuid.uuid4().hex
            texts.append('{"organization_id":1,"project_id":1,"trace_id":"%s","span_id":"aaaaaaaaaaaaaaaa",%s,'
                         '"received":3,"retention_days":90,"status":"ok"%s}' % (trace, extra, tail))
            expected.append(trace)
    fleet.input.send(texts)
    messages = fleet.output.read(lambda m: len(m) >= len(texts), "every span", settle=0.5)
    assert len(messages) == len(texts)
    by_trace = {json.loads(m.value())["spans"][0]["trace_id"]: m.value().decode() for m in messages}
    for trace, text in zip(expected, texts):
        out = by_trace[trace]
        assert '"is_segment":true' in out
        unknown = text.split('"status":"ok"')[0]
        assert unknown in out, (unknown, out)
        if '"unknown"' in text:
            assert '"unknown":{"n":[1e3,12345678901234567890,"\\u00e9ü"]}' in out
