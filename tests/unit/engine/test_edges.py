"""Files at the edge: empty ones, refused ones sent again, misnamed ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from centres import Place, lay
from plain_files import Plain, shipped_format


@pytest.fixture
def empty(tmp_path: Path) -> Place:
    return Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()


def outcomes(place: Place) -> list[tuple[str | None, str | None]]:
    with place.opened() as centre:
        return [(item.outcome, item.code) for item in centre.ledger.receptions()]


def test_a_file_without_data_lines_gets_an_outcome(empty: Place) -> None:
    path = empty.inbox("kenpo-a") / "MR_kenpo-a_000001.csv"
    path.write_bytes(Plain(shipped_format("csv"), ()).content())
    empty.run()
    assert outcomes(empty)[0][0] is not None


def test_a_file_refused_for_its_shares_frees_name_and_number(empty: Place) -> None:
    lay(empty, "kyokai", 1, persons=60, bad_persons=55, codes=["R101"])
    empty.run()
    assert outcomes(empty) == [("refused", "F121")]
    lay(empty, "kyokai", 1, persons=60)  # mended, as the acknowledgement asked
    empty.run()
    assert outcomes(empty)[1] == ("accepted", None)


def test_the_senders_name_in_the_file_name_is_checked(empty: Place) -> None:
    path = lay(empty, "kenpo-a", 1, persons=3)
    path.rename(path.with_name("MR_kenpo-b_000001.csv"))
    empty.run()
    assert outcomes(empty) == [("refused", "F119")]
