"""What is kept of persons: the operator's four files, and what is the insurers' own."""

from __future__ import annotations

from pathlib import Path

import pytest
from centres import Place

from koukan.engine.centre import Centre
from koukan.keys.keyring import SCOPES

# By the purpose key that it lies under.
HISTORY, CODES, RECORDS, IDENTITY = "資格履歴", "機関別符号", "情報提供等記録", "本人確認"
FILES = {
    "number": HISTORY,
    "history": HISTORY,
    "code": CODES,
    "record": RECORDS,
    "identity": IDENTITY,
}
INSURERS = {"partition", "copy"}  # 委託区画 and 副本区画
PASSING = {"stage", "original"}  # work under way, and files as they came, until their time is over


@pytest.mark.requirement("R008")
def test_the_operator_has_four_files_and_no_fifth(tmp_path: Path) -> None:
    """Every table and every sealed file is under the key of one of them, or is none of its own."""
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    with place.opened() as centre:
        assert set(SCOPES.values()) == {*FILES, *INSURERS, *PASSING}
        found = {name: file_of(centre, name) for name in centre.tables}
        kept = {place.name for place in centre.root.iterdir() if place.is_dir()}
    own = {name: kind for name, kind in found.items() if kind is not None}
    assert set(own.values()) == {HISTORY, CODES, RECORDS}
    assert [name for name, kind in own.items() if kind == CODES] == ["linkage_codes"]
    assert [name for name, kind in own.items() if kind == RECORDS] == ["provision_records"]
    sealed = {SCOPES[one] for one in ("question", "request", "package")}
    assert {FILES[purpose] for purpose in sealed} == {IDENTITY}  # 本人確認 is no table
    assert kept == {
        *("exchange", "keyring", "ledger", "definitions", "log", "locks", "temporary"),
        *("tables", "questions", "requests", "packages", "approvals"),
        *("originals", "results", "stages", "pushes"),
    }


def file_of(centre: Centre, table: str) -> str | None:
    """Which of the four a table belongs to; None for what is the insurers' own."""
    purpose = SCOPES[centre.tables[table].definition.name]
    return None if purpose in INSURERS else FILES[purpose]
