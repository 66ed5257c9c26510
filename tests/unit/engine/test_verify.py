from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from centres import Place, lay, vouch

from koukan import words
from koukan.engine import originals
from koukan.engine.centre import Centre, held_version, open_centre
from koukan.engine.leases import lease
from koukan.engine.run import run_job
from koukan.engine.verify import Problem, verify_ledger, verify_tables
from koukan.errors import LeaseHeld
from koukan.flows.registration import HISTORY, PARTITION, ROSTER, VAULT
from koukan.keys.signing import Signer
from koukan.ledger import Ledger

FIRST, SECOND, DUPLICATE, HELD, REFUSED = 1, 2, 3, 4, 5
OF_FIRST = "WHERE reception = 1"


def problems(place: Place) -> list[Problem]:
    """What `verify_ledger` names; every one has its sentences, and no place in them is empty."""
    with place.opened() as centre:
        found = verify_ledger(centre)
    for item in found:
        for language in words.LANGUAGES:
            for text in (words.sentence, words.next_step):
                assert "?" not in text(item.key, language, **item.where), item
    return found


def keys(place: Place) -> list[str]:
    return sorted(item.key for item in problems(place))


def statement(place: Place, text: str, *values: object) -> None:
    with sqlite3.connect(place.root / "ledger" / "koukan.sqlite") as connection:
        assert connection.execute(text, values).rowcount > 0
    connection.close()


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def original_of(place: Place, number: int) -> str:
    with place.opened() as centre:
        return centre.ledger.reception(number).original


def test_everything_happened_in_the_used_centre(used: Place) -> None:
    with used.opened() as centre:
        outcomes = [(item.outcome, item.code) for item in centre.ledger.receptions()]
    assert outcomes == [
        ("accepted", None),
        ("accepted", None),
        ("duplicate", "D101"),
        ("held", "H101"),
        ("refused", "F106"),
    ]


def test_a_sound_centre_has_no_problem(used: Place) -> None:
    with used.opened() as centre:
        assert verify_ledger(centre) == []
        assert verify_tables(centre) == []


def test_an_empty_centre_has_no_problem(empty: Place) -> None:
    with empty.opened() as centre:
        assert verify_ledger(centre) == []
        assert verify_tables(centre) == []


def test_files_that_their_owners_took_are_no_problem(place: Place) -> None:
    for path in place.outbox("kenpo-a").iterdir():
        path.unlink()
    assert problems(place) == []


@pytest.mark.parametrize("check", [verify_ledger, verify_tables])
def test_nothing_is_verified_while_a_job_runs(
    used: Place, check: Callable[[Centre], object]
) -> None:
    with (
        used.opened() as centre,
        lease(centre.folder("locks"), centre.ledger, "jobs", centre.clock()),
        pytest.raises(LeaseHeld),
    ):
        check(centre)


# --- originals and results


def resealed(place: Place, number: int, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """A result with other lines, sealed as it should be."""
    with place.opened() as centre:
        name = centre.ledger.reception(number).original
        with originals.read_result(centre, name) as sealed:
            lines = sealed.read(0, sealed.length).splitlines(keepends=True)
        originals.seal_result(centre, name, change(lines))


def test_a_row_that_a_sealed_result_lacks_is_named(place: Place) -> None:
    resealed(place, SECOND, lambda lines: lines[:40] + lines[41:])
    (found,) = problems(place)
    assert found.key == "verify.result_lines"
    assert found.where["reception"] == "2"
    assert found.where["line_number"] == "41"


@pytest.mark.parametrize("cut", [1, -2], ids=["first", "last"])
def test_a_row_missing_at_either_end_of_a_result_is_named(place: Place, cut: int) -> None:
    resealed(place, SECOND, lambda lines: [line for line in lines if line != lines[cut]])
    assert keys(place) == ["verify.result_lines"]


def test_one_of_several_findings_of_a_line_missing_is_named(empty: Place) -> None:
    path = lay(empty, "kyokai", 1, persons=3)
    lines = path.read_bytes().split(b"\r\n")
    fields = lines[1].split(b",")
    with empty.opened() as centre:
        form = centre.catalogue.formats["member_registration"]
        names = [item.name for item in form.fields(form.section("basic"))]
    fields[names.index("post_number")] = b"12X"  # too short, and no digits
    path.write_bytes(b"\r\n".join([lines[0], b",".join(fields), *lines[2:]]))
    empty.run()

    def drop(lines: list[bytes]) -> list[bytes]:
        assert [line.split(b",")[1] for line in lines[1:4]] == [b"2", b"2", b"3"]
        return [lines[0], *lines[2:]]

    assert problems(empty) == []
    resealed(empty, 1, drop)
    assert keys(empty) == ["verify.result_other"]


def test_a_row_too_many_and_rubbish_in_a_result_are_named(place: Place) -> None:
    resealed(place, SECOND, lambda lines: [*lines[:-1], lines[-2], b"rubbish\r\n", lines[-1]])
    assert keys(place) == ["verify.result_lines"]
    resealed(place, SECOND, lambda _: [])
    assert keys(place) == ["verify.result_lines"]


def test_results_longer_than_a_block_are_counted_to_their_end(empty: Place) -> None:
    lay(empty, "kyokai", 1, persons=30_000, bad_persons=3_000)
    empty.run()
    assert problems(empty) == []
    with empty.opened() as centre:
        assert originals.result_path(centre, centre.ledger.reception(1).original).stat().st_size > (
            2 * 2 * 1024 * 1024
        )


def test_a_long_file_that_was_refused_at_its_first_line_is_hashed_to_its_end(empty: Place) -> None:
    path = lay(empty, "kyokai", 1, persons=15_000)
    path.write_bytes(path.read_bytes().replace(b"MR202604", b"MR209904", 1))
    assert path.stat().st_size > 2 * 2 * 1024 * 1024
    empty.run()
    with empty.opened() as centre:
        assert centre.ledger.reception(1).code == "F112"
    assert problems(empty) == []


def test_a_result_that_is_gone_or_altered_is_named(place: Place) -> None:
    path = place.root / "results" / f"{original_of(place, FIRST)}.sealed"
    flip(path, 100)
    assert keys(place) == ["verify.result_broken"]
    path.unlink()
    assert keys(place) == ["verify.result_broken"]


@pytest.mark.parametrize("number", [FIRST, DUPLICATE, HELD, REFUSED])
def test_a_flipped_byte_in_any_original_is_named(place: Place, number: int) -> None:
    flip(place.root / "originals" / f"{original_of(place, number)}.sealed", 200)
    (found,) = problems(place)
    assert (found.key, found.where["reception"]) == ("verify.original_broken", str(number))


def test_another_original_under_the_right_key_is_named(place: Place) -> None:
    with place.opened() as centre:
        name = centre.ledger.reception(HELD).original
        originals.original_path(centre, name).unlink()
        originals.seal_original(centre, name, [b"00\r\n"])
    assert keys(place) == ["verify.original_other"]


def test_a_destroyed_key_is_named(place: Place) -> None:
    with place.opened() as centre:
        centre.keyring.destroy("original", original_of(place, HELD))
    assert keys(place) == ["verify.original_broken"]


def test_an_altered_definition_is_named(place: Place) -> None:
    for path in (place.root / "definitions").iterdir():
        path.write_bytes(path.read_bytes().replace(b'"R101"', b'"R102"') + b" ")
    assert set(keys(place)) == {"verify.definition"}


def test_a_line_missing_in_an_outbox_is_named(place: Place) -> None:
    path = next(place.outbox("kyokai").glob("RR_*"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:10] + lines[11:]))
    (found,) = problems(place)
    assert found.key == "verify.outbox_file"
    assert found.where["file"] == path.name
    assert found.where["known"] == f"{len(lines)} ≠ {len(lines) - 1}"


def test_a_folder_under_the_name_of_a_file_laid_out_is_named(place: Place) -> None:
    path = next(place.outbox("kyokai").glob("AK_*"))
    path.unlink()
    path.mkdir()
    assert keys(place) == ["verify.outbox_file"]


# --- tables


@pytest.mark.parametrize("table", [VAULT, PARTITION, HISTORY])
def test_a_missing_data_file_is_named(place: Place, table: str) -> None:
    path = min((place.root / "tables" / table).rglob("*.parquet"))
    path.unlink()
    (found,) = problems(place)
    assert (found.key, found.where["table"]) == ("tables.missing_file", table)
    assert path.name in found.where["path"]
    with place.opened() as centre:
        (other,) = verify_tables(centre)
    assert (other.key, other.where["table"]) == ("tables.missing_file", table)


def test_a_missing_roster_is_named(place: Place) -> None:
    next((place.root / "tables" / PARTITION).rglob(f"section={ROSTER}/*.parquet")).unlink()
    assert keys(place) == ["tables.missing_file"]


def without_a_row(place: Place, table: str, *, known: bool, **where: str) -> None:
    """A commit by hand; the ledger is made to know it, or not."""
    with place.opened() as centre:
        snapshot = centre.snapshot(table)
        file = snapshot.files(**where)[0]
        rows = snapshot.read([file])
        new = centre.tables[table].write(dict(file.partition), rows[1:], "by-hand")
        vouch(centre, table, [new])
        version = centre.tables[table].commit(
            [new], [file], transaction=99, expected=snapshot.version
        )
        (centre.tables[table].folder / file.path).unlink()
        if known:
            with centre.ledger.begin() as transaction:
                Ledger.put_table_version(transaction, held_version(table, version))


@pytest.mark.parametrize(
    ("table", "key"), [(PARTITION, "verify.partition_rows"), (HISTORY, "verify.history_rows")]
)
def test_a_row_missing_in_a_table_is_named(place: Place, table: str, key: str) -> None:
    without_a_row(place, table, known=True, section="basic")
    (found,) = problems(place)
    assert found.key == key
    assert found.where["table"] == table
    assert found.where["insurer"] in ("06990014", "01990019")
    before, after = map(int, found.where["known"].split(" ≠ "))
    assert before == after + 1


def test_a_commit_that_the_ledger_does_not_know_is_named(place: Place) -> None:
    without_a_row(place, HISTORY, known=False, section="basic")
    (found,) = problems(place)
    assert (found.key, found.where["table"]) == ("tables.newer", HISTORY)
    with place.opened() as centre:
        (other,) = verify_tables(centre)
    assert (other.key, other.where["version"], other.where["known"]) == ("tables.newer", "2", "1")


def test_a_table_set_back_by_a_commit_is_named(place: Place) -> None:
    max((place.root / "tables" / VAULT / "_delta_log").glob("*.json")).unlink()
    assert keys(place) == ["tables.older"]


def test_rows_of_a_reception_that_there_is_not_are_named(place: Place) -> None:
    with place.opened() as centre:
        snapshot = centre.snapshot(HISTORY)
        file = snapshot.files(section="basic")[0]
        rows = snapshot.read([file])[:1].with_columns(reception=pl.lit(77, pl.Int64))
        new = centre.tables[HISTORY].write(dict(file.partition), rows, "by-hand")
        vouch(centre, HISTORY, [new])
        version = centre.tables[HISTORY].commit(
            [new], [], transaction=99, expected=snapshot.version
        )
        with centre.ledger.begin() as transaction:
            Ledger.put_table_version(transaction, held_version(HISTORY, version))
    (found,) = problems(place)
    assert (found.key, found.where["reception"]) == ("verify.unknown_rows", "77")


# --- the ledger itself


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "UPDATE insurer_count SET accepted = accepted - 1, rejected = rejected + 1 " + OF_FIRST,
            ["verify.counts"],
        ),
        (
            "UPDATE insurer_count SET duplicate = duplicate + 1, rejected = rejected - 1 "
            + OF_FIRST,
            ["verify.counts"],
        ),
        (
            "UPDATE insurer_count SET accepted = accepted - 1 WHERE reception = 1",
            ["verify.counts", "verify.unbalanced"],
        ),
        (
            "UPDATE insurer_count SET received = received + 3, held = held + 3 WHERE reception = 4",
            ["verify.received"],
        ),
        (
            "UPDATE insurer_count SET accepted = held, held = 0 WHERE reception = 4",
            ["verify.unbalanced"],
        ),
        (
            "UPDATE insurer_count SET rejected = duplicate, duplicate = 0 WHERE reception = 3",
            ["verify.unbalanced"],
        ),
        ("DELETE FROM insurer_count WHERE reception = 3", ["verify.received"]),
        ("UPDATE reception SET code = 'F105' WHERE number = 5", ["verify.verdict"]),
        ("UPDATE reception SET rows = rows + 1 WHERE number = 2", ["verify.rows"]),
        ("UPDATE reception SET result_sha256 = NULL WHERE number = 2", None),
        ("UPDATE reception SET sha256 = 'ab' WHERE number = 4", ["verify.original_other"]),
        ("DELETE FROM laid_out WHERE reception = 2 AND kind = 'acknowledgement'", None),
        (
            "UPDATE laid_out SET sha256 = 'ab' WHERE reception = 2 AND kind = 'acknowledgement'",
            ["verify.outbox_file"],
        ),
    ],
)
def test_an_altered_ledger_is_named(place: Place, change: str, expected: list[str] | None) -> None:
    statement(place, change)
    found = keys(place)
    if expected is None:
        expected = (
            ["verify.not_laid_out"]
            if "laid_out" in change
            else ["verify.laid_out_record", "verify.result_unknown"]
        )
    assert found == expected


def test_an_accepted_file_called_refused_is_named(place: Place) -> None:
    statement(place, "UPDATE reception SET outcome = 'refused', code = 'F121' WHERE number = 2")
    statement(place, "DELETE FROM insurer_count WHERE reception = 2")
    assert keys(place) == ["verify.counts"]


# --- erasures


@pytest.fixture
def erased(place: Place) -> Place:
    """All originals erased but that of the held one."""
    place.now += timedelta(days=40)
    place.run("erase_expired")
    return place


def test_erased_originals_are_verified_by_their_records(erased: Place) -> None:
    with erased.opened() as centre:
        assert {row.number for row in centre.ledger.erasures()} == {1, 2, 3, 5}
    assert problems(erased) == []


def test_a_forged_erasure_record_is_named(erased: Place) -> None:
    with erased.opened() as centre:
        record = json.loads(centre.ledger.erasures()[0].record)
    own = {name: value for name, value in record.items() if name not in ("key", "signature")}
    own["rows"] = own["rows"] + 1
    forged = Signer(bytes(32)).sign(own)
    statement(erased, "UPDATE erasure SET record = ? WHERE number = 1", json.dumps(forged))
    (found,) = problems(erased)
    assert (found.key, found.where["reception"]) == ("verify.erasure_forged", "1")
    statement(erased, "UPDATE erasure SET record = 'no JSON' WHERE number = 1")
    assert keys(erased) == ["verify.erasure_forged"]


def test_counts_altered_after_an_erasure_are_named(erased: Place) -> None:
    statement(
        erased,
        "UPDATE insurer_count SET received = received + 1, duplicate = duplicate + 1 "
        "WHERE reception = 3",
    )
    assert keys(erased) == ["verify.erasure_counts"]


def test_a_lost_erasure_record_is_named(erased: Place) -> None:
    statement(erased, "DELETE FROM erasure WHERE number = 5")
    assert keys(erased) == ["verify.erasure_missing"]


def test_an_erased_file_that_came_back_is_named(erased: Place) -> None:
    (erased.root / "originals" / f"{original_of(erased, FIRST)}.sealed").write_bytes(b"again")
    assert keys(erased) == ["verify.erasure_left"]


def test_an_erasure_record_of_what_is_not_erased_is_named(erased: Place) -> None:
    statement(erased, "UPDATE erasure SET number = 4 WHERE number = 5")
    assert keys(erased) == ["verify.erasure_early", "verify.erasure_missing"]


# --- groups and the operation log


class Killed(BaseException):
    pass


@pytest.mark.parametrize("event", ["written", "table committed"])
def test_a_group_left_under_way_is_named_and_nothing_else(place: Place, event: str) -> None:
    lay(place, "kenpo-a", 3, persons=10, first_person=5_000)

    def kill(name: str, **_: object) -> None:
        if name == event:
            raise Killed

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=kill)
    with pytest.raises(Killed):
        run_job(centre, "register_members")
    centre.close()
    assert keys(place) == ["verify.group_open"]
    place.run()
    assert problems(place) == []


def test_an_erasure_left_under_way_is_no_problem(place: Place) -> None:
    place.now += timedelta(days=40)

    def kill(name: str, **_: object) -> None:
        if name == "destroyed":
            raise Killed

    centre = open_centre(place.root, place.key, clock=lambda: place.now, observe=kill)
    with pytest.raises(Killed):
        run_job(centre, "erase_expired")
    centre.close()
    assert problems(place) == []


def log_of(place: Place) -> Path:
    return next((place.root / "log").glob("operations-*.jsonl"))


def test_a_line_cut_out_of_the_operation_log_is_named(place: Place) -> None:
    lines = log_of(place).read_bytes().splitlines(keepends=True)
    log_of(place).write_bytes(b"".join(lines[:4] + lines[5:]))
    (found,) = problems(place)
    assert (found.key, found.where["line_number"]) == ("oplog.broken", "5")


def test_an_operation_log_cut_off_at_its_end_is_named(place: Place) -> None:
    lines = log_of(place).read_bytes().splitlines(keepends=True)
    first_commit = next(at for at, line in enumerate(lines) if b'"operation":"commit"' in line)
    log_of(place).write_bytes(b"".join(lines[:first_commit]))
    (found,) = problems(place)
    assert (found.key, found.where["group"]) == ("verify.log_lacks", "1")
