from __future__ import annotations

import multiprocessing
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from tests.unit.tables.support import (
    BASIC,
    HISTORY,
    LIMITS,
    FolderKeys,
    add,
    people,
    table_in,
)

from koukan.errors import SecretError, TableRefused, TransientError
from koukan.keys.identity import create_identity, load_identity
from koukan.keys.keyring import Keyring
from koukan.tables import encrypted, log
from koukan.tables.definition import TableDefinition
from koukan.tables.table import Table, Version
from koukan.tables.verify import verify


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return table_in(tmp_path)


def commit_file(table: Table, number: int) -> Path:
    return table.folder / "_delta_log" / f"{number:020d}.json"


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(TableRefused) as error:
        act()
    return error.value.key


def run(folder: Path, when: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("killed_run.py")), str(folder), when],
        env={"PYTHONPATH": f"{root / 'src'}:{root}", "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(folder: Path, when: str) -> None:
    with run(folder, when) as process:
        assert process.wait(60) == -signal.SIGKILL


# Writing and reading


def test_what_is_committed_reads_back_and_nothing_else(table: Table) -> None:
    start = table.create()
    basic = table.write(BASIC, people(100), "g1-0")
    more = table.write({**BASIC, "bucket": "0"}, people(7), "g1-0")
    limits = pl.DataFrame({"kind": ["ア"], "link_number": [5]})
    limit = table.write(LIMITS, limits, "g1-0")
    table.write(BASIC, people(50), "g2-0")
    assert table.snapshot(start).rows() == 0
    version = table.commit([basic, more, limit], [], transaction=1, expected=start)
    snapshot = table.snapshot(version)
    assert version.number == 1
    assert snapshot.rows() == 108
    assert [file.path for file in snapshot.files(section="basic")] == [more.path, basic.path]
    assert snapshot.files(bucket="2", section="limits") == [limit]
    assert snapshot.read(snapshot.files(section="basic")).equals(
        pl.concat([people(7), people(100)])
    )
    assert snapshot.read([basic], ["name"]).equals(people(100).select("name"))
    assert snapshot.read([limit]).equals(limits.select("link_number", "kind"))
    assert snapshot.read([], section="limits").schema == {
        "link_number": pl.Int64,
        "kind": pl.String,
    }
    assert snapshot.scan(basic).collect().equals(people(100))


def test_a_removed_file_is_gone_for_readers_while_its_bytes_stay(table: Table) -> None:
    first = add(table, table.create(), 1)
    old = table.snapshot(first).files()
    new = table.write(BASIC, people(3), "g2-0")
    second = table.commit([new], old, transaction=2, expected=first)
    assert table.snapshot(second).files() == [new]
    assert (table.folder / old[0].path).exists()


def test_creating_again_changes_nothing_until_the_table_is_used(table: Table) -> None:
    start = table.create()
    assert table.create() == start
    add(table, start, 1)
    assert refused(table.create) == "tables.already_used"


def test_every_partition_and_file_has_keys_of_its_own(table: Table) -> None:
    version = table.create()
    files = [
        table.write(partition, people(3), name)
        for partition in (BASIC, {**BASIC, "bucket": "3"})
        for name in ("g1-0", "g1-1")
    ]
    version = table.commit(files, [], transaction=1, expected=version)
    assert len({table.access(file)[1] for file in table.snapshot(version).files()}) == 4
    assert len({table.access(file)[2] for file in files}) == 4


def test_files_are_read_under_the_key_of_their_version_until_it_is_destroyed(
    table: Table, tmp_path: Path
) -> None:
    first = add(table, table.create(), 1)
    old = table.snapshot(first).files()
    FolderKeys(tmp_path / "keys").renew("history", "bucket=2")
    new = table.write(BASIC, people(3), "g2-0")
    assert new.path == "bucket=2/section=basic/g2-0.k2.parquet"
    second = table.commit([new], old, transaction=2, expected=first)
    snapshot = table.snapshot(second)
    assert snapshot.read([new]).equals(people(3))
    assert snapshot.read(old).equals(people(10, start=1000))
    (tmp_path / "keys" / "history bucket=2 1").unlink()
    assert snapshot.read([new]).equals(people(3))
    with pytest.raises(SecretError, match="key_absent"):
        snapshot.read(old)


def test_a_column_that_was_added_later_is_null_in_older_files(table: Table, tmp_path: Path) -> None:
    version = add(table, table.create(), 1, rows=2)
    wider = {**HISTORY.sections, "basic": {"kana": pl.String, **HISTORY.sections["basic"]}}
    later = TableDefinition("history", HISTORY.partition_by, wider, 4)
    table = Table(table.folder, later, FolderKeys(tmp_path / "keys"))
    snapshot = table.snapshot(version)
    found = snapshot.read(snapshot.files())
    assert found.columns == ["kana", "link_number", "name", "valid_from"]
    assert found["kana"].to_list() == [None, None]


def test_a_column_that_the_definition_does_not_know_is_refused(
    table: Table, tmp_path: Path
) -> None:
    version = add(table, table.create(), 1)
    basic = {**HISTORY.sections["basic"], "valid_from": pl.String}
    other = TableDefinition(
        "history", HISTORY.partition_by, {**HISTORY.sections, "basic": basic}, 4
    )
    snapshot = Table(table.folder, other, FolderKeys(tmp_path / "keys")).snapshot(version)
    assert refused(lambda: snapshot.read(snapshot.files())) == "tables.wrong_columns"


def test_a_frame_that_does_not_fit_is_a_bug(table: Table) -> None:
    with pytest.raises(ValueError, match="valid_from"):
        table.write(BASIC, people(1).with_columns(pl.col("valid_from").cast(pl.String)), "g1-0")
    with pytest.raises(ValueError, match="stranger"):
        table.write(BASIC, people(1).with_columns(stranger=pl.lit(1)), "g1-0")
    with pytest.raises(ValueError, match="not allowed"):
        table.write(BASIC, people(1), "../g1")


@pytest.mark.parametrize(
    "other",
    [
        TableDefinition("history", HISTORY.partition_by, HISTORY.sections, 8),
        TableDefinition("others", HISTORY.partition_by, HISTORY.sections, 4),
        TableDefinition("history", ("section", "bucket"), HISTORY.sections, 4),
    ],
)
def test_another_definition_is_refused(
    table: Table, tmp_path: Path, other: TableDefinition
) -> None:
    version = table.create()
    opened = Table(table.folder, other, FolderKeys(tmp_path / "keys"))
    assert refused(lambda: opened.snapshot(version)) == "tables.other_definition"


def test_rows_are_chosen_by_any_column_of_the_section(table: Table) -> None:
    version = add(table, table.create(), 1, rows=10)
    snapshot = table.snapshot(add(table, version, 2, rows=10))
    link = 2003  # of the second file
    chosen = snapshot.read(snapshot.files(), ["name"], where=pl.col("link_number") == link)
    whole = snapshot.read(snapshot.files())
    assert chosen.equals(whole.filter(pl.col("link_number") == link).select("name"))
    assert 0 < chosen.height < whole.height


def test_columns_without_values_are_not_written_and_read_as_empty(table: Table) -> None:
    version = table.create()
    frame = people(5)
    lacking = table.write(BASIC, frame.drop("valid_from"), "g1-0")
    empty = table.write(
        BASIC, frame.with_columns(pl.lit(None, dtype=pl.Date).alias("valid_from")), "g1-1"
    )
    version = table.commit([lacking, empty], [], transaction=1, expected=version)
    read = table.snapshot(version).read(table.snapshot(version).files())
    assert read.height == 10
    assert read["valid_from"].null_count() == 10
    assert read.columns == list(HISTORY.sections["basic"])
    for file in (lacking, empty):
        path, key, aad = table.access(file)
        assert "valid_from" not in encrypted.read(path, key, aad).columns


def test_texts_may_lie_as_places_in_their_list_and_are_read_as_texts(table: Table) -> None:
    version = table.create()
    names = pl.Series("name", ["交換", "花子", None, "交換"])
    frame = people(4).with_columns(names.cast(pl.Enum(["交換", "架空", "花子"])))
    with pytest.raises(ValueError, match="columns do not fit"):
        table.write(BASIC, frame.with_columns(valid_from="name"), "g1-0")
    file = table.write(BASIC, frame, "g1-0")
    plain = table.write(BASIC, people(4).with_columns(names), "g1-1")
    version = table.commit([file, plain], [], transaction=1, expected=version)
    snapshot = table.snapshot(version)
    assert encrypted.read(*table.access(file)).schema["name"] == frame.schema["name"]
    assert list(verify(table, version)) == []
    for one in (file, plain):
        assert snapshot.read([one]).equals(people(4).with_columns(names))
    assert snapshot.read([file, plain], where=pl.col("name") == "交換").height == 4


# Altered files


def test_any_flipped_bit_is_refused_where_the_ledger_knows_the_hash(tmp_path: Path) -> None:
    known: dict[str, str] = {}
    table = Table(tmp_path / "t", HISTORY, FolderKeys(tmp_path / "keys"), known.get)
    version = table.create()
    file = table.write(BASIC, people(50), "g1-0")
    known[file.path] = file.sha256
    version = table.commit([file], [], transaction=1, expected=version)
    snapshot = table.snapshot(version)
    assert snapshot.read([file]).height == 50
    path = tmp_path / "t" / file.path
    sound = path.read_bytes()
    for position in range(0, len(sound), 97):
        flipped = bytearray(sound)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(TableRefused):
            snapshot.read([file])
    path.write_bytes(sound)
    assert snapshot.read([file]).height == 50


def test_a_file_that_the_ledger_does_not_know_is_refused(tmp_path: Path) -> None:
    table = Table(tmp_path / "t", HISTORY, FolderKeys(tmp_path / "keys"), lambda _path: None)
    version = table.create()
    file = table.write(BASIC, people(3), "g1-0")
    version = table.commit([file], [], transaction=1, expected=version)
    snapshot = table.snapshot(version)
    assert refused(lambda: snapshot.read([file])) == "tables.wrong_hash"


def test_a_file_in_anothers_place_is_refused(table: Table) -> None:
    start = table.create()
    one, two = (table.write(BASIC, people(9), f"g1-{part}") for part in range(2))
    version = table.commit([one, two], [], transaction=1, expected=start)
    snapshot = table.snapshot(version)
    shutil.copy(table.folder / one.path, table.folder / two.path)
    assert snapshot.read([one]).height == 9
    assert refused(lambda: snapshot.read([one, two])) == "tables.unreadable"


def test_an_older_file_in_a_newer_ones_place_is_refused(table: Table) -> None:
    first = add(table, table.create(), 1)
    old = table.snapshot(first).files()
    new = table.write(BASIC, people(10, start=1000), "g2-0")
    second = table.commit([new], old, transaction=2, expected=first)
    shutil.copy(table.folder / old[0].path, table.folder / new.path)
    snapshot = table.snapshot(second)
    assert refused(lambda: snapshot.read([new])) == "tables.unreadable"


def test_the_error_names_the_damaged_file_among_many(table: Table) -> None:
    start = table.create()
    files = [table.write(BASIC, people(2_000), f"g1-{part}") for part in range(3)]
    version = table.commit(files, [], transaction=1, expected=start)
    path = table.folder / files[1].path
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    with pytest.raises(TableRefused) as error:
        table.snapshot(version).read(files)
    assert error.value.where == {"path": files[1].path}


@pytest.mark.parametrize("harm", ["truncated", "plaintext", "rows", "missing"])
def test_a_file_that_is_not_what_it_says_is_not_committed(table: Table, harm: str) -> None:
    start = table.create()
    file = table.write(BASIC, people(10), "g1-0")
    path = table.folder / file.path
    if harm == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "plaintext":
        people(10).write_parquet(path)
    elif harm == "missing":
        path.unlink()
    else:
        file = log.DataFile(file.path, file.partition, 11, file.size)
    with pytest.raises(TableRefused):
        table.commit([file], [], transaction=1, expected=start)
    assert table.newest() == 0


# Altered logs


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_table_that_was_set_back_one_commit_is_refused(table: Table, checkpoint: bool) -> None:
    first = add(table, table.create(), 1)
    second = add(table, first, 2)
    if checkpoint:
        log.checkpoint(log.load(table.folder, HISTORY, 2), HISTORY)
    commit_file(table, 2).unlink()
    assert refused(lambda: table.snapshot(second)) == "tables.older"
    assert refused(lambda: table.snapshot(second, ahead_by=3)) == "tables.older"
    assert refused(lambda: table.commit([], [], transaction=3, expected=second)) == "tables.older"


def test_a_commit_of_someone_else_in_the_place_of_ours_is_refused(
    table: Table, tmp_path: Path
) -> None:
    start = table.create()
    shutil.copytree(tmp_path, tmp_path.with_name("other"))
    version = add(table, start, 1)
    add(table_in(tmp_path.with_name("other")), start, 1)
    other = tmp_path.with_name("other") / "history"
    shutil.copytree(other, table.folder, dirs_exist_ok=True)
    assert refused(lambda: table.snapshot(version)) == "tables.altered"


def test_a_commit_that_the_ledger_does_not_know_is_refused(table: Table) -> None:
    first = add(table, table.create(), 1)
    add(table, first, 2)
    assert refused(lambda: table.snapshot(first)) == "tables.newer"
    assert refused(lambda: table.snapshot(first, ahead_by=3)) == "tables.newer"
    assert refused(lambda: table.complete(first, 3)) == "tables.newer"
    assert refused(lambda: table.commit([], [], transaction=3, expected=first)) == "tables.newer"


def test_two_commits_ahead_are_refused_also_for_the_open_group(table: Table) -> None:
    first = add(table, table.create(), 1)
    second = add(table, first, 2)
    add(table, second, 2, part=1)
    assert refused(lambda: table.snapshot(first, ahead_by=2)) == "tables.newer"


def test_the_open_groups_commit_on_top_is_not_read(table: Table) -> None:
    first = add(table, table.create(), 1)
    add(table, first, 2)
    snapshot = table.snapshot(first, ahead_by=2)
    assert snapshot.rows() == 10
    assert snapshot.version == first


def test_an_older_commit_file_or_checkpoint_that_was_altered_is_refused(table: Table) -> None:
    version = add(table, table.create(), 1)
    version = add(table, version, 2)
    text = commit_file(table, 1).read_text()
    commit_file(table, 1).write_text(text.replace('\\"numRecords\\": 10', '\\"numRecords\\": 9'))
    assert refused(lambda: table.snapshot(version)) == "tables.altered"
    # The forged state also through a checkpoint, with the true commit files restored.
    log.checkpoint(log.load(table.folder, HISTORY, 2), HISTORY)
    commit_file(table, 1).write_text(text)
    assert refused(lambda: table.snapshot(version)) == "tables.altered"


def test_a_log_that_is_torn_is_refused(table: Table) -> None:
    first = add(table, table.create(), 1)
    version = add(table, first, 2)
    commit_file(table, 1).unlink()
    assert refused(lambda: table.snapshot(version)) == "tables.log_unreadable"
    commit_file(table, 1).write_text("{")
    assert refused(lambda: table.snapshot(version)) in {"tables.log_unreadable", "tables.altered"}


def test_a_table_that_is_not_there_is_refused(table: Table) -> None:
    assert refused(lambda: table.snapshot(Version(0, "", ""))) == "tables.no_table"


def test_the_log_says_rows_and_partitions_and_nothing_else_of_the_content(table: Table) -> None:
    version = table.create()
    for group in range(1, log.CHECKPOINT_EVERY + 1):
        version = add(table, version, group, rows=2)
    folder = table.folder / "_delta_log"
    written = "".join(path.read_text() for path in sorted(folder.glob("*.json")))
    (checkpoint,) = folder.glob("*.checkpoint.parquet")
    added = pl.read_parquet(checkpoint)["add"].drop_nulls().struct.unnest()
    assert written.count("numRecords") == log.CHECKPOINT_EVERY
    assert added["stats"].str.json_path_match("$.numRecords").to_list() == ["2"] * added.height
    for text in (written, str(added.rows())):
        for word in ("minValues", "maxValues", "nullCount", "link_number", "花子"):
            assert word not in text
    for path in table.folder.rglob("*"):
        # delta-rs makes its files as the process's umask says; ours are private in any case
        assert path.is_dir() or "_delta_log" in path.parts or path.stat().st_mode & 0o077 == 0


def test_all_commits_stay_and_old_versions_stay_readable_beside_a_checkpoint(
    table: Table,
) -> None:
    versions = [table.create()]
    for group in range(1, log.CHECKPOINT_EVERY + 3):
        versions.append(add(table, versions[-1], group, rows=1))
    assert table.snapshot(versions[-1]).rows() == log.CHECKPOINT_EVERY + 2
    assert len(list((table.folder / "_delta_log").glob("*.json"))) == len(versions)
    hint = table.folder / "_delta_log" / "_last_checkpoint"
    assert hint.exists()
    hint.write_text("{")
    assert table.snapshot(versions[-1]).rows() == log.CHECKPOINT_EVERY + 2


# Runs that die, and runs that meet


def test_files_of_a_run_that_was_killed_before_its_commit_are_not_visible(tmp_path: Path) -> None:
    killed(tmp_path, "before")
    table = table_in(tmp_path)
    start = table.create()
    snapshot = table.snapshot(start)
    assert table.complete(start, 1) is None
    assert snapshot.rows() == 0
    orphans = table.orphans(snapshot, name_prefix="g1-")
    assert [path.name for path in orphans] == ["g1-0.k1.parquet", "g1-1.k1.parquet"]
    assert add(table, start, 1).number == 1  # the second attempt replaces the first one's file


def test_a_run_that_was_killed_while_writing_leaves_nothing_visible(tmp_path: Path) -> None:
    with run(tmp_path, "writing") as process:
        assert process.stdout is not None
        for _ in range(3):
            assert process.stdout.readline() == "file\n"
        process.kill()
    table = table_in(tmp_path)
    start = table.create()
    assert table.snapshot(start).rows() == 0
    left = {path.name for path in table.folder.glob("*/*/*") if "_delta_log" not in path.parts}
    orphans = {path.name for path in table.orphans(table.snapshot(start), name_prefix="g1-")}
    assert len(orphans) >= 3
    assert all(name.startswith(".tmp-") for name in left - orphans)


def test_a_commit_that_the_ledger_missed_is_completed_once(tmp_path: Path) -> None:
    killed(tmp_path, "after")
    table = table_in(tmp_path)
    files = log.load(table.folder, HISTORY, 1).files.values()
    start = log.load(table.folder, HISTORY, 0).version
    version = table.complete(start, 1)
    assert version is not None
    again = table.commit(list(files), [], transaction=1, expected=start)
    assert again == version
    assert table.newest() == 1
    snapshot = table.snapshot(version)
    assert snapshot.rows() == 20
    assert table.orphans(snapshot, name_prefix="g1-") == []


def test_a_commit_of_the_same_group_with_other_files_is_not_taken_for_ours(table: Table) -> None:
    start = table.create()
    add(table, start, 1)
    other = table.write(BASIC, people(4), "g1-1")
    act = lambda: table.commit([other], [], transaction=1, expected=start)  # noqa: E731
    assert refused(act) == "tables.other_commit"


def test_completing_opens_the_files_again(table: Table) -> None:
    start = table.create()
    add(table, start, 1)
    (path,) = table.folder.glob("*/*/*.parquet")
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(lambda: table.complete(start, 1)) == "tables.wrong_size"


def test_a_commit_on_an_older_state_never_lands_behind_another(table: Table) -> None:
    start = table.create()
    files = [table.write(BASIC, people(5), f"g{group}-0") for group in (1, 2)]
    states = [log.load(table.folder, HISTORY, start.number) for _ in files]
    log.append(states[0], HISTORY, files[:1], [], 1)
    with pytest.raises(TransientError, match="lost_race"):
        log.append(states[1], HISTORY, files[1:], [], 2)
    assert table.newest() == 1


def race(folder: Path, group: int, barrier: object, results: object) -> None:
    table = table_in(folder)
    start = log.load(table.folder, HISTORY, 0).version
    file = table.write(BASIC, people(5), f"g{group}-0")
    barrier.wait(60)  # type: ignore[attr-defined]
    try:
        table.commit([file], [], transaction=group, expected=start)
        results.put("won")  # type: ignore[attr-defined]
    except (TransientError, TableRefused):
        results.put("lost")  # type: ignore[attr-defined]


def test_of_two_processes_exactly_one_commits(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The processes import this module by its full name, wherever pytest was started from.
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))
    table.create()
    table.write(BASIC, people(1), "warm-0")  # the partition's key is there for both
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(2), spawn.Queue()
    runs = [spawn.Process(target=race, args=(tmp_path, g, barrier, results)) for g in (1, 2)]
    for process in runs:
        process.start()
    outcomes = sorted(results.get(timeout=60) for _ in runs)
    for process in runs:
        process.join(60)
    assert outcomes == ["lost", "won"]
    assert table.newest() == 1


@pytest.mark.parametrize("mistake", ["twice", "again", "foreign", "gone twice"])
def test_a_commit_with_contradicting_files_is_a_bug(table: Table, mistake: str) -> None:
    version = add(table, table.create(), 1)
    old = table.snapshot(version).files()
    new = table.write(BASIC, people(5), "g2-0")
    added, removed = {
        "twice": ([new, new], []),
        "again": (old, []),
        "foreign": ([], [new]),
        "gone twice": ([], old * 2),
    }[mistake]
    with pytest.raises(ValueError, match="file"):
        table.commit(added, removed, transaction=2, expected=version)
    assert table.newest() == 1


def test_orphans_are_exactly_one_groups_files_that_no_version_ever_had(table: Table) -> None:
    first = add(table, table.create(), 1)
    new = table.write(BASIC, people(5), "g2-0")
    second = table.commit([new], table.snapshot(first).files(), transaction=2, expected=first)
    left = table.write({**BASIC, "bucket": "0"}, people(5), "g1-7")
    table.write(BASIC, people(5), "g11-0")  # another group's, perhaps still running
    snapshot = table.snapshot(second)
    # g1-0 is removed but not yet unlinked: it had been visible, so it is no orphan
    assert table.orphans(snapshot, name_prefix="g1-") == [table.folder / left.path]
    assert table.orphans(snapshot, name_prefix="g2-") == []
    with pytest.raises(ValueError, match="not allowed"):
        table.orphans(snapshot, name_prefix="*")


def test_the_keyring_of_the_site_gives_the_keys(tmp_path: Path) -> None:
    identity = tmp_path / "batch.key"
    recipient = create_identity(identity)
    Keyring.create(tmp_path / "keys", {"batch": (recipient, ["history"])})
    keys = Keyring.open(tmp_path / "keys", load_identity(identity, outside=tmp_path / "root"))
    definition = TableDefinition(
        "qualification_history", HISTORY.partition_by, HISTORY.sections, HISTORY.buckets
    )
    table = Table(tmp_path / "root" / "qualification_history", definition, keys)
    start = table.create()
    file = table.write(BASIC, people(5), "g1-0")
    version = table.commit([file], [], transaction=1, expected=start)
    assert table.snapshot(version).read([file]).equals(people(5))
    keys.destroy("qualification_history", "bucket=2.1")
    with pytest.raises(SecretError):
        table.snapshot(version).read([file])
