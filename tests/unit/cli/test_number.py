"""`koukan history --number`: on a terminal, to somebody with the right, and nowhere else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from staff import Staff, employ, key_file

import koukan
from koukan.samples.population import Population

SATO = Staff("sato", rights=("number",))
SUZUKI = Staff("suzuki", rights=("review",))
INSURER = "06990014"
# Runs a command with a terminal of its own; what stands on that comes out at the end.
ON_A_TERMINAL = """
import os, pty, sys
out = os.memfd_create("stdout")
child, screen = pty.fork()
if child == 0:
    os.dup2(out, 1)
    os.execv(sys.executable, [sys.executable, "-m", "koukan", *sys.argv[1:]])
shown = b""
while True:
    try:
        piece = os.read(screen, 4096)
    except OSError:
        break
    if not piece:
        break
    shown += piece
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os.lseek(out, 0, 0)
sys.stdout.buffer.write(shown + b"\\0" + os.read(out, 65536))
sys.exit(code)
"""


def on_a_terminal(*arguments: str) -> tuple[int, str, str]:
    """Exit code, what stands on the terminal, what came to stdout."""
    source = str(Path(koukan.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", ON_A_TERMINAL, *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": source},
    )
    screen, _, out = done.stdout.decode().partition("\0")
    return done.returncode, screen, out


@pytest.fixture
def asked(copy) -> tuple[str, ...]:
    """A question about a member of the night, without a signature."""
    employ(copy.root, SATO, SUZUKI)
    member = member_of(copy.root, copy.key)
    return ("history", INSURER, member, "--number", "--purpose", "insurer", *copy.options)


def member_of(root: Path, key: Path) -> str:
    from koukan.engine.centre import open_centre
    from koukan.flows.registration import PARTITION, ROSTER

    centre = open_centre(root, key)
    try:
        roster = centre.snapshot(PARTITION)
        rows = roster.read(roster.files(insurer=INSURER, section=ROSTER), section=ROSTER)
        return f"{rows['member_id'][0]:010d}"
    finally:
        centre.close()


def test_a_number_is_shown_on_the_terminal_alone(asked, copy, tmp_path) -> None:
    code, screen, out = on_a_terminal(*asked, "--person-key", str(key_file(tmp_path, SATO)))
    assert (code, out) == (0, "")
    numbers = re.findall(r"\b[0-9]{12}\b", screen)  # two where it was changed that night
    assert 1 <= len(numbers) <= 2
    assert set(numbers) <= set(Population(7).numbers(np.arange(5000)).to_list())
    kept = [path.read_bytes() for path in copy.root.rglob("*") if path.is_file()]
    assert not [number for number in numbers for text in kept if number.encode() in text]
    log = b"".join(path.read_bytes() for path in (copy.root / "log").glob("*.jsonl"))
    assert b'"look_number"' in log
    assert asked[2].encode() not in log


@pytest.mark.requirement("R170")
def test_without_right_terminal_or_purpose_there_is_none(asked, copy, tmp_path, call) -> None:
    key = ("--person-key", str(key_file(tmp_path, SUZUKI)))
    code, screen, out = on_a_terminal(*asked, *key)
    assert (code, out) == (64, "")
    assert "suzuki には、この操作の権限がありません。" in screen
    assert not re.search(r"\b[0-9]{12}\b", screen)
    code, screen, _ = on_a_terminal(*asked[:4], *copy.options, *key)
    assert code == 64
    assert "disclosure" in screen
    unknown = (*asked[:1], "99999999", *asked[2:])
    assert on_a_terminal(*unknown, *key)[0] == 64
    source = str(Path(koukan.__file__).parent.parent)
    nowhere = subprocess.run(
        [sys.executable, "-m", "koukan", *asked, *key],
        capture_output=True,
        check=False,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert (nowhere.returncode, nowhere.stdout) == (64, b"")
    assert "端末がありません" in nowhere.stderr.decode()


@pytest.mark.parametrize(
    "more", [("--json",), ("--output", "x.csv"), ("--spells",), ("--on", "2026-04-01")]
)
def test_a_number_goes_into_no_file(asked, call, more) -> None:
    said = call(*asked, *more)
    assert (said.code, said.out) == (64, "")
