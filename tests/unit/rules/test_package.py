"""The manifest: one spelling, nothing of a person, and a clear reason for whatever is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.codecs.archive import LARGEST
from koukan.errors import SealBroken
from koukan.rules.package import (
    LARGEST_MANIFEST,
    About,
    Counts,
    File,
    Manifest,
    manifest_bytes,
    parse,
    require_files,
)

HASH = "ab" * 32
FILES = (File("QR_1.csv", 12, HASH), File("QR_2.csv", 0, "0" * 64))
ABOUT = About("06990014", 12, "query_result", Counts(5, 3, 1, 2))
MANIFEST = Manifest("PK_kenpo-a_0000000012", ABOUT, FILES)
GOOD = manifest_bytes(MANIFEST)

numbers = st.integers(0, 2**53 - 1)
letters = st.text(st.sampled_from("abcXYZ019._-"), max_size=20)
files = st.lists(
    st.builds(
        File,
        letters.map(lambda text: f"F{text}"),
        st.integers(0, LARGEST),
        st.binary(min_size=32, max_size=32).map(bytes.hex),
    ),
    max_size=4,
    unique_by=lambda file: file.name.lower(),
)
manifests = st.builds(
    Manifest,
    letters.map(lambda text: f"P{text}"),
    st.builds(
        About,
        st.from_regex(r"\A[0-9]{8}\Z"),
        st.integers(1, 2**53 - 1),
        st.from_regex(r"\A[a-z][a-z0-9_]{0,9}\Z"),
        st.builds(Counts, numbers, numbers, numbers, numbers),
    ),
    files.map(tuple),
)


@given(manifests)
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    content = manifest_bytes(manifest)
    assert content == manifest_bytes(manifest)
    assert parse(content) == manifest


def test_its_spelling_is_this_one() -> None:
    """It is signed and hashed, so it may never change for a layout that is in use."""
    assert (
        b'{"counts":{"ambiguous":1,"answered":3,"rows":5,"still_open":2},'
        b'"files":[{"length":12,"name":"QR_1.csv","sha256":"' + HASH.encode() + b'"},'
        b'{"length":0,"name":"QR_2.csv","sha256":"' + b"0" * 64 + b'"}],'
        b'"insurer":"06990014","kind":"query_result","layout":"koukan.package.v1",'
        b'"package":"PK_kenpo-a_0000000012","reception":12}'
    ) == GOOD


def refused(content: bytes) -> tuple[str, dict[str, str]]:
    with pytest.raises(SealBroken) as caught:
        parse(content)
    return caught.value.key, caught.value.where


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"{}", b"7", b'"layout"', b"\xff", b"null", GOOD[:-1], GOOD + b"\n",
        b" " + GOOD, GOOD.replace(b":", b": "), GOOD.replace(b"{", b'{"reception":12,', 1),
        GOOD.replace(b'"reception":12', b'"reception":12,"who":"somebody"'),
        GOOD.replace(b'"rows":5', b'"rows":5,"rows":5'), GOOD.replace(b'"rows":5,', b""),
        GOOD.replace(b'"rows":5', b'"rows":5,"more":1'),
        GOOD.replace(b'"length":12', b'"length":12,"owner":"somebody"'),
        GOOD.replace(b'"kind":"query_result",', b""), GOOD.replace(b"query", b"qu\\u0065ry"),
        GOOD.replace(b'"layout"', b'"Layout"'), "{\"layout\":\"版\"}".encode(), b"[" * 200_000,
        b'{"layout":"koukan.package.v1","counts":[],"files":{},"insurer":1}',
        b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_spelt_as_we_spell_it_is_no_manifest(content: bytes) -> None:
    assert refused(content) == ("package.manifest", {})


def test_another_layout_is_told_with_the_one_that_is_read() -> None:
    told = ("package.layout", {"known": "koukan.package.v1"})
    assert refused(GOOD.replace(b"package.v1", b"package.v2")) == told
    assert refused(b'{"layout":"koukan.package.v2","whatever":[1]}') == told
    assert refused(b'{"layout":["koukan.package.v1"]}') == told


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    values = json.loads(GOOD)
    change(values)
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("package", {"package": "a/b"}),
        ("package", {"package": ""}),
        ("package", {"package": "a" * 91}),
        ("package", {"package": 5}),
        ("insurer", {"insurer": "6990014"}),
        ("insurer", {"insurer": 6990014}),
        ("reception", {"reception": 0}),
        ("reception", {"reception": "12"}),
        ("reception", {"reception": True}),
        ("reception", {"reception": 12.0}),
        ("reception", {"reception": 2**53}),
        ("kind", {"kind": "Query"}),
        ("kind", {"kind": None}),
        ("counts", {"counts": {"rows": -1, "answered": 0, "ambiguous": 0, "still_open": 0}}),
        ("counts", {"counts": {"rows": 0, "answered": False, "ambiguous": 0, "still_open": 0}}),
        ("counts", {"counts": {"rows": 0, "answered": 0, "ambiguous": 1e3, "still_open": 0}}),
        ("files.name", {"files": [{"name": "../a", "length": 0, "sha256": HASH}]}),
        ("files.name", {"files": [{"name": 1, "length": 0, "sha256": HASH}]}),
        ("files.name", {"files": [{"name": "manifest.json", "length": 0, "sha256": HASH}]}),
        ("files.name", {"files": [{"name": "MANIFEST.json.sig", "length": 0, "sha256": HASH}]}),
        ("files.name", {"files": [FILES[0]._asdict(), {**FILES[1]._asdict(), "name": "qr_1.CSV"}]}),
        ("files.length", {"files": [{"name": "a", "length": -1, "sha256": HASH}]}),
        ("files.length", {"files": [{"name": "a", "length": LARGEST + 1, "sha256": HASH}]}),
        ("files.sha256", {"files": [{"name": "a", "length": 0, "sha256": HASH.upper()}]}),
        ("files.sha256", {"files": [{"name": "a", "length": 0, "sha256": HASH + "\n"}]}),
        ("files.sha256", {"files": [{"name": "a", "length": 0, "sha256": [HASH]}]}),
    ],
)
def test_a_value_that_a_field_cannot_have_is_told_by_its_name(
    field: str, change: dict[str, Any]
) -> None:
    assert refused(changed(lambda values: values.update(change))) == (
        "package.field",
        {"field": field},
    )


@pytest.mark.parametrize(
    "manifest",
    [
        MANIFEST._replace(package="../x"),
        MANIFEST._replace(files=(File("manifest.json", 0, HASH),)),
        MANIFEST._replace(about=ABOUT._replace(reception=0)),
        MANIFEST._replace(files=(FILES[0], FILES[0])),
    ],
)
def test_nothing_is_written_that_would_not_be_read(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="cannot say"):
        manifest_bytes(manifest)


def test_a_manifest_has_a_largest_size() -> None:
    many = tuple(File(f"f{number}", 0, HASH) for number in range(LARGEST_MANIFEST // 90))
    with pytest.raises(ValueError, match="too much"):
        manifest_bytes(MANIFEST._replace(files=many))


def test_files_that_are_those_of_the_manifest_pass() -> None:
    require_files(MANIFEST, FILES)
    require_files(MANIFEST._replace(files=()), [])


@pytest.mark.parametrize(
    ("found", "key", "file"),
    [
        ([], "package.file_missing", "QR_1.csv"),
        (FILES[:1], "package.file_missing", "QR_2.csv"),
        (FILES[1:], "package.file_missing", "QR_1.csv"),
        ([*FILES, File("extra", 0, HASH)], "package.file_unexpected", "extra"),
        ([File("extra", 0, HASH), *FILES], "package.file_unexpected", "extra"),
        (FILES[::-1], "package.file_unexpected", "QR_2.csv"),
        ([FILES[0]._replace(length=13), FILES[1]], "package.file_other", "QR_1.csv"),
        ([FILES[0], FILES[1]._replace(sha256=HASH)], "package.file_other", "QR_2.csv"),
    ],
)
def test_files_that_are_not_those_of_the_manifest_are_told(
    found: list[File], key: str, file: str
) -> None:
    with pytest.raises(SealBroken) as caught:
        require_files(MANIFEST, found)
    assert (caught.value.key, caught.value.where) == (key, {"file": file})


@given(st.data())
def test_every_flipped_bit_is_refused_or_another_value(data: st.DataObject) -> None:
    content = bytearray(GOOD)
    content[data.draw(st.integers(0, len(GOOD) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = parse(bytes(content))
    except SealBroken:
        return
    assert found != MANIFEST
    assert manifest_bytes(found) == bytes(content)
