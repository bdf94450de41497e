"""The dictionary that chunks are compressed with comes by itself, stays over restarts, and losing it loses nothing."""

import os
import signal

from harness import wait_until
from test_load import Load, assert_nothing_lost, written


def dictionaries(fleet, shard=0):
    """Content by id."""
    return fleet.redis.client.hgetall(fleet.meta_key(shard)[:-1] + "z")


def test_a_restarted_worker_goes_on_with_the_dictionary_it_finds(make_fleet):
    """Under load, ingest is killed; later Redis forgets everything and is given the dictionary again."""
    fleet = make_fleet().start()
    load = Load(fleet, spans=100_000, rate=5_000)
    first = wait_until(lambda: dictionaries(fleet), "a dictionary has been trained")
    assert len(first) == 1
    before = fleet.pid("ingest", 0)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: fleet.pid("ingest", 0) not in (0, before), "ingest/0 is replaced")
    fleet.must("wait", "ingest", "--for", "healthy", "--timeout", "60s")
    taken = written(fleet)
    wait_until(lambda: written(fleet) > taken + 4_000, "the new one writes")
    assert dictionaries(fleet) == first

    assert load.is_running()
    fleet.redis.client.flushall()
    wait_until(lambda: dictionaries(fleet) == first, "the shard is given its dictionary again")
    assert_nothing_lost(load.check("--allow-duplicates"))
    assert dictionaries(fleet) == first
