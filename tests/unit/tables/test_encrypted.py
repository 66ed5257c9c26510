from __future__ import annotations

import random
import secrets
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from tests.unit.tables.support import people

from koukan.errors import KoukanError, TableRefused, TransientError
from koukan.tables import encrypted

KEY = secrets.token_bytes(32)
AAD = "v1|1|history|bucket=2|g1-0.k1.parquet"
FRAME = people(3_000).with_columns(
    nothing=pl.lit(None, dtype=pl.String),
    at=pl.lit("2024-04-01 12:00:00").str.to_datetime(time_zone="UTC"),
    big=pl.lit(2**64 - 1, dtype=pl.UInt64),
    flag=pl.col("link_number") % 2 == 0,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "bucket=2" / "g1-0.k1.parquet"
    path.parent.mkdir()
    encrypted.write(path, FRAME, KEY, AAD)
    return path


def refused(path: Path, key: bytes = KEY, aad: str = AAD, size: int | None = None) -> str:
    with pytest.raises(TableRefused) as error:
        encrypted.read(path, key, aad, size=size, rows=FRAME.height)
    assert error.value.where == {"path": "bucket=2/g1-0.k1.parquet"}
    assert error.value.__cause__ is None
    return error.value.key


def test_a_file_reads_back_as_it_was_written(path: Path) -> None:
    found = encrypted.read(path, KEY, AAD, size=path.stat().st_size, rows=FRAME.height)
    assert found.equals(FRAME)
    assert found.schema == FRAME.schema


def test_both_readers_find_the_same(path: Path) -> None:
    found = encrypted.read_with_pyarrow(path, KEY, AAD)
    assert found.equals(FRAME)
    assert found.schema == FRAME.schema


def test_a_file_without_rows_reads_back(path: Path) -> None:
    encrypted.write(path, FRAME.clear(), KEY, AAD)
    assert encrypted.read(path, KEY, AAD, rows=0).equals(FRAME.clear())
    assert encrypted.read_with_pyarrow(path, KEY, AAD).equals(FRAME.clear())


@pytest.mark.parametrize("sync", [True, False])
def test_writing_replaces_and_leaves_nothing_else(path: Path, sync: bool) -> None:
    size = encrypted.write(path, FRAME.head(5), KEY, AAD, sync=sync)
    assert size == path.stat().st_size
    assert encrypted.read(path, KEY, AAD).height == 5
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_searched_file_tells_those_who_have_its_key_what_its_row_groups_hold(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encrypted, "SEARCHED_ROWS", 1_000)
    encrypted.write(path, FRAME, KEY, AAD, searched=True)
    decryption = pe.create_decryption_properties(KEY, aad_prefix=AAD.encode())
    with pq.ParquetFile(path, decryption_properties=decryption) as file:
        found = file.metadata
        groups = [found.row_group(at).column(0).statistics for at in range(found.num_row_groups)]
    numbers = FRAME["link_number"]
    assert [(one.min, one.max) for one in groups] == [
        (part.min(), part.max()) for part in (numbers[:1000], numbers[1000:2000], numbers[2000:])
    ]
    assert encrypted.read(path, KEY, AAD, rows=FRAME.height).equals(FRAME)
    one = encrypted.scan(path, KEY, AAD, size=None, rows=None).filter(link_number=numbers[1500])
    assert encrypted.collect(one, path=path).equals(FRAME[1500:1501])
    assert "花子".encode() not in path.read_bytes()
    assert refused(path, key=secrets.token_bytes(32)) == "tables.unreadable"


def test_a_file_that_cannot_be_written_is_a_transient_error(tmp_path: Path) -> None:
    with pytest.raises(TransientError):
        encrypted.write(tmp_path / "gone" / "a.parquet", FRAME, KEY, AAD)


@pytest.mark.requirement("R206")
def test_no_value_and_no_column_name_is_readable_in_the_file(path: Path) -> None:
    content = path.read_bytes()
    assert "花子".encode() not in content
    assert b"link_number" not in content
    assert AAD.encode() not in content


def test_a_wrong_key_or_another_files_place_is_refused(path: Path) -> None:
    other = AAD.replace("bucket=2", "bucket=3")
    assert refused(path, key=secrets.token_bytes(32)) == "tables.unreadable"
    assert refused(path, aad=other) == "tables.unreadable"
    for key, aad in [(secrets.token_bytes(32), AAD), (KEY, other)]:
        with pytest.raises(TableRefused, match=r"tables\.unreadable"):
            encrypted.read_with_pyarrow(path, key, aad)


def test_a_plaintext_file_is_refused_by_both_readers(path: Path) -> None:
    FRAME.write_parquet(path)
    assert refused(path) == "tables.not_encrypted"
    with pytest.raises(TableRefused):
        encrypted.read_with_pyarrow(path, KEY, AAD)


def test_another_size_missing_or_empty_is_refused(path: Path) -> None:
    assert refused(path, size=path.stat().st_size + 1) == "tables.wrong_size"
    path.write_bytes(b"")
    assert refused(path) == "tables.not_encrypted"
    path.unlink()
    assert refused(path) == "tables.missing_file"


def test_another_number_of_rows_is_refused_before_anything_is_read(path: Path) -> None:
    with pytest.raises(TableRefused, match=r"tables\.wrong_rows"):
        encrypted.scan(path, KEY, AAD, size=None, rows=FRAME.height - 1)


def test_a_truncated_file_is_refused_even_when_its_end_looks_right(path: Path) -> None:
    content = path.read_bytes()
    for length in random.Random(5).sample(range(len(content)), 40):
        path.write_bytes(content[:length])
        refused(path)
        path.write_bytes(content[:length] + content[-8:])
        refused(path)


def test_every_flipped_bit_is_refused_or_changes_nothing(path: Path) -> None:
    """No flip gives other rows; the magic and the length of the footer are no exception."""
    content = path.read_bytes()
    size = len(content)
    chosen = random.Random(7)
    tail = range((size - 8) * 8, size * 8)
    flips = [*chosen.sample(range(size * 8), 400), *range(4 * 8), *tail]
    harmless = 0
    for flip in flips:
        damaged = bytearray(content)
        damaged[flip // 8] ^= 1 << flip % 8
        path.write_bytes(damaged)
        for read in (encrypted.read, encrypted.read_with_pyarrow):
            try:
                found = read(path, KEY, AAD)
            except TableRefused:
                continue
            assert found.equals(FRAME)
            harmless += read is encrypted.read
    # Only bits that carry nothing (of the unencrypted note which algorithm it is) may pass.
    assert harmless <= len(flips) // 20


def test_a_damaged_page_is_refused_when_it_is_read_although_the_file_opens(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    lazy = encrypted.scan(path, KEY, AAD, size=len(content), rows=FRAME.height)
    with pytest.raises(TableRefused):
        encrypted.collect(lazy, path=path)


def test_the_second_reader_tells_the_columns_without_reading_them(path: Path) -> None:
    size = path.stat().st_size
    assert encrypted.schema_of(path, KEY, AAD, size=size, rows=FRAME.height) == FRAME.schema
    wrong = [
        (secrets.token_bytes(32), AAD, size, FRAME.height, "tables.unreadable"),
        (KEY, AAD + "x", size, FRAME.height, "tables.unreadable"),
        (KEY, AAD, size + 1, FRAME.height, "tables.wrong_size"),
        (KEY, AAD, size, FRAME.height + 1, "tables.wrong_rows"),
    ]
    for key, aad, length, rows, expected in wrong:
        with pytest.raises(TableRefused) as error:
            encrypted.schema_of(path, key, aad, size=length, rows=rows)
        assert error.value.key == expected
        assert error.value.where == {"path": "bucket=2/g1-0.k1.parquet"}
        assert error.value.__cause__ is None


def test_a_wrong_query_is_a_bug_and_its_text_holds_no_value(path: Path) -> None:
    lazy = encrypted.scan(path, KEY, AAD, size=None, rows=None)
    with pytest.raises(RuntimeError) as error:
        encrypted.collect(lazy.select(pl.col("name").cast(pl.Int64)), path=path)
    assert "花子" not in str(error.value)
    assert not isinstance(error.value, KoukanError)
    assert error.value.__suppress_context__
