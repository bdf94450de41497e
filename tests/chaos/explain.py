"""Why spans left more than once, from the topics themselves: pure accounting.

A span is named by (trace id, span id). It may leave again

  * once for each loss of Redis if it stood at or above the committed low watermark C then, and below the watermark W:
    what is in [C, W) is read again;
  * within a message that was repeated: a part given back after a claim (`released`, and acknowledges that came too
    late), or a delivery whose report could not tell (`possibly persisted`).
"""

import dataclasses


@dataclasses.dataclass
class Loss:
    """Of Redis: what was to be read again of each partition, and the counters that went with it."""
    at: float
    ranges: dict  # partition -> (C, W)
    released: int = 0
    stale: int = 0

    @property
    def offsets(self):
        return sum(max(0, high - low) for low, high in self.ranges.values())


@dataclasses.dataclass
class Account:
    spans_in: int = 0
    lost: list = dataclasses.field(default_factory=list)  # (name, places)
    unknown: int = 0  # spans that left and never came
    disordered: list = dataclasses.field(default_factory=list)  # flush ids: spans not in the order of the input
    copies: int = 0  # spans that left again
    by_loss: int = 0  # of these: read again after a loss of Redis
    repeated_spans: int = 0  # the others
    repeated_messages: list = dataclasses.field(default_factory=list)  # flush ids of messages with such spans


def account(places, messages, losses, contents=None):
    """`places`: span -> [(partition, offset)…] of the input; `messages`: (flush id, [span…]) of the output.

    `contents`: how many different spans have this name, where it is not one: each leaves.
    """
    contents = contents or {}
    result = Account(spans_in=sum(contents.get(span, 1) for span in places))
    seen, used = {}, {}
    for flush_id, spans in messages:
        is_repeated = False
        if not is_in_order([places[span] for span in spans if span in places]):
            result.disordered.append(flush_id)
        for span in spans:
            if span not in places:
                result.unknown += 1
            elif seen.get(span, 0) < contents.get(span, 1):
                seen[span] = seen.get(span, 0) + 1
            else:
                result.copies += 1
                used[span] = used.get(span, 0) + 1
                if used[span] <= times_lost(places[span], losses, contents.get(span, 1)):
                    result.by_loss += 1
                else:
                    result.repeated_spans += 1
                    is_repeated = True
        if is_repeated:
            result.repeated_messages.append(flush_id)
    result.lost = [(span, places[span]) for span in places if seen.get(span, 0) < contents.get(span, 1)]
    return result


def is_in_order(places):
    """Whether one place of each, of one partition, can be chosen so that offsets only grow."""
    for partition in {at for at, _ in places[0]} if places else ():
        last = -1
        for spans in places:
            last = min((offset for at, offset in spans if at == partition and offset > last), default=None)
            if last is None:
                break
        else:
            return True
    return not places


def times_lost(places, losses, contents=1):
    """How many more copies of these spans the losses of Redis allow, of which `contents` are different."""
    def is_in(loss, partition, offset):
        low, high = loss.ranges.get(partition, (0, 0))
        return low <= offset < high

    return sum(min(contents, sum(is_in(loss, *place) for place in places)) for loss in losses)


class Increase:
    """Sum of the growth of counters that begin again at 0 with their process."""

    def __init__(self):
        self.total, self._last = 0, {}

    def observe(self, values):
        for name, value in values.items():
            last = self._last.get(name, 0)
            self.total += value - last if value >= last else value
            self._last[name] = value
