"""Drop rules end to end: what matches is left out and counted, everything else leaves, over a server's death."""

import json
import signal
import uuid

from harness import wait_until
from spans import left, span


def rules(fleet):
    return {r["name"].split("/")[1]: r for r in json.loads(fleet.must("-o", "json", "drop-rule", "list")).get("dropRules", [])}


def wait_for_force(fleet, *names):
    """Until Redis has these rules in force and no others: a line a period, `from to project trace name`."""
    def in_force():
        lines = [line.split() for line in fleet.ledger(0).get("drop_rules", "").splitlines()]
        return {line[4] for line in lines if line[1] == "-"}
    wait_until(lambda: in_force() == set(names), f"{names} are in force", 60)


def wait_for_filtered(fleet, count):
    wait_until(lambda: int(fleet.ledger(0).get("filtered", 0)) == count, f"{count} spans are left out", 60)


def projects(fleet, count):
    return [project for _, project, _, _ in left(fleet.segments(count))]


def test_a_rule_leaves_out_what_matches_until_it_ends(make_fleet):
    fleet = make_fleet().start()
    quiet, noisy, one = (span("a*", uuid.uuid4().hex), span("a*@42", uuid.uuid4().hex), span("a*", uuid.uuid4().hex))

    fleet.must("drop-rule", "add", "noisy", "--project", 42, "--ttl", "10m", "--reason", "a test")
    fleet.must("drop-rule", "add", "one", "--trace", one["trace_id"], "--ttl", "10m")
    wait_for_force(fleet, "noisy", "one")
    fleet.input.send([noisy, one, quiet])
    assert projects(fleet, 1) == [1]
    wait_for_filtered(fleet, 2)

    fleet.process.send_signal(signal.SIGKILL)
    fleet.process.wait(30)
    fleet.start()
    assert rules(fleet)["noisy"]["reason"] == "a test"
    fleet.input.send([span("a*@42", uuid.uuid4().hex), span("a*@2", uuid.uuid4().hex)])
    assert sorted(projects(fleet, 2)) == [1, 2]
    wait_for_filtered(fleet, 3)

    fleet.must("drop-rule", "delete", "noisy")
    wait_for_force(fleet, "one")
    fleet.must("drop-rule", "add", "short", "--project", 43, "--ttl", "3s")
    wait_until(lambda: set(rules(fleet)) == {"one"}, "time has ended the rule", 60)
    wait_for_force(fleet, "one")
    fleet.input.send([span("a*@42", uuid.uuid4().hex), span("a*@43", uuid.uuid4().hex)])
    assert sorted(projects(fleet, 4)) == [1, 2, 42, 43]

    actions = [e["action"] for e in json.loads(fleet.must("-o", "json", "events"))["events"]]
    assert actions.count("SetDropRule") == 3 and "DeleteDropRule" in actions and "DropRuleExpired" in actions
    code, text = fleet.cli("audit", "-o", "wide")
    assert code == 0, text


def test_a_rule_that_would_leave_everything_out_is_refused(make_fleet):
    fleet = make_fleet().start()
    code, text = fleet.cli("drop-rule", "add", "all", "--ttl", "1m")
    assert code == 2 and "the rule would drop everything" in text, text
    code, text = fleet.cli("drop-rule", "add", "late", "--project", 1, "--ttl", "800h")
    assert code == 2 and "expected a time from now to in 30 days" in text, text
    assert not rules(fleet)
