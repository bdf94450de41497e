"""Fixtures: one Kafka a run, one fleet a test. `--bin` names the folder of the binaries."""

import itertools
import pathlib
import shutil
import tempfile

import pytest

import harness
from redis_deployments import RedisCluster


def pytest_addoption(parser):
    parser.addoption("--bin", default=str(harness.ROOT / "build/dev/bin"), help="folder of the binaries under test")
    parser.addoption("--redis", default="server", choices=["server", "cluster"],
                     help="what the fleets use that do not bring their own")
    parser.addoption("--steps", default="", help="regular expression: die only at steps that it is found in")


@pytest.fixture(scope="session")
def bin_folder(request):
    return pathlib.Path(request.config.getoption("--bin")).resolve()


@pytest.fixture(scope="session")
def session_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spillway-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(session_folder):
    broker = harness.Kafka(session_folder / "kafka")
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def make_redis(request, session_folder):
    """The Redis of a fleet that does not bring its own; None: a server that the fleet starts."""
    is_cluster = request.config.getoption("--redis") == "cluster"
    numbers = itertools.count()
    return lambda: RedisCluster(session_folder / f"cluster-{next(numbers)}") if is_cluster else None


@pytest.fixture
def make_fleet(make_redis, kafka, bin_folder, session_folder):
    fleets, clusters = [], []

    def make(on=None, **options):
        if "redis" not in options:
            options["redis"] = make_redis()
            clusters.extend(filter(None, [options["redis"]]))
        fleets.append(harness.Fleet(session_folder / f"fleet-{len(fleets)}", on or kafka, bin_folder, **options))
        return fleets[-1]

    yield make
    for owned in [*fleets, *clusters]:
        owned.close()
