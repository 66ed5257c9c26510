"""The counterpart over time: ticks, what it refuses, and being killed anywhere."""

from __future__ import annotations

import fcntl
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from juki_net_support import (
    BY_ITEMS,
    BY_NUMBER,
    IMMEDIATE,
    Exchange,
    definitions,
    module,
    questions,
    request,
)


def test_a_tick_has_a_number_and_happens_once(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.write_register(200)
    assert exchange.call("--tick", "1")["idle"]
    exchange.lay(1, request(questions(BY_NUMBER, range(100)), 1, BY_NUMBER))

    assert exchange.call("--tick", "1") == {"tick": 1, "idle": True, "ended_before": True}
    assert exchange.call("--tick", "3", code=64) == {"tick": 3, "next": 2}
    assert exchange.call("--tick", "2")["files"] == 1
    before = exchange.answers()
    assert exchange.call("--tick", "2")["ended_before"]
    assert exchange.answers() == before
    assert exchange.call()["tick"] == 3


def test_what_is_no_request_stays_where_it_is(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.write_register(200)
    for name in ("JQ_koukan_000001.dat.part", ".tmp-JQ_koukan_000001.dat", "PK_x.tar.age"):
        (exchange.outbox / name).write_bytes(b"x")

    assert exchange.call()["idle"]
    assert len(list(exchange.outbox.iterdir())) == 3


ASKED = questions(BY_ITEMS, range(100))
GOOD = request(ASKED, 1, BY_ITEMS)
END = 48  # bytes of the end record with its line end


def _width() -> int:
    form = definitions().formats["juki_net_request"]
    return sum(item.slot for item in form.fields(form.section("request"))) + 2


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """The first place where it stands."""
    assert old in GOOD
    return lambda content: content.replace(old, new, 1)


def _second_line_first(content: bytes) -> bytes:
    control, first, second, *rest = content.split(b"\r\n")
    return b"\r\n".join([control, second, first, *rest])


def _asked(**values: str | None) -> Callable[[bytes], bytes]:
    columns = {name: pl.lit(value, pl.String) for name, value in values.items()}
    return lambda _: request(ASKED.with_columns(**columns), 1, BY_ITEMS)


LAST = b"2026040221"  # of the control record: the day, 照会方式, 照会種別
WRONG: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another layout": (_replaced(b"JQ202604", b"JQ202605"), "control record: layout_code"),
    "another sender": (_replaced(b"koukan", b"koukam"), "control record: sender"),
    "another number": (
        _replaced(b"0000012026", b"0000022026"),
        "control record: file_sequence",
    ),
    "no known mode": (_replaced(LAST, b"2026040231"), "control record"),
    "no known kind": (_replaced(LAST, b"2026040223"), "control record: query_type"),
    "the other kind": (_replaced(LAST, b"2026040222"), "main_search_condition"),
    "not ASCII": (_replaced(b"koukan", b"\xb6\xb6\xb6\xb6\xb6\xb6"), "control record"),
    "torn": (lambda content: content[:-1], "length of the file"),
    "no line": (
        lambda content: content[:70] + content[-END:],
        "length of the file",
    ),
    "a line less": (
        lambda content: content[: -_width() - END] + content[-END:],
        "end record: record_count",
    ),
    "another line end": (lambda content: content[:-2] + b" \n", "end record"),
    "another line end inside": (
        _replaced(b"  \r\n0000000002", b"  \n\r0000000002"),
        "line ends and control characters",
    ),
    "a control character": (
        _replaced(b"  \r\n", b" \t\r\n"),
        "line ends and control characters",
    ),
    "lines out of order": (_second_line_first, "record_number"),
    "another type": (_replaced(b"000000000141", b"000000000142"), "record_type_code"),
    "bytes of no character": (_replaced(b"  \r\n", b"\xff \r\n"), "address"),
    "a broken character": (_replaced(b"  \r\n", b" \x81\r\n"), "address"),
    "another count": (_replaced(b"00000100" * 2, b"0000010000000101"), "end record: request_count"),
    "another total": (_replaced(b"0000005050", b"0000005051"), "end record: control_total"),
    "no digit": (
        lambda content: re.sub(rb"(?<=\n000000000141)\d", b"X", content),
        "request_record_number",
    ),
    "a number twice": (
        lambda content: re.sub(rb"(\n000000000[12]41)\d{16}", rb"\g<1>0000000000000001", content),
        "a request record number stands twice",
    ),
    "no name": (_asked(resident_name=None), "main_search_condition"),
    "sex without its condition": (
        _asked(sex="1", main_search_condition="3"),
        "main_search_condition",
    ),
    "no known flag": (_asked(include_removed="7"), "include_removed"),
    "no known sex": (_asked(sex="9"), "sex"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_request_is_refused_and_where_it_is_wrong_is_told(
    tmp_path: Path, wrong: str
) -> None:
    layout, path = module("fixed_width"), tmp_path / "JQ_koukan_000001.dat"
    spoil, where = WRONG[wrong]
    path.write_bytes(spoil(GOOD))
    assert path.read_bytes() != GOOD
    with pytest.raises(layout.Refused) as caught:
        layout.read_request(path)

    assert str(caught.value) == where
    path.write_bytes(GOOD)
    assert layout.read_request(path)[1].height == 100


def test_a_request_under_another_name_is_refused(tmp_path: Path) -> None:
    layout = module("fixed_width")
    for name in ("JQ_koukan_000001.csv", "JQ_koukam_000001.dat", "JQ_koukan_000002.dat"):
        (tmp_path / name).write_bytes(GOOD)
        with pytest.raises(layout.Refused):
            layout.read_request(tmp_path / name)


def test_a_wrong_request_stays_and_the_others_are_answered(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.write_register(100)
    path = exchange.lay(1, GOOD[:-1])
    exchange.lay(2, request(questions(BY_NUMBER, range(10)), 2, BY_NUMBER))
    said = exchange.call(code=65)

    assert (said["requests"], said["refused"], said["files"]) == (1, 1, 1)
    assert list(exchange.outbox.iterdir()) == [path]
    exchange.call("--expect", code=65)
    exchange.lay(1, GOOD)  # once it is mended, it is taken like any other
    assert exchange.call()["requests"] == 1


def test_other_content_under_a_taken_name_is_refused(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.write_register(100)
    exchange.lay(1, request(questions(BY_NUMBER, range(10)), 1, BY_NUMBER))
    exchange.call()
    path = exchange.lay(1, request(questions(BY_NUMBER, range(20)), 1, BY_NUMBER))

    assert exchange.call(code=65)["refused"] == 1
    assert path.exists()
    exchange.lay(1, request(questions(BY_NUMBER, range(10)), 1, BY_NUMBER))
    said = exchange.call()  # the same again: there is nothing to answer
    assert (said["requests"], said["files"]) == (0, 0)
    assert not path.exists()


def test_one_run_at_a_time(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.write_register(10)
    exchange.call()
    with (exchange.folder / "state" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert exchange.call(code=20) == {"busy": True}
    assert exchange.call()["tick"] == 2


def test_wrong_usage_ends_in_its_code(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.call("--what", code=64)


# --- killed

KILLED = str(Path(__file__).with_name("killed_counterpart.py"))
TICKS = 2  # until everything is laid


def _dying(exchange: Exchange, place: int) -> subprocess.CompletedProcess[str]:
    return exchange.run(program=(KILLED, str(place)))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders before each tick: two requests lie there; the first answers are laid."""
    folder = tmp_path_factory.mktemp("ready")
    exchange = Exchange(folder / "first")
    exchange.write_register(150)
    exchange.lay(1, request(questions(BY_NUMBER, range(100)), 1, BY_NUMBER))
    exchange.lay(2, request(questions(BY_ITEMS, range(5)), 2, BY_ITEMS, IMMEDIATE))
    shutil.copytree(folder / "first", folder / "second")
    Exchange(folder / "second").call()
    return [folder / "first", folder / "second"]


@pytest.fixture(scope="module")
def whole(ready: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is laid when nothing is killed."""
    folder = tmp_path_factory.mktemp("whole") / "copy"
    shutil.copytree(ready[0], folder)
    exchange = Exchange(folder)
    assert [exchange.call()["idle"] for _ in range(TICKS + 1)] == [False, False, True]
    return exchange.answers()


@pytest.mark.parametrize("tick", range(TICKS))
def test_killed_anywhere_it_goes_on_from_there(
    ready: list[Path], whole: dict[str, bytes], tmp_path: Path, tick: int, long: bool
) -> None:
    """At each event with --long, else at every fourth part of them."""
    shutil.copytree(ready[tick], tmp_path / "counted")
    told = _dying(Exchange(tmp_path / "counted"), 0)
    events = int(re.fullmatch(r"events (\d+)\n", told.stderr)[1])  # type: ignore[index]
    assert events > 10
    places = range(1, events + 1)
    for place in places if long else places[:: events // 4]:
        folder = tmp_path / str(place)
        shutil.copytree(ready[tick], folder)
        exchange = Exchange(folder)
        assert _dying(exchange, place).returncode == -signal.SIGKILL
        for _ in range(tick, TICKS):
            exchange.call()
        assert exchange.answers() == whole, place
        assert list(exchange.outbox.iterdir()) == []
        assert list((folder / "state" / "answers").iterdir()) == []


def test_an_answer_that_was_taken_up_before_a_kill_is_laid_again_the_same(
    ready: list[Path], whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Laid, but not yet noted: whoever has it by then meets the same bytes under the same name."""
    shutil.copytree(ready[1], tmp_path / "copy")
    exchange = Exchange(tmp_path / "copy")
    before = set(exchange.answers())
    place = 0
    while set(exchange.answers()) == before:
        place += 1
        _dying(exchange, place)
    (name,) = set(exchange.answers()) - before
    (exchange.inbox / name).unlink()
    exchange.call()

    assert exchange.answers() == whole
