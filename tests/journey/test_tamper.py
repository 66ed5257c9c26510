"""A table or ledger that somebody has altered is refused by whatever reads it, and does no harm.

Every case ends the same way: the altered thing is put back as it was, and the site goes on as if
nothing had been.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from journey import nights
from journey.tampering import (
    ALTERED,
    KENPO_A,
    NAMED,
    READERS,
    Base,
    altered,
    flipped,
    require_night,
    require_refused,
    require_sound,
)

from koukan.engine.centre import Centre
from koukan.errors import IntegrityError
from koukan.flows.registration import HISTORY, PARTITION, ROSTER, VAULT
from koukan.tables.definition import bucket_label, bucket_of_token
from koukan.tables.log import LOG, DataFile

PARTS = {  # table, its partition values, and who reads it
    "vault": (VAULT, {}, ("run", "digest")),
    "roster": (PARTITION, {"section": ROSTER, "insurer": KENPO_A}, ("run", "look-up", "digest")),
    "partition": (PARTITION, {"section": "basic", "insurer": KENPO_A}, ("digest",)),
    "history": (HISTORY, {"section": "basic"}, ("look-up", "digest")),
}


def files_of(centre: Centre, part: str) -> list[DataFile]:
    """Files of a part of a table; of the vault and the history those of one and the same bucket."""
    table, values, _ = PARTS[part]
    found = centre.snapshot(table).files(**values)
    if part in ("vault", "history"):
        # one look-up reads one bucket; here every one of its files is the one that was altered
        # and a run those of the persons who are named
        asked = buckets_of(centre, NAMED) if part == "vault" else None
        by_bucket: dict[str, list[DataFile]] = {}
        for file in found:
            if asked is None or file.partition["bucket"] in asked:
                by_bucket.setdefault(file.partition["bucket"], []).append(file)
        return max(by_bucket.values(), key=len)
    return found


def buckets_of(centre: Centre, persons: Sequence[int]) -> set[str]:
    """The vault's buckets in which numbers of persons stand, or would."""
    numbers = np.array([int(nights.number_of(person)) for person in persons], np.int64)
    high, _ = centre.tokeniser.tokens(numbers)
    places = bucket_of_token(pl.Series(high), centre.site.buckets)
    return {bucket_label(place, centre.site.buckets) for place in places}


def paths_of(base: Base, root: Path, part: str) -> tuple[list[Path], list[Path]]:
    """The files of a part, and all other files of its table."""
    centre = base.site.open(root)
    table = PARTS[part][0]
    folder = centre.folder("tables", table)
    chosen = [folder / file.path for file in files_of(centre, part)]
    others = [folder / file.path for file in centre.snapshot(table).files()]
    centre.close()
    return chosen, [path for path in others if path not in chosen]


@pytest.mark.parametrize("part", PARTS)
def test_an_altered_table_file_is_refused_by_all_who_read_it(
    part: str, base: Base, root: Path
) -> None:
    chosen, others = paths_of(base, root, part)
    for alter in ALTERED.values():
        for path in [chosen[0], chosen[-1]]:
            with altered([path], [alter(path, others)]):
                for reader in PARTS[part][2]:
                    # A look-up stops at the first file that knows the person; of the history it
                    # reads one bucket, which is tested below.
                    if reader != "look-up" or (part == "roster" and path == chosen[0]):
                        require_refused(base, root, reader)
    require_sound(base, root)


def test_a_look_up_in_an_altered_history_is_refused(base: Base, root: Path) -> None:
    centre = base.site.open(root)
    folder = centre.folder("tables", HISTORY)
    paths = [folder / file.path for file in centre.snapshot(HISTORY).files(section="basic")]
    centre.close()
    for alter in ALTERED.values():
        contents = [alter(path, paths[::-1]) for path in paths]
        with altered(paths, contents):
            require_refused(base, root, "look-up")
    require_sound(base, root)


@pytest.mark.parametrize("part", ["vault", "roster"])
def test_one_flipped_bit_anywhere_in_a_file_that_a_run_reads_is_refused(
    part: str, base: Base, root: Path
) -> None:
    (path, *_), _ = paths_of(base, root, part)
    content = path.read_bytes()
    draw = random.Random(20_260_403)
    places = [0, 3, 4, len(content) // 2, len(content) - 9, len(content) - 5, len(content) - 1]
    places += [draw.randrange(len(content)) for _ in range(40 if nights.LONG else 9)]
    for place in places:
        with altered([path], [flipped(content, place, draw.randrange(8))]):
            require_refused(base, root, "run")
            require_refused(base, root, "digest")
    require_sound(base, root)


def test_two_files_that_have_changed_places_are_refused(base: Base, root: Path) -> None:
    for part, (_, _, readers) in PARTS.items():
        if part != "history":
            (path, *_), others = paths_of(base, root, part)
            contents = [others[0].read_bytes(), path.read_bytes()]
            with altered([path, others[0]], [*contents]):
                require_refused(base, root, readers[0])
    require_sound(base, root)


def test_an_older_file_in_place_of_a_newer_one_of_its_partition_is_refused(
    base: Base, root: Path
) -> None:
    """Each group writes its own file, so the earlier night's is the older one."""
    for part, (_, _, readers) in PARTS.items():
        if part == "history":
            continue
        chosen, _ = paths_of(base, root, part)
        assert len(chosen) >= 2
        with altered([chosen[-1]], [chosen[0].read_bytes()]):
            require_refused(base, root, readers[0])
    require_sound(base, root)


@pytest.mark.parametrize("table", [VAULT, PARTITION, HISTORY])
def test_a_table_set_back_by_one_commit_is_refused(table: str, base: Base, root: Path) -> None:
    newest = max((root / "tables" / table / LOG).glob("*.json"))
    with altered([newest], [None]):
        require_refused(base, root, "digest")
        require_refused(base, root, "run")
        if table != VAULT:
            require_refused(base, root, "look-up")
    require_sound(base, root)


@pytest.mark.parametrize("table", [VAULT, PARTITION, HISTORY])
def test_an_altered_log_of_a_table_is_refused(table: str, base: Base, root: Path) -> None:
    """A commit whose files are fewer, one that nobody made, and one with a character changed."""
    newest = max((root / "tables" / table / LOG).glob("*.json"))
    lines = newest.read_bytes().splitlines(keepends=True)
    fewer = b"".join(lines[:-1])
    changed = newest.read_bytes().replace(b'"dataChange":true', b'"dataChange":false')
    assert changed != newest.read_bytes()
    for content in (fewer, changed, newest.read_bytes() + b"\n", b""):
        with altered([newest], [content]):
            require_refused(base, root, "digest")
            require_refused(base, root, "run")
    following = newest.with_name(f"{int(newest.stem) + 1:020d}.json")
    shutil.copyfile(newest, following)
    require_refused(base, root, "digest")
    require_refused(base, root, "run")
    following.unlink()
    require_sound(base, root)


def test_a_whole_table_of_before_the_night_is_refused(base: Base, root: Path) -> None:
    for table in (VAULT, PARTITION, HISTORY):
        kept, folder = root.parent / f"kept-{table}", root / "tables" / table
        folder.rename(kept)
        shutil.copytree(base.before / "tables" / table, folder)
        require_refused(base, root, "digest")
        require_refused(base, root, "run")
        shutil.rmtree(folder)
        kept.rename(folder)
    require_sound(base, root)


def test_a_ledger_set_back_to_before_the_night_does_not_go_with_the_tables(
    base: Base, root: Path
) -> None:
    kept = root.parent / "kept-ledger"
    (root / "ledger").rename(kept)
    shutil.copytree(base.before / "ledger", root / "ledger")
    for reader in READERS:
        require_refused(base, root, reader)
    shutil.rmtree(root / "ledger")
    kept.rename(root / "ledger")
    require_sound(base, root)


def test_a_ledger_that_lacks_receptions_destroys_nobodys_originals(
    base: Base, picked_up: Path
) -> None:
    """Nothing is in the tables yet that could tell: the sealed copies themselves do."""
    kept = picked_up.parent / "kept-ledger"
    (picked_up / "ledger").rename(kept)
    shutil.copytree(base.before / "ledger", picked_up / "ledger")
    require_refused(base, picked_up, "run", IntegrityError)
    shutil.rmtree(picked_up / "ledger")
    kept.rename(picked_up / "ledger")
    require_night(base, picked_up)
