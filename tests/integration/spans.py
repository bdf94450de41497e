"""Spans in the notation of the conformance rows: `x>p`, `x*`, `x*>p`, `@n`."""

import re

PATTERN = re.compile(r"(\w)(\*)?(?:>(\w))?(?:@(\d+))?$")


def span_id(letter):
    return f"{ord(letter):x}"[-1] * 16 if letter not in "abcdef" else letter * 16


def span(notation, trace, **members):
    letter, star, parent, project = PATTERN.match(notation).groups()
    value = {
        "organization_id": 1, "project_id": int(project or 1), "trace_id": trace, "span_id": span_id(letter),
        "start_timestamp": 1.5, "end_timestamp": 2.25, "received": 3, "retention_days": 90, "status": "ok",
    }
    if parent:
        value["parent_span_id"] = span_id(parent)
    if star:
        value["is_segment"] = True
    value.update(members)
    return value


def left(segments):
    """Output messages as {(trace, project, segment id, frozenset of span ids)}, checking the two edits."""
    result = []
    for segment in segments:
        spans = segment["spans"]
        ids = {s["attributes"]["sentry.segment.id"]["value"] for s in spans}
        assert len(ids) == 1, f"several segment ids in one message: {ids}"
        name = ids.pop()
        for s in spans:
            assert s["is_segment"] == (s["span_id"] == name), s
        projects = {s["project_id"] for s in spans}
        traces = {s["trace_id"] for s in spans}
        assert len(projects) == 1 and len(traces) == 1
        assert re.fullmatch("[0-9a-f]{32}", segment["flush_id"])
        result.append((traces.pop(), projects.pop(), name, tuple(sorted(s["span_id"] for s in spans))))
    return sorted(result)
