"""Archives: the same bytes for the same members, read by every tar; and nothing else is read."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.codecs.archive import LARGEST, Member, pack, unpack
from koukan.errors import IntegrityError, SealBroken

File = tuple[str, bytes]
FILES: list[File] = [("manifest.json", b"{}"), ("empty", b""), ("QR_1.csv", b"x" * 512 + b"y")]
ALPHABET = "ABCXYZabcxyz0189._-"
names = st.builds(
    str.__add__, st.sampled_from("ABCabc019"), st.text(st.sampled_from(ALPHABET), max_size=99)
)
files = st.lists(
    st.tuples(names, st.binary(max_size=1500)), max_size=6, unique_by=lambda file: file[0].lower()
)


def cut(content: bytes, size: int) -> Iterator[bytes]:
    """In blocks of `size` bytes, with an empty one now and then."""
    for start in range(0, len(content), size):
        yield content[start : start + size]
        yield b""


def packed(made: Iterable[File], size: int = 700) -> bytes:
    return b"".join(pack(Member(name, len(body), cut(body, size)) for name, body in made))


def unpacked(content: bytes, size: int = 333) -> list[File]:
    return [(found.name, b"".join(found.blocks)) for found in unpack(cut(content, size))]


@given(files, st.integers(1, 5000), st.integers(1, 5000))
def test_what_was_packed_comes_out_whatever_the_blocks(
    made: list[File], written: int, read: int
) -> None:
    content = packed(made, written)
    assert content == packed(made)
    assert len(content) % 512 == 0
    assert unpacked(content, read) == made


@given(files)
def test_the_standard_library_reads_the_same(made: list[File]) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(made)), mode="r:") as archive:
        found = archive.getmembers()
        assert [(one.name, archive.extractfile(one).read()) for one in found] == made  # type: ignore[union-attr]
    for one in found:
        assert one.isreg()
        said = (one.mode, one.uid, one.gid, one.uname, one.gname, one.mtime, one.pax_headers)
        assert said == (0o600, 0, 0, "", "", 0, {})


def test_gnu_tar_reads_the_same(tmp_path: Path) -> None:
    tar = shutil.which("tar")
    if tar is None:
        pytest.skip("there is no tar")
    content = packed(FILES)
    listed = subprocess.run(
        [tar, "--list", "--verbose", "--numeric-owner", "--file", "-"],
        input=content,
        capture_output=True,
        check=True,
        env={"TZ": "UTC", "LC_ALL": "C"},
    )
    assert listed.stderr == b""
    first = listed.stdout.decode().splitlines()[0].split()
    assert first == ["-rw-------", "0/0", "2", "1970-01-01", "00:00", "manifest.json"]
    subprocess.run([tar, "--extract", "--file", "-"], input=content, check=True, cwd=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict(FILES)


def test_the_bytes_are_these_with_every_python() -> None:
    """Receipts name the hash of an archive, so a standard library that writes another is noticed.

    The second half of the proof is a header spelt out by hand.
    """
    header = bytearray(512)
    for place, text in (
        (0, b"QR_1.csv"), (100, b"0000600\0"), (108, b"0000000\0"), (116, b"0000000\0"),
        (124, b"00000000003\0"), (136, b"00000000000\0"), (156, b"0"),
        (257, b"ustar"), (263, b"00"),
    ):  # fmt: skip
        header[place : place + len(text)] = text
    header[148:156] = b"%06o\0 " % (sum(header) + 8 * ord(" "))
    expected = bytes(header) + b"abc".ljust(512, b"\0") + bytes(1024)
    assert packed([("QR_1.csv", b"abc")]) == expected
    digest = hashlib.sha256(packed(FILES)).hexdigest()
    assert digest == "3ffc6a12b36a1bd8086ca07430b0ba25b0306c316a22c0721ea6eba349424984"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/a", "../a", ".hidden", "a b", "a\n", "a\0", "鍵", "a" * 101, "-a"],
)
def test_a_name_that_is_not_allowed_is_never_packed(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        packed([(name, b"")])


def test_a_name_is_never_packed_twice_not_even_in_capitals() -> None:
    with pytest.raises(ValueError, match="name"):
        packed([("a.csv", b"1"), ("A.CSV", b"2")])


@pytest.mark.parametrize("length", [-1, LARGEST + 1])
def test_a_length_that_no_header_can_say_is_never_packed(length: int) -> None:
    with pytest.raises(ValueError, match="length"):
        list(pack([Member("a", length, [])]))


@pytest.mark.parametrize(("length", "body"), [(3, b"ab"), (0, b"a"), (600, b"x" * 599)])
def test_blocks_of_another_length_stop_the_packing(length: int, body: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        list(pack([Member("a.csv", length, cut(body, 100))]))
    assert (caught.value.key, caught.value.where) == ("archive.length", {"file": "a.csv"})


def test_not_one_byte_too_many_is_given_out() -> None:
    packing = pack([Member("a", 3, iter([b"ab", b"cd", b"ef"]))])
    assert len(next(packing)) == 512
    assert next(packing) == b"ab"
    with pytest.raises(IntegrityError):
        next(packing)


def test_the_largest_length_is_packed_and_read() -> None:
    """Of such a member only the header is looked at: nobody has 8 GiB to spare."""
    header = next(pack([Member("a", LARGEST, [])]))
    found = next(unpack([header]))
    assert (found.name, found.length) == ("a", LARGEST)
    with pytest.raises(SealBroken, match=r"archive\.cut"):
        next(iter(found.blocks))


def test_what_was_not_read_of_a_member_is_skipped() -> None:
    reading = unpack(cut(packed(FILES), 100))
    assert [found.name for found in reading] == [name for name, _ in FILES]
    reading = unpack(cut(packed([("a", b"x" * 2000), ("b", b"y")]), 100))
    first = next(reading)
    assert next(iter(first.blocks)) == b"x" * 88
    second = next(reading)
    assert list(first.blocks) == []
    assert b"".join(second.blocks) == b"y"


# --- archives of others


def foreign(
    *members: tarfile.TarInfo, body: bytes = b"abc", form: int = tarfile.USTAR_FORMAT
) -> bytes:
    """What the standard library writes for such members."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for member in members:
            if member.isreg():
                member.size = len(body)
            archive.addfile(member, io.BytesIO(body) if member.isreg() else None)
    return target.getvalue()


def entry(name: str = "a.csv", **fields: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.mode = 0o600
    for field, value in fields.items():
        setattr(found, field, value)
    return found


def test_the_writer_of_these_archives_can_write_ours() -> None:
    """Else what follows would be refused for reasons of its own; only the padding differs."""
    assert foreign(entry())[:2048] == packed([("a.csv", b"abc")])


@pytest.mark.parametrize(
    "member",
    [
        entry(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry(type=tarfile.LNKTYPE, linkname="b.csv"),
        entry(type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry(type=tarfile.BLKTYPE, devmajor=8),
        entry(type=tarfile.FIFOTYPE),
        entry(type=tarfile.DIRTYPE),
        entry(type=tarfile.CONTTYPE),
        entry(type=tarfile.AREGTYPE),
        entry(type=tarfile.GNUTYPE_SPARSE),
        entry("folder/a.csv"),
        entry("/a.csv"),
        entry(".."),
        entry("../a.csv"),
        entry(".a.csv"),
        entry("a csv"),
        entry("a\tcsv"),
        entry("p" * 60 + "/" + "n" * 90),  # in the field `prefix`
        entry(mode=0o644),
        entry(mode=0o4600),
        entry(uid=1),
        entry(gid=1),
        entry(mtime=1),
        entry(uname="root"),
        entry(gname="root"),
        entry(linkname="b"),
    ],
)
def test_what_pack_cannot_have_made_is_refused(member: tarfile.TarInfo) -> None:
    with pytest.raises(SealBroken) as caught:
        unpacked(foreign(member))
    assert (caught.value.key, caught.value.where) == ("archive.foreign", {})


@pytest.mark.parametrize(
    ("form", "member"),
    [
        (tarfile.GNU_FORMAT, entry()),
        (tarfile.GNU_FORMAT, entry("a" * 200)),
        (tarfile.PAX_FORMAT, entry("a" * 200)),
        (tarfile.PAX_FORMAT, entry("鍵")),
        (tarfile.PAX_FORMAT, entry(mtime=1.5)),
    ],
)
def test_other_formats_are_refused(form: int, member: tarfile.TarInfo) -> None:
    with pytest.raises(SealBroken, match=r"archive\.foreign"):
        unpacked(foreign(member, form=form))


def test_a_pax_header_cannot_rename_what_follows() -> None:
    member = entry()
    member.pax_headers = {"path": "../evil", "size": "9"}
    with pytest.raises(SealBroken, match=r"archive\.foreign"):
        unpacked(foreign(member, form=tarfile.PAX_FORMAT))


@pytest.mark.parametrize("second", ["a.csv", "A.csv"])
def test_a_name_twice_is_refused(second: str) -> None:
    one, other = (packed([(name, b"abc")])[:-1024] for name in ("a.csv", second))
    with pytest.raises(SealBroken) as caught:
        unpacked(one + other + bytes(1024))
    assert (caught.value.key, caught.value.where) == ("archive.twice", {"file": second})


def test_every_flipped_bit_of_header_padding_and_end_is_refused() -> None:
    content = packed([("a.csv", b"abc")])
    frame = [*range(512), *range(515, len(content))]
    for place in frame:
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            with pytest.raises(SealBroken):
                unpacked(bytes(changed))


@pytest.mark.parametrize("length", [*range(0, 513, 64), 514, 515, 1023, 1024, 1025, 1536, 2047])
def test_an_archive_that_was_cut_is_refused(length: int) -> None:
    content = packed([("a.csv", b"abc")])
    assert len(content) == 2048
    with pytest.raises(SealBroken, match=r"archive\.cut"):
        unpacked(content[:length])


@pytest.mark.parametrize(
    "tail", [b"\0", bytes(512), b"x", packed(FILES)], ids=["zero", "block", "byte", "archive"]
)
def test_what_stands_behind_the_end_is_refused(tail: bytes) -> None:
    with pytest.raises(SealBroken, match=r"archive\.trailing"):
        unpacked(packed(FILES) + tail)


def test_one_block_of_zeros_is_no_end() -> None:
    content = packed(FILES)
    with pytest.raises(SealBroken, match=r"archive\.trailing"):
        unpacked(content[:-1024] + bytes(512) + content)


@pytest.mark.parametrize(
    "digits", [b"0000000001 \0", b"        003\0", b"-0000000003\0", b"\x80" + bytes(10) + b"\x03"]
)
def test_a_length_in_another_spelling_is_refused(digits: bytes) -> None:
    header = bytearray(packed([("a.csv", b"abc")]))
    header[124:136] = digits
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header[:512])
    with pytest.raises(SealBroken, match=r"archive\.foreign"):
        unpacked(bytes(header))


@given(st.binary(max_size=3000), st.integers(1, 600))
def test_noise_is_refused(content: bytes, size: int) -> None:
    with pytest.raises(SealBroken):
        unpacked(content, size)


@given(files, st.data())
def test_a_changed_archive_is_refused_or_tells_of_other_content(
    made: Sequence[File], data: st.DataObject
) -> None:
    """Content has no checksum in a tar: the manifest's hashes are there for that."""
    content = bytearray(packed(made))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        found = unpacked(bytes(content))
    except SealBroken:
        return
    assert [(name, len(body)) for name, body in found] == [(name, len(body)) for name, body in made]
    assert found != made
