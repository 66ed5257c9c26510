from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from koukan.errors import EnvironmentRefused, IntegrityError, SealBroken, UsageError
from koukan.oplog import GENESIS, OperationLog, verify

NOVEMBER = datetime(2026, 11, 30, 14, 59, 58, 5, UTC)
NUMBER = "123456789018"  # stands for a 個人番号


class Clock:
    def __init__(self) -> None:
        self.now = NOVEMBER

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(folder: Path, clock: Clock) -> OperationLog:
    return OperationLog(folder, "batch", clock)


def run(log: OperationLog, times: int = 1) -> None:
    for number in range(times):
        with log.operation("store", reception=number) as operation:
            operation.note(rows=number)


def entries(folder: Path) -> list[dict[str, object]]:
    lines = [
        line
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="ascii").splitlines()
    ]
    return [json.loads(line) for line in lines]


def month(folder: Path, name: str = "202611") -> Path:
    return folder / f"operations-{name}.jsonl"


def broken(folder: Path, head: tuple[int, str] | None = None) -> dict[str, str]:
    with pytest.raises(IntegrityError) as caught:
        verify(folder, head)
    assert caught.value.key == "oplog.broken"
    return caught.value.where


@pytest.mark.requirement("R189")
def test_an_operation_leaves_its_intent_and_its_outcome(folder: Path, log: OperationLog) -> None:
    with log.operation("store", job="registration", receptions="1-5", group=7) as operation:
        assert [entry["kind"] for entry in entries(folder)] == ["intent"]
        operation.note(rows=100, outcome="accepted")
        operation.note(rejected=2)
    intent, done = entries(folder)
    where = {"job": "registration", "receptions": "1-5", "group": 7}
    at = "2026-11-30T14:59:58.000005+00:00"
    fixed = {"actor": "batch", "operation": "store", "where": where, "at": at}
    assert intent == {
        **fixed, "kind": "intent", "sequence": 1, "previous": GENESIS, "hash": intent["hash"],
    }  # fmt: skip
    assert done == {
        **fixed, "kind": "done", "sequence": 2, "previous": intent["hash"], "hash": done["hash"],
        "intent": 1, "note": {"rows": 100, "outcome": "accepted", "rejected": 2},
    }  # fmt: skip
    assert log.head == (2, done["hash"])
    assert verify(folder, log.head) == 2


def test_a_hash_is_sha256_over_the_rest_as_canonical_json(folder: Path, log: OperationLog) -> None:
    run(log)
    for entry in entries(folder):
        claimed = entry.pop("hash")
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == claimed


def test_a_failure_is_logged_without_the_errors_text(folder: Path, log: OperationLog) -> None:
    errors: list[BaseException] = [
        ValueError(f"row holds {NUMBER}"),
        SealBroken("seal.broken", path=NUMBER),
        KeyboardInterrupt(),
    ]

    def failing(error: BaseException) -> None:
        with log.operation("store") as operation:
            operation.note(rows=3)
            raise error

    for error in errors:
        with pytest.raises(type(error)) as caught:
            failing(error)
        assert caught.value is error
    failed = [entry for entry in entries(folder) if entry["kind"] == "failed"]
    assert [entry["error"] for entry in failed] == [
        {"class": "ValueError"},
        {"class": "SealBroken", "key": "seal.broken"},
        {"class": "KeyboardInterrupt"},
    ]
    assert [(entry["intent"], entry["note"]) for entry in failed] == [
        (1, {"rows": 3}),
        (3, {"rows": 3}),
        (5, {"rows": 3}),
    ]
    assert NUMBER not in month(folder).read_text()
    assert verify(folder) == 6


@pytest.mark.requirement("R189")
def test_without_an_intent_nothing_is_done(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    done = []
    with (
        pytest.raises(EnvironmentRefused) as caught,
        OperationLog(tmp_path / "file" / "log", "batch", clock).operation("store"),
    ):
        done.append(1)
    assert (caught.value.key, done) == ("oplog.unwritable", [])


def test_a_full_disk_stops_operations_and_the_log_goes_on_afterwards(
    folder: Path, log: OperationLog
) -> None:
    program = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from koukan.errors import EnvironmentRefused
from koukan.oplog import OperationLog

log = OperationLog(Path(sys.argv[1]), "batch", lambda: datetime(2026, 11, 30, tzinfo=UTC))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
bodies = 0
try:
    for _ in range(100):
        with log.operation("store"):
            bodies += 1
except EnvironmentRefused:
    print(bodies)
"""
    torn = 0
    for limit in (5, 1000, 1100, 1200, 1300, 5000):
        place = folder / str(limit)
        result = subprocess.run(
            [sys.executable, "-c", program, str(place), str(limit)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        kinds = [json.loads(x)["kind"] for x in month(place).read_bytes().split(b"\n")[:-1]]
        assert kinds.count("intent") == int(result.stdout)
        assert verify(place) == len(kinds)
        after = OperationLog(place, "batch", Clock())
        run(after)
        assert verify(place, after.head) == len(kinds) + 2
        torn += sum("torn" in entry for entry in entries(place))
    assert torn >= 4


def test_when_the_outcome_cannot_be_logged_the_bodys_error_still_comes_out(
    folder: Path, log: OperationLog
) -> None:
    def failing() -> None:
        with log.operation("store"):
            month(folder).unlink()
            month(folder).mkdir()
            raise LookupError

    with pytest.raises(LookupError) as caught:
        failing()
    assert caught.value.__notes__ == [
        "its outcome could not be logged: oplog.unwritable (path log)"
    ]


def test_the_chain_goes_on_across_months_and_never_back(
    folder: Path, log: OperationLog, clock: Clock
) -> None:
    run(log)
    clock.now = datetime(2026, 12, 1, 8, 0, tzinfo=timezone(timedelta(hours=9)))  # still November
    run(log)
    clock.now = datetime(2027, 2, 1, tzinfo=UTC)
    run(log)
    clock.now = NOVEMBER  # the clock was set back
    run(log)
    names = [path.name for path in sorted(folder.glob("*.jsonl"))]
    assert names == ["operations-202611.jsonl", "operations-202702.jsonl"]
    assert len(month(folder, "202702").read_bytes().splitlines()) == 4
    assert [entry["sequence"] for entry in entries(folder)] == list(range(1, 9))
    assert verify(folder, log.head) == 8


def test_the_files_are_their_owners_only(folder: Path, log: OperationLog) -> None:
    run(log)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_empty_log_is_whole(folder: Path, log: OperationLog) -> None:
    assert verify(folder) == 0
    assert log.head == (0, GENESIS)
    assert verify(folder, log.head) == 0
    assert broken(folder, (0, "1" * 64))
    assert broken(folder, (1, GENESIS)) == {"file": "operations", "line_number": "1"}


def altered_entry(line: bytes, **changes: object) -> bytes:
    """An entry changed and given a hash that fits it again."""
    entry = {**json.loads(line), **changes}
    entry.pop("hash")
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
    entry["hash"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"


ATTACKS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "altered": (lambda x: [*x[:3], x[3].replace(b"batch", b"betch"), *x[4:]], 4),
    "altered with a new hash": (lambda x: [*x[:3], altered_entry(x[3], actor="b"), *x[4:]], 5),
    "removed": (lambda x: [*x[:3], *x[4:]], 4),
    "first removed": (lambda x: x[1:], 1),
    "repeated": (lambda x: [*x[:3], x[2], *x[3:]], 4),
    "reordered": (lambda x: [*x[:3], x[4], x[3], *x[5:]], 4),
    "inserted": (lambda x: [*x[:3], altered_entry(x[3], sequence=4), x[3], *x[4:]], 5),
    "emptied": (lambda x: [*x[:3], b"\n", *x[4:]], 4),
    "merged": (lambda x: [*x[:3], x[3][:-1] + x[4], *x[5:]], 4),
    "spelled otherwise": (lambda x: [*x[:3], x[3].replace(b'":', b'": ', 1), *x[4:]], 4),
    "named twice": (lambda x: [*x[:3], b'{"actor":"z",' + x[3][1:], *x[4:]], 4),
    "no object": (lambda x: [*x[:3], b"[1]\n", *x[4:]], 4),
    "not json": (lambda x: [*x[:3], b"\xff" * 9 + b"\n", *x[4:]], 4),
    "without hash": (lambda x: [*x[:3], b'{"sequence":4}\n', *x[4:]], 4),
}


@pytest.mark.requirement("R190")
@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_on_the_middle_shows_where_it_was(
    folder: Path, log: OperationLog, attack: str
) -> None:
    run(log, 4)
    change, line_number = ATTACKS[attack]
    lines = month(folder).read_bytes().splitlines(keepends=True)
    month(folder).write_bytes(b"".join(change(lines)))
    place = {"file": "operations-202611.jsonl", "line_number": str(line_number)}
    assert broken(folder) == place


@pytest.mark.requirement("R190")
def test_every_flipped_bit_shows(folder: Path, log: OperationLog) -> None:
    run(log, 2)
    content, head = month(folder).read_bytes(), log.head
    draw = random.Random(1)
    for place in draw.sample(range(len(content)), 300):
        altered = bytearray(content)
        altered[place] ^= 1 << draw.randrange(8)
        month(folder).write_bytes(altered)
        broken(folder, head)


@pytest.mark.requirement("R190")
def test_a_cut_tail_and_a_rewritten_log_show_against_a_head_kept_elsewhere(
    folder: Path, log: OperationLog, clock: Clock
) -> None:
    run(log, 2)
    early = log.head
    run(log, 2)
    head = log.head
    lines = month(folder).read_bytes().splitlines(keepends=True)
    assert verify(folder, early) == verify(folder, head) == 8
    month(folder).write_bytes(b"".join(lines[:6]))
    assert verify(folder) == 6
    assert broken(folder, head)["line_number"] == "7"
    month(folder).write_bytes(b"".join(lines)[:-1])  # its last entry made to look torn
    assert broken(folder, head)
    month(folder).unlink()
    clock.now += timedelta(seconds=1)
    run(log, 4)
    assert verify(folder) == 8
    assert broken(folder, head)["line_number"] == "8"
    assert broken(folder, early)["line_number"] == "4"


@pytest.mark.requirement("R190")
def test_a_removed_or_exchanged_month_shows(folder: Path, log: OperationLog, clock: Clock) -> None:
    for number in (10, 11, 12):
        clock.now = datetime(2026, number, 1, tzinfo=UTC)
        run(log)
    october, november = month(folder, "202610"), month(folder)
    first, second = october.read_bytes(), november.read_bytes()
    october.write_bytes(second)
    november.write_bytes(first)
    assert broken(folder) == {"file": october.name, "line_number": "1"}
    october.write_bytes(first)
    november.unlink()
    assert broken(folder) == {"file": "operations-202612.jsonl", "line_number": "1"}
    november.write_bytes(second[:-5])  # torn, but not at the end of the log
    assert broken(folder) == {"file": november.name, "line_number": "2"}


def test_nothing_is_built_on_an_altered_last_entry(folder: Path, log: OperationLog) -> None:
    run(log)
    content = month(folder).read_bytes()
    month(folder).write_bytes(content.replace(b'"kind":"done"', b'"kind":"gone"'))
    before = month(folder).read_bytes()
    done = []
    with pytest.raises(IntegrityError) as caught, log.operation("store"):
        done.append(1)
    assert caught.value.where == {"file": "operations-202611.jsonl", "line_number": "2"}
    assert (month(folder).read_bytes(), done) == (before, [])


@pytest.mark.parametrize("later", [False, True])
def test_a_torn_last_line_is_recovered_wherever_it_was_torn(
    folder: Path, log: OperationLog, clock: Clock, later: bool
) -> None:
    run(log)
    content = month(folder).read_bytes()
    first = content.index(b"\n") + 1
    clock.now += timedelta(days=1 if later else 0)
    for cut in [*range(1, 20), len(content) - first - 1]:
        torn = content[first : first + cut]
        month(folder).write_bytes(content[:first] + torn)
        assert verify(folder) == log.head[0] == 1
        run(log)
        assert verify(folder, log.head) == 3
        _, intent, done = entries(folder)
        assert intent["torn"] == {"sha256": hashlib.sha256(torn).hexdigest(), "length": cut}
        assert "torn" not in done
        for path in folder.glob("*.jsonl"):
            path.unlink()


def test_a_long_torn_rest_is_cut_off(folder: Path, log: OperationLog) -> None:
    run(log)
    with month(folder).open("ab") as file:
        file.write(bytes(200_000))
    assert verify(folder) == 2
    run(log)
    assert verify(folder, log.head) == 4
    assert entries(folder)[2]["torn"] == {
        "sha256": hashlib.sha256(bytes(200_000)).hexdigest(),
        "length": 200_000,
    }


@pytest.mark.parametrize("start", [b"", b'{"act'])
def test_a_month_whose_first_append_was_killed_is_gone_on_in(
    folder: Path, log: OperationLog, clock: Clock, start: bytes
) -> None:
    run(log)
    month(folder, "202612").write_bytes(start)
    assert (verify(folder), log.head[0]) == (2, 2)
    clock.now += timedelta(days=9)
    run(log)
    assert verify(folder, log.head) == 4
    assert ("torn" in entries(folder)[2]) == bool(start)
    assert len(month(folder, "202612").read_bytes().splitlines()) == 2


def test_a_first_entry_that_was_torn_is_begun_again(folder: Path, log: OperationLog) -> None:
    folder.mkdir()
    month(folder).write_bytes(b"{")
    assert (verify(folder), log.head) == (0, (0, GENESIS))
    run(log)
    assert verify(folder, log.head) == 2


def test_killed_processes_leave_a_chain_that_holds(folder: Path, log: OperationLog) -> None:
    program = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from koukan.oplog import OperationLog

log = OperationLog(Path(sys.argv[1]), "batch", lambda: datetime.now(UTC))
print(flush=True)
while True:
    with log.operation("store"):
        pass
"""
    command = [sys.executable, "-c", program, str(folder)]
    for _ in range(4):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            while not log.head[0]:
                pass
            process.kill()
        assert process.returncode == -9
    clock = datetime.now(UTC)
    last = OperationLog(folder, "batch", lambda: clock)
    run(last)
    assert verify(folder, last.head) == last.head[0] > 2


def test_processes_and_threads_append_to_one_chain(folder: Path, log: OperationLog) -> None:
    program = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from koukan.oplog import OperationLog

log = OperationLog(Path(sys.argv[1]), sys.argv[2], lambda: datetime(2026, 11, 30, tzinfo=UTC))
for _ in range(15):
    with log.operation("store"):
        pass
"""
    runs = [
        subprocess.Popen([sys.executable, "-c", program, str(folder), f"a{number}"])
        for number in range(3)
    ]
    threads = [threading.Thread(target=run, args=(log, 15)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in runs] == [0] * 3
    assert verify(folder, log.head) == 6 * 30
    kinds = [(entry["kind"], entry["actor"]) for entry in entries(folder)]
    assert all(kinds.count((kind, f"a{n}")) == 15 for kind in ("intent", "done") for n in range(3))
    closed = [entry["intent"] for entry in entries(folder) if entry["kind"] == "done"]
    assert len(set(closed)) == 90


def test_the_newest_entry_is_found_without_reading_the_log(folder: Path, log: OperationLog) -> None:
    run(log)
    head, size = log.head, month(folder).stat().st_size
    tail = month(folder).read_bytes()
    with month(folder).open("r+b") as file:  # more than anybody can read in a test
        file.truncate(1 << 36)
        file.seek((1 << 36) - 1)
        file.write(b"\n" + tail)
    assert os.stat(month(folder)).st_size > size  # noqa: PTH116
    assert log.head == head


@pytest.mark.parametrize(
    "where",
    [
        {"person": 1}, {"rows": "12"}, {"rows": -1}, {"rows": True}, {"rows": 10**9},
        {"rows": 1.5}, {"rows": None}, {"job": ""}, {"job": "a b"}, {"job": "名"}, {"job": "a\n"},
        {"job": "x" * 201}, {"file": NUMBER}, {"reception": int(NUMBER)}, {"code": "1234567890"},
        {"code": "1234567890123456"},
    ],
)  # fmt: skip
def test_what_could_be_a_records_value_is_refused_without_it(
    folder: Path, log: OperationLog, where: dict[str, int | str]
) -> None:
    with pytest.raises(ValueError, match="does not take") as caught, log.operation("a", **where):
        pass
    assert NUMBER not in str(caught.value)
    assert not folder.exists()
    with pytest.raises(ValueError, match="does not take"), log.operation("a") as operation:
        operation.note(**where)
    assert [entry["kind"] for entry in entries(folder)] == ["intent", "failed"]


def test_names_of_files_tables_and_hashes_are_taken(folder: Path, log: OperationLog) -> None:
    place = {"file": "KAN_06139999_20261121103000.csv", "table": "vault", "insurer": "06139999"}
    with log.operation("release", **place, version=3) as operation:
        operation.note(bytes=10**13, code="sha256:" + "0" * 64)
    assert verify(folder) == 2


def test_a_reason_is_one_line_of_own_words_without_a_personal_number(
    folder: Path, log: OperationLog
) -> None:
    good = "連番の欠落は2026-11-21 2026-11-22の再送で解消、電話 03-1234-5678 で確認"
    with log.operation("release", reason=good):
        pass
    assert entries(folder)[0]["where"] == {"reason": good}
    wrong = ["", "二行\n目", "x" * 501, f"番号{NUMBER}", "1234 5678 9018", "1234-5678-9018"]
    for reason in [*wrong, "１２３４５６７８９０１８", "１２３４ー５６７８ー９０１８"]:
        with pytest.raises(UsageError) as caught, log.operation("release", reason=reason):
            pass
        assert str(caught.value) == "oplog.reason"
    assert verify(folder) == 2


def test_other_names_of_operations_and_actors_and_naive_clocks_are_refused(
    folder: Path, log: OperationLog, clock: Clock
) -> None:
    for name in ("", "Store", "a b", "a\n", "1", "x" * 65):
        with pytest.raises(ValueError, match="operation's name"), log.operation(name):
            pass
    for actor in ("", "a b", "..", "担当", "a\n"):
        with pytest.raises(ValueError, match="actor's name"):
            OperationLog(folder, actor, clock)
    clock.now = NOVEMBER.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"), log.operation("store"):
        pass
    assert not folder.exists()
