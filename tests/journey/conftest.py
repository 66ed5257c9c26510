"""Prepared sites, made once for all journeys, and the processes that fork nights to be killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from journey import nights

from koukan.engine.centre import Centre

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> nights.Prepared:
    """The small site after its earlier night, its inboxes empty. Copy it; do not run it."""
    return nights.small_site(tmp_path_factory.mktemp("small-site"))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> nights.Prepared:
    """The small night, its files in the inboxes. Copy it; do not run it."""
    return nights.small_night(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> nights.Demo:
    """The demo's night, small, its files in the inboxes. Copy it; do not run it."""
    return nights.demo_night(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is one: no kill of a process can tell it from a disk."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK | os.X_OK):
        yield tmp_path_factory.mktemp("memory")
        return
    folder = Path(tempfile.mkdtemp(prefix="koukan-journey-", dir=shared))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def opened() -> Iterator[Callable[..., Centre]]:
    """Opens centres that are closed after the test."""
    found: list[Centre] = []

    def open_one(prepared: nights.Prepared, root: Path | None = None, **more: object) -> Centre:
        found.append(prepared.open(root, **more))
        return found[-1]

    yield open_one
    for centre in found:
        centre.close()


class ForkServer:
    """One process of `fork_server.py`; a schedule at a time."""

    def __init__(self) -> None:
        source = TESTS.parent / "src"
        paths = [str(TESTS), str(source), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            text=True,
        )

    def perform(self, schedule: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(schedule) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the process that forks is gone"
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


@pytest.fixture(scope="session")
def fork_servers() -> Iterator[list[ForkServer]]:
    """As many as two cores can use."""
    servers = [ForkServer() for _ in range(2)]
    yield servers
    for server in servers:
        server.close()
