from __future__ import annotations

import hashlib
import hmac
import os
import pickle
import random
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from koukan.errors import SealBroken
from koukan.keys.sealed import CHUNK, SealedReader, SealedWriter, seal, unseal

KEY = bytes(range(32))
FULL = CHUNK + 16  # bytes of a full chunk on disk
HEAD = 40
SIZES = [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7]


def content_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def opened_by_hand(sealed: bytes, key: bytes, context: str) -> bytes:
    """The format as its module describes it, said a second time."""

    def joined(*parts: str) -> bytes:
        return b"koukan v1" + b"".join(
            len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts
        )

    assert sealed[:8] == b"KOUKAN\x00\x01"
    extracted = hmac.digest(sealed[8:40], key, "sha256")
    own = hmac.digest(extracted, joined("sealed", context) + b"\1", "sha256")
    chunks = [sealed[at : at + FULL] for at in range(HEAD, len(sealed), FULL)]
    return b"".join(
        AESGCM(own).decrypt(
            number.to_bytes(11, "big") + bytes([number == len(chunks) - 1]),
            chunk,
            sealed[:8] + joined(context),
        )
        for number, chunk in enumerate(chunks)
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.sealed"


@pytest.mark.requirement("R206")
@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_is_read_again(path: Path, size: int, durable: bool) -> None:
    content = content_of(size)
    seal(path, content, KEY, "stage|1|文", durable=durable)
    sealed = path.read_bytes()
    assert unseal(path, KEY, "stage|1|文") == content
    assert opened_by_hand(sealed, KEY, "stage|1|文") == content
    assert len(sealed) == HEAD + size + 16 * max(1, -(-size // CHUNK))
    assert size < 100 or content[-100:] not in sealed
    assert [item.name for item in path.parent.iterdir()] == ["a.sealed"]
    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=30, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from([0, 1, 77, CHUNK // 2, CHUNK - 1, CHUNK, CHUNK + 1]), max_size=6
    )
)
def test_the_pieces_of_writing_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[int]
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "a"
    content = content_of(sum(pieces))
    with SealedWriter(path, KEY, "c", durable=False) as writer:
        done = 0
        for size in pieces:
            writer.write(memoryview(content)[done : done + size])
            done += size
    assert unseal(path, KEY, "c") == content


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_part_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "parts"
    content = content_of(3 * CHUNK + 7)
    if not path.exists():
        seal(path, content, KEY, "c", durable=False)
    near = st.sampled_from([0, CHUNK, 2 * CHUNK, 3 * CHUNK]).flatmap(
        lambda edge: st.integers(max(0, edge - 20), min(len(content), edge + 20))
    )
    start, stop = sorted([data.draw(near), data.draw(near)])
    with SealedReader(path, KEY, "c") as reader:
        assert reader.length == len(content)
        assert reader.read(start, stop) == content[start:stop]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("block", [777_777, CHUNK, 3 * CHUNK])
def test_blocks_are_the_content_in_order(path: Path, size: int, block: int) -> None:
    content = content_of(size)
    seal(path, content, KEY, "c", durable=False)
    with SealedReader(path, KEY, "c") as reader:
        blocks = list(reader.blocks(block))
    assert b"".join(blocks) == content
    assert all(len(part) == block for part in blocks[:-1])
    assert b"" not in blocks


def test_parts_outside_the_content_are_refused_not_shortened(path: Path) -> None:
    seal(path, b"0123456789", KEY, "c")
    with SealedReader(path, KEY, "c") as reader:
        for start, stop in [(0, 11), (-1, 2), (5, 4), (11, 11)]:
            with pytest.raises(ValueError, match="10 bytes"):
                reader.read(start, stop)
        with pytest.raises(ValueError, match="at least one"):
            next(reader.blocks(0))


def test_threads_can_share_a_reader(path: Path) -> None:
    content = content_of(5 * CHUNK)
    seal(path, content, KEY, "c", durable=False)
    wrong: list[int] = []
    with SealedReader(path, KEY, "c") as reader:

        def work(seed: int) -> None:
            draw = random.Random(seed)
            for _ in range(40):
                start = draw.randrange(len(content))
                stop = draw.randrange(start, len(content))
                if reader.read(start, stop) != content[start:stop]:
                    wrong.append(seed)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def broken(path: Path, key: bytes = KEY, context: str = "c") -> None:
    with pytest.raises(SealBroken) as caught:
        unseal(path, key, context)
    assert caught.value.key == "seal.broken"
    assert caught.value.where == {"path": path.name}


@pytest.mark.parametrize("size", [0, 1, 300, 2 * CHUNK + 300])
def test_every_flipped_bit_is_noticed(path: Path, size: int) -> None:
    seal(path, content_of(size), KEY, "c")
    sealed = path.read_bytes()
    draw = random.Random(size)
    places = {*range(min(len(sealed), 60)), *range(len(sealed) - 20, len(sealed))}
    places |= {draw.randrange(len(sealed)) for _ in range(40)}
    places |= {HEAD + FULL - 1, HEAD + FULL, HEAD + 2 * FULL} if size > CHUNK else set()
    for place in places:
        altered = bytearray(sealed)
        altered[place] ^= 1 << draw.randrange(8)
        path.write_bytes(altered)
        broken(path)


@pytest.mark.parametrize("size", [0, 300, 2 * CHUNK, 2 * CHUNK + 300])
def test_every_cut_is_noticed_when_opening(path: Path, size: int) -> None:
    seal(path, content_of(size), KEY, "c")
    sealed = path.read_bytes()
    draw = random.Random(size)
    lengths = {0, 1, 8, 39, 40, 41, 55, 56, 57, len(sealed) - 1, len(sealed) - 16}
    lengths |= {HEAD + FULL + step for step in (-1, 0, 1, 16, 17)}
    lengths |= {draw.randrange(len(sealed)) for _ in range(30)}
    for length in sorted(length for length in lengths if length < len(sealed)):
        path.write_bytes(sealed[:length])
        with pytest.raises(SealBroken):
            SealedReader(path, KEY, "c")


def test_chunks_added_repeated_or_reordered_are_noticed(path: Path) -> None:
    seal(path, content_of(3 * CHUNK), KEY, "c")
    sealed = path.read_bytes()
    head = sealed[:HEAD]
    one, two, three = (sealed[HEAD + n * FULL : HEAD + (n + 1) * FULL] for n in range(3))
    orders = [
        [two, one, three], [one, three], [one, one, three], [one, two, three, three], [three],
        [one, two, three, b"x"], [one, two, three, bytes(16)], [three, two, one], [one, two],
    ]  # fmt: skip
    for order in orders:
        path.write_bytes(head + b"".join(order))
        broken(path)
    path.write_bytes(sealed)
    assert unseal(path, KEY, "c") == content_of(3 * CHUNK)


def test_a_file_in_anothers_place_does_not_open(tmp_path: Path) -> None:
    seal(tmp_path / "a", b"content", KEY, "stage|1|decoded")
    broken(tmp_path / "a", context="stage|2|decoded")
    broken(tmp_path / "a", context="stage|1|decoded ")
    broken(tmp_path / "a", key=bytes(32), context="stage|1|decoded")


def test_chunks_of_two_files_under_one_key_and_context_do_not_mix(tmp_path: Path) -> None:
    for name in "ab":
        seal(tmp_path / name, content_of(2 * CHUNK), KEY, "c")
    a, b = ((tmp_path / name).read_bytes() for name in "ab")
    assert a != b
    (tmp_path / "a").write_bytes(a[: HEAD + FULL] + b[HEAD + FULL :])
    broken(tmp_path / "a")
    (tmp_path / "a").write_bytes(a[:HEAD] + b[HEAD : HEAD + FULL] + a[HEAD + FULL :])
    broken(tmp_path / "a")


def test_a_file_cut_or_altered_while_it_is_read_is_noticed(path: Path) -> None:
    seal(path, content_of(3 * CHUNK), KEY, "c")
    with SealedReader(path, KEY, "c") as reader:
        with path.open("r+b") as file:
            file.seek(HEAD + FULL)
            file.write(b"\0\0\0\0")
        assert reader.read(0, CHUNK) == content_of(3 * CHUNK)[:CHUNK]
        with pytest.raises(SealBroken):
            reader.read(CHUNK, CHUNK + 1)
        os.truncate(path, HEAD + 5)
        with pytest.raises(SealBroken):
            reader.read(0, 1)


def test_what_is_missing_or_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SealBroken, match="missing"):
        SealedReader(tmp_path / "none", KEY, "c")
    broken(tmp_path)
    seal(tmp_path / "a", b"content", KEY, "c")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    broken(tmp_path / "link")


def test_an_unfinished_file_never_appears(path: Path) -> None:
    def failing() -> None:
        with SealedWriter(path, KEY, "c") as writer:
            writer.write(content_of(3 * CHUNK))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert list(path.parent.iterdir()) == []
    writer = SealedWriter(path, KEY, "c")
    writer.write(b"x")
    assert not path.exists()
    writer.close()
    writer.close()
    assert unseal(path, KEY, "c") == b"x"
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"y")


def test_a_durable_file_stays_unless_replaced_and_a_temporary_one_is_replaced(path: Path) -> None:
    seal(path, b"first", KEY, "c")
    seal(path, b"second", KEY, "c")
    assert unseal(path, KEY, "c") == b"first"
    seal(path, b"third", KEY, "c", replace=True)
    assert unseal(path, KEY, "c") == b"third"
    seal(path, b"fourth", KEY, "c", durable=False)
    assert unseal(path, KEY, "c") == b"fourth"
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_equal_contents_are_sealed_differently(tmp_path: Path) -> None:
    digests = set()
    for number in range(5):
        seal(tmp_path / str(number), b"same", KEY, "c")
        digests.add(hashlib.sha256((tmp_path / str(number)).read_bytes()[HEAD:]).digest())
    assert len(digests) == 5


def test_writers_and_readers_are_not_pickled(path: Path) -> None:
    writer = SealedWriter(path, KEY, "c")
    writer.close()
    with SealedReader(path, KEY, "c") as reader:
        for holder in (writer, reader):
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(holder)
            assert repr(holder) == f"<{type(holder).__name__}>"
