"""spillway-load in the background of a test, and its verdict."""

import json
import re
import subprocess

SPANS = 60_000


class Load:
    """spillway-load making spans in the background, and its verdict afterwards."""

    def __init__(self, fleet, spans=SPANS, rate=12_000, seed=7, spread=0.1, options=()):
        self.fleet, self.manifest = fleet, fleet.folder / f"manifest-{seed}.json"
        self.process = subprocess.Popen(
            [fleet.bin / "spillway-load", "make", "--brokers", fleet.kafka.brokers, "--topic", fleet.input.name,
             "--spans", str(spans), "--rate", str(rate), "--seed", str(seed), "--manifest", str(self.manifest),
             "--spread-seconds", str(spread),  # far below root_timeout: no segment is cut
             *options],
            stdout=open(fleet.folder / "make.log", "ab"), stderr=subprocess.STDOUT)

    def is_running(self):
        return self.process.poll() is None

    def check(self, *options):
        assert self.process.wait(300) == 0, (self.fleet.folder / "make.log").read_text()
        done = self.fleet.load("check", "--brokers", self.fleet.kafka.brokers, "--topic", self.fleet.output.name,
                               "--manifest", self.manifest, "--timeout", "120s", "--json", *options)
        assert done.stdout.strip(), done.stderr
        verdict = json.loads(done.stdout.strip().splitlines()[-1])
        code, text = self.fleet.cli("audit", "-o", "wide")
        verdict.update(exit=done.returncode, said=done.stderr[-8000:], audit=text if code else "even")
        if verdict["lost"] or verdict["wrong"]:
            verdict["evidence"] = evidence(self.fleet, verdict)
        return verdict


def everything(topic):
    """All messages of a topic as they are now."""
    return topic.read(lambda _: True, "the topic", settle=0.5)


def evidence(fleet, verdict):
    """Where the spans of the traces named in a verdict were and are: input, output, Redis, Kafka."""
    traces = set(re.findall(r"trace ([0-9a-f]{32})", verdict["said"]))
    lines = [json.dumps(verdict)]
    for topic in (fleet.input, fleet.output, fleet.dead_letters):
        for message in everything(topic):
            value = (message.value() or b"").decode(errors="replace")
            if any(trace in value for trace in traces):
                ids = re.findall(r'"span_id": ?"([0-9a-f]{16})"', value)
                names = sorted(set(re.findall(r'"sentry.segment.id": ?{[^}]*"value": ?"([^"]*)"', value)))
                parents = re.findall(r'"parent_span_id": ?"([^"]*)"', value)
                headers = {k: (v or b"").decode(errors="replace") for k, v in message.headers() or []}
                lines.append(f"{topic.name}/{message.partition()}@{message.offset()} t={message.timestamp()[1]} "
                             f"spans={','.join(ids)} parents={','.join(parents)} segments={names} {headers}")
    lines += [f"shard {shard}: {fleet.ledger(shard)}" for shard in range(fleet.partitions)]
    lines += [f"live: {key}" for key in fleet.live_keys()]
    for log in sorted(fleet.run_dir.glob("*.log*")):
        lines += [f"--- {log.name}", log.read_text(errors="replace")[-20000:]]
    return "\n".join(lines)


def written(fleet):
    """Spans that are in Redis or have left already."""
    return sum(int(s.get("ledger", {}).get("accepted", 0)) or int(s.get("watermark", 0)) for s in fleet.shards())


def assert_nothing_lost(verdict):
    assert verdict["lost"] == 0 and verdict["wrong"] == 0, verdict["evidence"]
    assert verdict["audit"] == "even", verdict["audit"]


def assert_exactly_once(verdict):
    assert_nothing_lost(verdict)
    assert verdict["duplicated"] == 0 and verdict["exit"] == 0, json.dumps(verdict)
