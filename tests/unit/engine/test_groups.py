"""Chunks of a group: which file each line is of, and which line of it; what a large group keeps."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from centres import Place

from koukan.engine import groups
from koukan.engine.groups import Chunk, Piece, is_large, line_numbers_of, positions_of, stage_of

PIECES = (
    (Piece(11, 0, 0, 0, 0, 3),),
    (Piece(11, 0, 0, 0, 3, 2), Piece(12, 1, 0, 0, 0, 1), Piece(14, 3, 0, 0, 0, 2)),
    (Piece(14, 3, 0, 0, 2, 1),),
)


def chunks(*pieces: tuple[Piece, ...]) -> list[Chunk]:
    found: list[Chunk] = []
    row = 0
    for number, own in enumerate(pieces):
        rows = sum(piece.rows for piece in own)
        found.append(Chunk(1, 1, number, row, rows, own))
        row += rows
    return found


def test_lines_know_their_file_and_their_place_in_it() -> None:
    whole = chunks(*PIECES)
    assert positions_of(whole).tolist() == [0, 0, 0, 0, 0, 1, 3, 3, 3]
    assert line_numbers_of(whole).tolist() == [2, 3, 4, 5, 6, 2, 2, 3, 4]
    for chunk in whole:
        rows = slice(chunk.row, chunk.row + chunk.rows)
        assert positions_of([chunk]).tolist() == positions_of(whole)[rows].tolist()
        assert line_numbers_of([chunk]).tolist() == line_numbers_of(whole)[rows].tolist()
    assert positions_of([]).tolist() == line_numbers_of([]).tolist() == []


def test_lines_of_one_file_need_no_room_for_which_it_is() -> None:
    (first, *_) = chunks(*PIECES)
    assert positions_of([first]).strides == (0,)


def test_a_group_is_large_beyond_a_number_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chunks(*PIECES)
    monkeypatch.setattr(groups, "LARGE", 9)
    assert not is_large(whole)
    monkeypatch.setattr(groups, "LARGE", 8)
    assert is_large(whole)


def test_of_a_large_group_nothing_stays_in_memory(empty: Place) -> None:
    with empty.opened() as centre:
        frame = pl.DataFrame({"a": [1, 2]})
        for number, sealed in ((1, False), (2, True), (2, False)):
            stage = stage_of(centre, number, 1)
            stage.create(sealed=sealed)
            stage.put("00000.keys", frame)
            kept = centre.kept.get(stage.name, "00000.keys")
            on_disk = Path(stage.folder, "00000.keys").exists()
            assert (kept is None, on_disk) == (sealed, sealed)
            assert stage.get("00000.keys").equals(frame)
            stage.drop()


def test_what_is_taken_at_once_stays_in_memory_also_of_a_large_group(empty: Place) -> None:
    with empty.opened() as centre:
        stage = stage_of(centre, 1, 1)
        stage.create(sealed=True)
        stage.put("00000.keys", pl.DataFrame({"a": [1, 2]}), small=True)
        assert centre.kept.get(stage.name, "00000.keys") is not None
        assert not list(stage.folder.iterdir())
        stage.drop()


@pytest.mark.parametrize("shared", [True, False])
def test_a_promised_frame_is_made_when_it_is_asked_for(empty: Place, *, shared: bool) -> None:
    if not shared:
        text = (empty.root / "site.toml").read_text()
        empty.write_site(text.replace("[limits]", "[limits]\nstage_bytes = 0"))
    made = []

    def make() -> pl.DataFrame:
        made.append(1)
        return pl.DataFrame({"a": [len(made)]})

    with empty.opened() as centre:
        stage = stage_of(centre, 1, 1)
        stage.create(sealed=True)
        stage.promise("00000.outcome", make)
        assert stage.holds("00000.outcome")
        assert [stage.get("00000.outcome").item() for _ in range(2)] == [1, 2 if shared else 1]
        assert bool(list(stage.folder.iterdir())) is not shared
        stage.put("00000.outcome", pl.DataFrame({"a": [7]}))  # in its place
        assert stage.get("00000.outcome").item() == 7
        stage.promise("00001.outcome", make)
        stage.drop()
        assert not stage.holds("00001.outcome")


def test_numbers_of_a_group_are_taken_once(empty: Place) -> None:
    with empty.opened() as centre:
        stage, numbers = stage_of(centre, 1, 1), {"a": positions_of(chunks(*PIECES))}
        for _ in range(2):
            stage.create()
            stage.leave_numbers(numbers)
            assert stage.take_numbers() is numbers
            with pytest.raises(KeyError):
                stage.take_numbers()
        stage.leave_numbers(numbers)
        stage.drop()
        with pytest.raises(KeyError):
            stage.take_numbers()


@pytest.mark.parametrize("sealed", [True, False])
def test_a_frame_that_is_done_with_takes_neither_memory_nor_space(
    empty: Place, *, sealed: bool
) -> None:
    with empty.opened() as centre:
        stage = stage_of(centre, 1, 1)
        stage.create(sealed=sealed)
        for name in ("00000.basic", "00001.basic"):
            stage.put(name, pl.DataFrame({"a": [1, 2]}))
        for _ in range(2):  # a task may run twice
            stage.done_with("00000.basic")
            assert not stage.holds("00000.basic")
        assert [path.name for path in stage.folder.iterdir()] == ["00001.basic"] * sealed
        assert stage.get("00001.basic").height == 2
