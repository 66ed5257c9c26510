"""The last line of defence: what the process shows and returns when the command line breaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "架空 太郎"


def _run(body: str, *, stdout: int | Path = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    """Run koukan's `main` in a process whose command line is `body`."""
    program = f"""
import sys, types
cli = types.ModuleType("koukan.cli")
exec({body!r}, cli.__dict__)
sys.modules["koukan.cli"] = cli
from koukan.__main__ import main
sys.exit(main())
"""
    command = [sys.executable, "-c", program]
    # What `print` writes must still be in the buffer when `main` has returned.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    if isinstance(stdout, Path):
        with stdout.open("wb") as file:
            return subprocess.run(
                command, stdout=file, stderr=subprocess.PIPE, check=False, env=env
            )
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False, env=env)


def test_the_exit_code_is_the_command_lines() -> None:
    done = _run("def main(argv): return 3")

    assert (done.returncode, done.stderr) == (3, b"")


@pytest.mark.parametrize(
    "failure",
    [
        f"raise ValueError({SECRET!r})",
        f"raise KeyError({SECRET!r}) from RuntimeError({SECRET!r})",
        f"raise type('PanicException', (BaseException,), {{}})({SECRET!r})",
        f"raise SystemExit({SECRET!r})",
        f"return {SECRET!r}",
    ],
)
def test_an_uncaught_exception_ends_in_70_and_shows_no_text_of_it(failure: str) -> None:
    done = _run(f"def main(argv): {failure}")

    assert done.returncode == 70
    assert SECRET.encode() not in done.stderr
    assert b"internal error" in done.stderr
    assert b"koukan.__main__:" in done.stderr


def test_a_broken_import_ends_in_70_and_names_the_module() -> None:
    done = _run("")

    assert done.returncode == 70
    assert b"ImportError koukan.cli" in done.stderr


def test_an_interrupt_ends_in_130_without_a_word() -> None:
    done = _run("def main(argv): raise KeyboardInterrupt")

    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.parametrize(("code", "expected"), [("", 0), ("4", 4), ("None", 0)])
def test_a_plain_exit_keeps_its_code(code: str, expected: int) -> None:
    done = _run(f"def main(argv): raise SystemExit({code})")

    assert (done.returncode, done.stderr) == (expected, b"")


def test_a_failing_thread_shows_no_text_of_its_exception() -> None:
    done = _run(
        "import threading\n"
        f"def fail(): raise ValueError({SECRET!r})\n"
        "def main(argv):\n"
        "    thread = threading.Thread(target=fail); thread.start(); thread.join(); return 0\n"
    )

    assert SECRET.encode() not in done.stderr
    assert b"ValueError" in done.stderr


def test_output_that_cannot_be_written_ends_in_70() -> None:
    done = _run("def main(argv): print('x'); return 0", stdout=Path("/dev/full"))

    assert done.returncode == 70
    assert b"OSError" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    done = _run(
        "import os\n"
        "def main(argv):\n"
        "    reader, writer = os.pipe(); os.dup2(writer, 1); os.close(writer); os.close(reader)\n"
        "    print('x'); return 0\n"
    )

    assert (done.returncode, done.stderr) == (0, b"")
