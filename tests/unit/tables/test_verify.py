from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.unit.tables.support import BASIC, people, table_in

from koukan.tables.table import Table, Version
from koukan.tables.verify import Finding, verify


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return table_in(tmp_path)


@pytest.fixture
def version(table: Table) -> Version:
    start = table.create()
    files = [table.write(BASIC, people(2_000, start=part), f"g1-{part}") for part in range(3)]
    return table.commit(files, [], transaction=1, expected=start)


def test_a_sound_table_has_no_findings(table: Table, version: Version) -> None:
    assert list(verify(table, version)) == []


def test_every_kind_of_damage_is_found_in_one_pass(table: Table, version: Version) -> None:
    one, two, three = table.snapshot(version).files()
    content = bytearray((table.folder / one.path).read_bytes())
    content[len(content) // 4] ^= 1
    (table.folder / one.path).write_bytes(content)
    (table.folder / two.path).unlink()
    people(2_000).write_parquet(table.folder / three.path)
    os.truncate(table.folder / three.path, three.size)
    stray = table.write(BASIC, people(1), "g9-0")
    (table.folder / ".tmp-0123").write_bytes(b"")
    assert list(verify(table, version)) == [
        Finding(one.path, "tables.unreadable"),
        Finding(two.path, "tables.missing_file"),
        Finding(three.path, "tables.not_encrypted"),
        Finding(".tmp-0123", "tables.temporary_file"),
        Finding(stray.path, "tables.unknown_file"),
    ]


def test_a_file_in_anothers_place_is_found(table: Table, version: Version) -> None:
    one, two, _ = table.snapshot(version).files()
    shutil.copy(table.folder / one.path, table.folder / two.path)
    (finding,) = verify(table, version)
    assert finding.path == two.path
    assert finding.problem in {"tables.unreadable", "tables.wrong_size"}


def test_a_table_at_another_version_is_one_finding(table: Table, version: Version) -> None:
    (table.folder / "_delta_log" / f"{version.number:020d}.json").unlink()
    assert list(verify(table, version)) == [Finding("_delta_log", "tables.older")]
