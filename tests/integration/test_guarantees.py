"""docs/guarantees.md names only tests that exist and counters that are in /metrics."""

import re
import urllib.request

import harness
from harness import wait_until

PAGE = harness.ROOT / "docs/guarantees.md"


def code_words():
    return set(re.findall(r"`([^`]+)`", PAGE.read_text()))


def test_every_test_it_names_exists():
    named = {word for word in code_words() if re.fullmatch(r"test_\w+|[A-Z]\w+\.[A-Z]\w+", word)}
    assert len(named) > 20, named
    defined = set()
    for path in harness.ROOT.glob("tests/**/*.py"):
        defined |= set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.M))
    for folder in ("buffer", "worker", "tests"):
        for path in (harness.ROOT / folder).rglob("*.cc"):
            defined |= {".".join(names) for names in re.findall(r"^TEST(?:_[FP])?\((\w+), *(\w+)\)", path.read_text(), re.M)}
    assert not named - defined


def test_every_counter_it_names_is_in_the_metrics(make_fleet):
    named = {word for word in code_words() if word.startswith("spillway_")}
    assert len(named) > 10, named
    fleet = make_fleet().start()
    wait_until(lambda: fleet.ledger(), "the shard has been taken")
    assert fleet.cli("audit")[0] == 0
    missing = named

    def are_all_there():
        nonlocal missing
        with urllib.request.urlopen(f"http://{fleet.http}/metrics", timeout=5) as answer:
            missing = named - set(re.findall(r"^# TYPE (\w+) ", answer.read().decode(), re.M))
        return not missing

    try:
        wait_until(are_all_there, "the counters are in /metrics")
    except harness.TimedOut:
        assert not missing
