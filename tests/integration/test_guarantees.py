"""docs/guarantees.md names only tests that exist, and it and docs/operations.md only metrics that are served."""

import re
import urllib.request

import harness
from harness import wait_until

GUARANTEES, OPERATIONS = (harness.ROOT / "docs" / name for name in ("guarantees.md", "operations.md"))


def code_words(page):
    return set(re.findall(r"`([^`]+)`", page.read_text()))


def test_every_test_it_names_exists():
    named = {word for word in code_words(GUARANTEES) if re.fullmatch(r"test_\w+|[A-Z]\w+\.[A-Z]\w+", word)}
    assert len(named) > 20, named
    defined = set()
    for path in harness.ROOT.glob("tests/**/*.py"):
        defined |= set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.M))
    for folder in ("buffer", "server", "worker", "tests"):
        for path in (harness.ROOT / folder).rglob("*.cc"):
            defined |= {".".join(names) for names in re.findall(r"^TEST(?:_[FP])?\((\w+), *(\w+)\)", path.read_text(), re.M)}
    assert not named - defined


def test_every_metric_they_name_is_served(make_fleet):
    named = {re.match(r"\w+", word)[0] for page in (GUARANTEES, OPERATIONS) for word in code_words(page)
             if word.startswith("spillway_")}
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
