"""What befalls a fleet, when and for how long: a pure function of a seed and a length.

A round deals every kind of step once, in an order of its own, at about the same distance. Steps overlap, except those
of one group: a broker that comes back is given time to be used before it goes again.
"""

import collections
import dataclasses
import random

# group: whose steps never overlap; None: any. low, high: for how many seconds; settle: after that, until the group
# may be hit again.
Kind = collections.namedtuple("Kind", "name group low high settle")

KINDS = [
    Kind("kill ingest", None, 0, 0, 0),
    Kind("stop ingest", None, 1.0, 3.0, 0),  # it goes on where it was
    Kind("freeze ingest", None, 7.0, 9.0, 0),  # beyond silence_timeout: it is replaced meanwhile
    Kind("kill flush", None, 0, 0, 0),
    Kind("stop flush", None, 1.0, 3.0, 0),
    Kind("freeze flush", None, 7.0, 9.0, 0),
    Kind("kill spillwayd", "spillwayd", 0.2, 3.0, 2),
    Kind("stop spillwayd", "spillwayd", 1.0, 4.0, 2),
    Kind("resize ingest", "spillwayd", 0, 0, 1),
    Kind("resize flush", "spillwayd", 0, 0, 1),
    Kind("kill redis", "redis", 0.1, 2.0, 4),  # it comes back empty
    Kind("stop redis", "redis", 1.0, 4.0, 4),
    Kind("kill kafka", "kafka", 0.1, 1.0, 12),
    Kind("stop kafka", "kafka", 1.0, 4.0, 6),
]
ROUND_SECONDS = 45.0
SHORTEST_SECONDS = 40.0
MARGIN_SECONDS = 3.0  # without a step, at the beginning and at the end
POOL_SIZES = (1, 2, 3)


@dataclasses.dataclass(frozen=True)
class Step:
    at: float  # seconds from the start of the load
    kind: str
    seconds: float = 0.0  # how long it lasts
    pick: int = 0  # which worker: modulo how many there are
    size: int = 0  # of the pool

    def __str__(self):
        verb, whom = self.kind.split()
        text = f"{self.at:6.1f} s  {verb} {whom}"
        if verb == "resize":
            return f"{text} to {self.size}"
        if whom in ("ingest", "flush"):
            text += f" worker {self.pick}"
        return f"{text} for {self.seconds:.1f} s" if self.seconds else text


def kind_of(step):
    return next(kind for kind in KINDS if kind.name == step.kind)


def make_plan(seed, seconds):
    """Steps in the order of their times. `seconds` of load; fewer than SHORTEST_SECONDS have no room for all."""
    if seconds < SHORTEST_SECONDS:
        raise ValueError(f"a plan needs {SHORTEST_SECONDS:.0f} s at least, not {seconds:.0f}")
    source = random.Random(seed)
    rounds = max(1, int(seconds // ROUND_SECONDS))
    slot = (seconds - 2 * MARGIN_SECONDS) / (rounds * len(KINDS))
    plan = []
    for number in range(rounds):
        start = MARGIN_SECONDS + number * slot * len(KINDS)
        plan = _dealt(source, plan, start, slot)
    return plan


def _dealt(source, plan, start, slot):
    """`plan` and one more round."""
    while True:
        deck = source.sample(KINDS, len(KINDS))
        steps = [_step(source, kind, start + slot * (i + source.uniform(0, 0.8))) for i, kind in enumerate(deck)]
        if _fits(plan + steps):
            return plan + steps


def _step(source, kind, at):
    return Step(at=round(at, 1), kind=kind.name, seconds=round(source.uniform(kind.low, kind.high), 1),
                pick=source.randrange(6), size=source.choice(POOL_SIZES))


def _fits(plan):
    free = {}
    for step in plan:
        kind = kind_of(step)
        if kind.group is None:
            continue
        if step.at < free.get(kind.group, 0.0):
            return False
        free[kind.group] = step.at + step.seconds + kind.settle
    return True
