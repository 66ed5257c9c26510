"""What somebody has altered on disk is refused by whatever reads it next, and does no harm.

Every case ends the same way: the altered thing is put back as it was, and the site goes on as if
nothing had been.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from journey import checks, nights
from journey.nights import Said

from koukan.engine.centre import Centre
from koukan.engine.digest import state_digest
from koukan.engine.history import look_up
from koukan.engine.run import run_job
from koukan.errors import Exit, IntegrityError, SealBroken, TableRefused
from koukan.flows.registration import HISTORY, PARTITION, ROSTER, VAULT
from koukan.samples.registration import LOSS, NEW
from koukan.tables.log import LOG, DataFile

Open = Callable[..., Centre]
KENPO_A = nights.INSURERS["kenpo-a"][0].code


@dataclass(frozen=True)
class Base:
    """The small site after its night; one more file of kenpo-a waits in the inbox."""

    site: nights.Prepared
    before: Path  # a copy of the root as it was before the night
    digest: str  # after the waiting file was taken in, nothing having been altered


def next_file(root: Path) -> None:
    """News of a person whom kenpo-a has registered, and a new one: vault and roster are read."""
    nights.lay_said(root, "kenpo-a", 4, [Said(2, LOSS), Said(390, NEW)])


@pytest.fixture(scope="module")
def base(small: nights.Prepared, tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("tamper")
    root = small.copy(folder / "root")
    site = nights.Prepared(root, small.key_file, small.now)
    centre = site.open()
    run_job(centre, nights.REGISTER)
    centre.close()
    next_file(root)
    centre = site.open(site.copy(folder / "control"))
    run_job(centre, nights.REGISTER)
    digest = state_digest(centre)
    centre.close()
    return Base(site, small.root, digest)


@pytest.fixture
def root(base: Base, tmp_path: Path) -> Path:
    return base.site.copy(tmp_path / "root")


def member_of(root: Path, person: int) -> str:
    return nights.member_ids(root, "kenpo-a", "MR_kenpo-a_000001.csv")[person + 1]


READERS: dict[str, Callable[[Centre], object]] = {
    "run": lambda centre: run_job(centre, nights.REGISTER),
    "look-up": lambda centre: look_up(centre, KENPO_A, member_of(centre.root, 2)),
    "digest": state_digest,
}
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
        by_bucket: dict[str, list[DataFile]] = {}
        for file in found:
            by_bucket.setdefault(file.partition["bucket"], []).append(file)
        return max(by_bucket.values(), key=len)
    return found


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def plain(path: Path) -> bytes:
    """Any Parquet file that is not encrypted."""
    other = path.with_name("plain")
    pl.DataFrame({"link_number": [1], "member_id": [1]}).write_parquet(other)
    content = other.read_bytes()
    other.unlink()
    return content


ALTERED: dict[str, Callable[[Path, list[Path]], bytes | None]] = {
    "missing": lambda _path, _others: None,
    "empty": lambda _path, _others: b"",
    "truncated by a byte": lambda path, _others: path.read_bytes()[:-1],
    "truncated to half": lambda path, _others: path.read_bytes()[: path.stat().st_size // 2],
    "lengthened": lambda path, _others: path.read_bytes() + b"PARE",
    "random bytes": lambda path, _others: random.Random(1).randbytes(path.stat().st_size),
    "random bytes between the magic": lambda path, _others: (
        b"PARE" + random.Random(1).randbytes(path.stat().st_size - 8) + b"PARE"
    ),
    "another file of the table": lambda _path, others: others[0].read_bytes(),
    "another file of the same length": lambda path, others: (
        others[0].read_bytes().ljust(path.stat().st_size, b"\0")[: path.stat().st_size - 4]
        + b"PARE"
    ),
    "plaintext": lambda path, _others: plain(path),
    "plaintext of the same length": lambda path, _others: (
        plain(path).ljust(path.stat().st_size, b"\0")[: path.stat().st_size - 4] + b"PAR1"
    ),
}


@contextmanager
def altered(paths: list[Path], contents: list[bytes | None]) -> Iterator[None]:
    """The files with other bytes (None: gone) for the time of the block."""
    before = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents, strict=True):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    yield
    for path, content in zip(paths, before, strict=True):
        path.write_bytes(content)


def require_refused(
    base: Base, root: Path, reader: str, kind: type[IntegrityError] = TableRefused
) -> None:
    """A reader refuses, with the exit code that stops the line and calls somebody."""
    centre = base.site.open(root)
    try:
        with pytest.raises(kind) as refused:
            READERS[reader](centre)
        assert refused.value.exit_code == Exit.INTEGRITY
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
    finally:
        centre.close()


def require_sound(base: Base, root: Path) -> None:
    """With everything back in its place, one plain run comes to what it would have come to."""
    centre = base.site.open(root)
    run_job(centre, nights.REGISTER)
    assert state_digest(centre) == base.digest
    assert checks.problems(centre) == []
    centre.close()


def paths_of(base: Base, root: Path, part: str) -> tuple[list[Path], list[Path]]:
    """The files of a part, and all other files of its table."""
    centre = base.site.open(root)
    table = PARTS[part][0]
    folder = centre.folder("tables", table)
    chosen = [folder / file.path for file in files_of(centre, part)]
    others = [folder / file.path for file in centre.snapshot(table).files()]
    centre.close()
    return chosen, [path for path in others if path not in chosen]


@pytest.mark.requirement("R206")
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


# --- originals and results


class Stopped(Exception):
    """Ends a run where a test wants it."""


@pytest.fixture
def picked_up(base: Base, tmp_path: Path) -> Path:
    """The site with its night's files picked up and nothing done with them yet."""

    def stop(_event: str, *, step: str, **_: object) -> None:
        if step == "gate":
            raise Stopped

    root = tmp_path / "picked-up"
    shutil.copytree(base.before, root)
    centre = base.site.open(root, observe=stop)
    with pytest.raises(Stopped):
        run_job(centre, nights.REGISTER)
    centre.close()
    return root


def originals_of(base: Base, root: Path) -> dict[str, Path]:
    """File name -> sealed original of the night's receptions."""
    centre = base.site.open(root)
    found = {
        item.file_name: root / "originals" / f"{item.original}.sealed"
        for item in centre.ledger.receptions(state="picked_up")
    }
    centre.close()
    return found


def require_night(base: Base, root: Path) -> None:
    """The night that was stopped goes on to its usual end."""
    centre = base.site.open(root)
    run_job(centre, nights.REGISTER)
    next_file(root)
    run_job(centre, nights.REGISTER)
    assert state_digest(centre) == base.digest
    assert checks.problems(centre) == []
    centre.close()


def test_an_altered_original_does_not_open(base: Base, picked_up: Path) -> None:
    path = originals_of(base, picked_up)["MR_kenpo-a_000002.csv"]
    content = path.read_bytes()
    draw = random.Random(20_260_404)
    contents: list[bytes | None] = [None, b"", content[:-1], content + b"\0", content[:48]]
    places = [0, 7, 8, 39, 40, len(content) - 1, *(draw.randrange(len(content)) for _ in range(8))]
    contents += [flipped(content, place, draw.randrange(8)) for place in places]
    for other in contents:
        with altered([path], [other]):
            require_refused(base, picked_up, "run", SealBroken)
    require_night(base, picked_up)


def test_originals_that_have_changed_places_do_not_open(base: Base, picked_up: Path) -> None:
    found = originals_of(base, picked_up)
    first, second = found["MR_kenpo-a_000002.csv"], found["MR_kenpo-b_000002.csv"]
    with altered([first, second], [second.read_bytes(), first.read_bytes()]):
        require_refused(base, picked_up, "run", SealBroken)
    require_night(base, picked_up)


def test_an_altered_key_of_an_original_does_not_open_it(base: Base, picked_up: Path) -> None:
    found = originals_of(base, picked_up)
    keys = picked_up / "keyring" / "random" / "original"
    first, second = (
        keys / f"{found[name].name.removesuffix('.sealed')}.key"
        for name in ("MR_kenpo-a_000002.csv", "MR_kenpo-b_000002.csv")
    )
    for content in (flipped(first.read_bytes(), 5), second.read_bytes(), os.urandom(40)):
        with altered([first], [content]):
            require_refused(base, picked_up, "run", SealBroken)
    require_night(base, picked_up)


def test_an_altered_result_is_not_laid_out_again(
    base: Base, root: Path, small: nights.Prepared
) -> None:
    """The same file comes once more, so that its old answer is asked for."""
    centre = base.site.open(root)
    (item,) = [
        item for item in centre.ledger.receptions() if item.file_name == "MR_kenpo-a_000002.csv"
    ]
    centre.close()
    for path in nights.inbox_files(root):
        path.unlink()
    (answer,) = nights.answers_to(root, "kenpo-a", item.file_name)
    before = answer.read_bytes()
    result = root / "results" / f"{item.original}.sealed"
    again = small.root / "exchange" / "kenpo-a" / "inbox" / item.door / item.file_name
    shutil.copyfile(again, root / again.relative_to(small.root))
    with altered([result], [flipped(result.read_bytes(), 60)]):
        require_refused(base, root, "run", SealBroken)
        assert answer.read_bytes() == before
    next_file(root)
    require_sound(base, root)
