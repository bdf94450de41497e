"""The completion scripts, read by real shells, on names of a real server."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import harness
import pytest


@pytest.fixture(scope="module")
def environment(kafka, bin_folder, session_folder):
    fleet = harness.Fleet(session_folder / "fleet-completion", kafka, bin_folder).start(wait_healthy=False)
    yield {**os.environ, "PATH": f"{fleet.bin}:{os.environ['PATH']}", "SPILLWAY_SERVER": fleet.api, "TERM": "dumb"}
    fleet.close()


def shell(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} on this machine")
    return path


def run(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


LINES = [("spillway get work", "workers"), ("spillway resize fl", "flush"), ("spillway wait flush --for hea", "healthy"),
         ("spillway describe worker ing", "ingest/0")]


@pytest.mark.parametrize("line,completed", LINES)
def test_bash(environment, line, completed):
    words = line.split()
    script = (f"source <(spillway completion bash); COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _spillway; "
              'printf "%s\\n" "${COMPREPLY[@]}"')
    assert run([shell("bash"), "--norc", "-c", script], environment) == [completed]


@pytest.mark.parametrize("line,completed", LINES)
def test_fish(environment, line, completed):
    script = f"spillway completion fish | source; complete -C '{line}'"
    found = run([shell("fish"), "--no-config", "-c", script], environment)
    assert [entry.split("\t")[0] for entry in found] == [completed]


@pytest.mark.parametrize("line,completed", LINES)
def test_zsh(environment, line, completed):
    """It completes only what is typed: into a terminal, then. A key of ours shows the line instead of running it."""
    path = shell("zsh")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(path, [path, "-f", "-i"], environment)
    seen = ""

    def until(pattern):
        nonlocal seen
        deadline = time.monotonic() + 60
        while not (match := re.search(pattern, seen)):
            assert time.monotonic() < deadline, f"{pattern} did not come: {seen[-2000:]!r}"
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 65536).decode(errors="replace")
        seen = seen[match.end():]
        return match

    try:
        os.write(terminal, (b"PS1=; autoload -Uz compinit && compinit -u -D; source <(spillway completion zsh); "
                            b"show() { print -r -- \"<$BUFFER>\" }; zle -N show; bindkey '^X^B' show; echo rea''dy\n"))
        until("ready")
        os.write(terminal, f"{line}\t\x18\x02".encode())
        shown = until("<(spillway[^>]*)>").group(1)
        assert shown.strip() == f"{line.rsplit(' ', 1)[0]} {completed}"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
