"""The program as a process: signals, pipes, leases, terminals, what it leaves behind."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import koukan
from koukan.cli.progress import Lines
from koukan.cli.settings import Settings
from koukan.samples.night import lay_earlier_night


def _sleeping(fresh, start, **options) -> subprocess.Popen[bytes]:
    """A run between its two looks at an inbox."""
    site = fresh.root / "site.toml"
    site.write_text(site.read_text("utf-8").replace("settle_seconds = 0.0", "settle_seconds = 60"))
    lay_earlier_night(fresh.root, 1, 700)
    process = start("run", "register_members", *fresh.options, **options)
    lock = fresh.root / "locks" / "jobs.lock"
    while process.poll() is None and not (lock.exists() and _locked(lock)):
        time.sleep(0.02)
    assert process.poll() is None, process.stderr and process.stderr.read()
    return process


def _locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _when_running(call, fresh, process) -> dict[str, object]:
    """The page as soon as the ledger knows who holds the lock."""
    page = call("status", "--json", *fresh.options).document
    while page["running"] is None:
        assert process.poll() is None
        time.sleep(0.02)
        page = call("status", "--json", *fresh.options).document
    return page


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_ends_cleanly_and_goes_on_later(
    call, fresh, start, number, code
) -> None:
    process = _sleeping(fresh, start)
    page = _when_running(call, fresh, process)
    busy = call("run", "register_members", "--json", *fresh.options)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert page["running"]["holder"].endswith(f":{process.pid}")
    assert (busy.code, busy.error["key"], busy.error["retryable"]) == (20, "engine.busy", True)
    assert (process.returncode, out) == (code, b"")
    assert "中断しました" in err.decode()
    assert b"Traceback" not in err
    assert call("status", "--json", *fresh.options).document["running"] is None
    site = fresh.root / "site.toml"
    site.write_text(site.read_text("utf-8").replace("settle_seconds = 60", "settle_seconds = 0.0"))
    again = call("run", "register_members", "--json", *fresh.options).document
    assert again["summary"]["receptions"]["accepted"] == 10


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_has_seen_enough_does_not_change_the_exit_code(night, form) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    source = str(Path(koukan.__file__).parent.parent)
    command = [sys.executable, "-m", "koukan", "run", "register_members", *form]
    done = subprocess.run(
        [*command, *night.place.options],
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
        check=False,
    )
    os.close(writer)

    assert done.returncode == 10  # files are held, as before
    assert b"error" not in done.stderr


def test_what_is_piped_has_no_colours_and_a_terminal_has_them(night) -> None:
    plain = _on_terminal("status", *night.place.options, NO_COLOR="1")
    coloured = _on_terminal("status", *night.place.options)

    assert "\x1b[" in coloured
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain)


def _on_terminal(*arguments: str, **environment: str) -> str:
    """What the program shows on a terminal of 80 columns."""
    source = str(Path(koukan.__file__).parent.parent)
    pid, handle = pty.fork()
    if pid == 0:  # pragma: no cover - becomes the program
        os.environ.update({"PYTHONPATH": source, "TERM": "xterm", **environment})
        os.execv(sys.executable, [sys.executable, "-m", "koukan", *arguments])  # noqa: S606
    said = b""
    while True:
        try:
            block = os.read(handle, 65536)
        except OSError:
            break
        if not block:
            break
        said += block
    os.waitpid(pid, 0)
    os.close(handle)
    return said.decode()


def test_a_terminal_shows_bars_while_a_run_goes_on(fresh) -> None:
    lay_earlier_night(fresh.root, 1, 700)

    said = _on_terminal("run", "register_members", *fresh.options)

    assert "取り込み" in said
    assert "━" in said
    assert "10 件の受付を処理しました" in said


def test_lines_are_told_at_the_end_of_a_step_and_not_for_every_group(capsys, monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr("koukan.cli.progress.time.monotonic", lambda: now[0])
    lines = Lines(Settings({}))
    for _ in range(50):
        lines("validated", step="validate", done=1, total=1)
    lines("entered", step="gate")
    for done in range(1, 11):
        now[0] += 1
        lines("gated", step="gate", done=done, total=100)
    now[0] += 1
    lines("x", step="unheard", done=1, total=1)

    assert capsys.readouterr().err.splitlines() == [
        "内容の検査: 1/1",
        "ファイル検査: 6/100",
        "unheard: 1/1",
    ]


def test_the_process_makes_private_files_and_dumps_no_core(call, tmp_path) -> None:
    os.umask(0o022)
    call("explain", "R201")

    assert os.umask(0o077) == 0o077
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def test_polars_spills_inside_the_root(call, fresh) -> None:
    call("status", *fresh.options)

    assert os.environ["POLARS_TEMP_DIR"] == str(fresh.root / "temporary")


def test_the_checker_leaves_nothing_in_the_temporary_folder(call, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = tmp_path / "MR_kenpo-a_000001.csv"
    call("sample", "member_registration", "--rows", "30", "--output", str(path))
    call("validate", str(path))

    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_an_interrupt_in_json_is_an_error_document(fresh, start) -> None:
    process = _sleeping(fresh, lambda *arguments: start(*arguments, "--json"))
    process.terminate()
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (143, b"")
    assert json.loads(err.splitlines()[-1])["exit"] == 143
