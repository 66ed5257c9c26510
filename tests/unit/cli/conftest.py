"""A real small site with an earlier night and a night behind it, and a way to call the program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import koukan
from koukan.cli import main
from koukan.samples.expected import ExpectedNight
from koukan.samples.night import lay_earlier_night, lay_night
from koukan.samples.scenario import site_toml

SEED, PERSONS, LINES = 7, 700, 4000
OURS = ("KOUKAN_ROOT", "KOUKAN_KEY_FILE", "KOUKAN_LANG", "KOUKAN_OPERATOR", "CREDENTIALS_DIRECTORY")
OURS += ("KOUKAN_SFTP_KEY_FILE",)
SPILL = ("POLARS_TEMP_DIR", "POLARS_TEMP_DIR_BASE_PATH", "POLARS_OOC_SPILL_DIR")


@dataclass(frozen=True)
class Said:
    """What a call said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error as JSON on stderr."""
        found = json.loads(self.err.splitlines()[-1])
        assert isinstance(found, dict)
        return found


Call = Callable[..., Said]


@dataclass(frozen=True)
class Place:
    """A site and where its key is."""

    root: Path
    key: Path

    @property
    def options(self) -> tuple[str, ...]:
        return ("--root", str(self.root), "--key", str(self.key))

    def inbox(self, sender: str, door: str) -> Path:
        return self.root / "exchange" / sender / "inbox" / door


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own site, and nothing that a command sets outlives its test."""
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    for name in SPILL:
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in this process."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = main(arguments)
        said = capsys.readouterr()
        return Said(int(code), said.out, said.err)

    return run


def program(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Starts the program as a process of its own."""
    source = str(Path(koukan.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-m", "koukan", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
        **options,
    )


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[bytes]]:
    return program


def new_site(folder: Path) -> Place:
    place = Place(folder / "site", folder / "keys" / "batch.key")
    place.root.mkdir(parents=True)
    limits = "[limits]\nsettle_seconds = 0.0\n\n[[insurer]]"
    text = site_toml().replace("[[insurer]]", limits, 1)
    (place.root / "site.toml").write_text(text, encoding="utf-8")
    return place


@pytest.fixture
def fresh(tmp_path: Path, call: Call) -> Place:
    """An initialised site into which nothing has come."""
    place = new_site(tmp_path)
    assert call("init", *place.options).code == 0
    return place


@dataclass(frozen=True)
class Night:
    """The site after its night, what was laid, and what the run said."""

    place: Place
    expected: ExpectedNight
    earlier: int  # receptions of the earlier night
    said: Said


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Made once; tests that change it take a copy."""
    place = new_site(tmp_path_factory.mktemp("night"))
    _run("init", *place.options)
    earlier = lay_earlier_night(place.root, SEED, PERSONS)
    _run("run", "register_members", *place.options)
    expected = lay_night(place.root, SEED, LINES, PERSONS)
    said = _run("run", "register_members", "--json", *place.options)
    return Night(place, expected, len(earlier.files), said)


def _run(*arguments: str) -> Said:
    process = program(*arguments)
    out, err = process.communicate()
    return Said(process.returncode, out.decode(), err.decode())


@pytest.fixture
def copy(night: Night, tmp_path: Path) -> Place:
    """The site after its night, to be changed."""
    root = tmp_path / "copy"
    shutil.copytree(night.place.root, root)
    return Place(root, night.place.key)
