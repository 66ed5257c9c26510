"""The manifest of a package: what an insurer finds in it, and which question file it answers.

One JSON object in its one canonical spelling (sorted keys, ASCII, no blanks), which is signed:

    layout      "koukan.package.v1"
    package     name of the package
    insurer     保険者コード of the one for whom it is; of a national system its name
    reception   受付番号 of the question file that it answers
    kind        what it holds, e.g. "query_result"
    counts      rows, answered, ambiguous, still_open
    files       name, length in bytes and SHA-256 of each file, in the archive's order

Nothing in it belongs to a person, and no time stands in it: the same content gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from koukan.codecs.archive import LARGEST, NAME
from koukan.errors import SealBroken

LAYOUT = "koukan.package.v1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
LARGEST_MANIFEST = 1 << 20  # bytes; one with a thousand files has some 0.2 MB
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,89}")
_INSURER = re.compile(r"[0-9]{8}|[a-z][a-z0-9_]{0,31}")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST_NUMBER = 2**53 - 1  # what every reader of JSON can hold


class Counts(NamedTuple):
    """Lines of the result, and how many questions they answer.

    Args:
        rows: lines of the files in this package.
        answered: questions with one answer.
        ambiguous: questions with several.
        still_open: questions of the same file that have no answer yet.
    """

    rows: int
    answered: int
    ambiguous: int
    still_open: int


class File(NamedTuple):
    """One file of a package; `length` in bytes, `sha256` of its content."""

    name: str
    length: int
    sha256: str


class About(NamedTuple):
    """Whom a package is for and what it answers; see above."""

    insurer: str
    reception: int
    kind: str
    counts: Counts


class Manifest(NamedTuple):
    """What the manifest says."""

    package: str
    about: About
    files: tuple[File, ...]


def manifest_bytes(manifest: Manifest) -> bytes:
    """The manifest in its one spelling.

    Raises:
        ValueError: a value is not what `parse` would accept (a bug of ours).
    """
    content = _spelt(manifest)
    wrong = _wrong_field(manifest)
    if wrong is not None or len(content) > LARGEST_MANIFEST:
        raise ValueError(f"a manifest cannot say this: {wrong or 'too much'}")
    return content


def parse(content: bytes) -> Manifest:
    """What a manifest says, read strictly: any other spelling of it is none.

    Raises:
        SealBroken: it is no JSON of this shape, is of another layout, or a field has a value that
            it cannot have; the message names the field.
    """
    manifest, layout = _read(content)
    if layout != LAYOUT:
        raise SealBroken("package.layout", known=LAYOUT)
    wrong = None if manifest is None else _wrong_field(manifest)
    if wrong is not None:
        raise SealBroken("package.field", field=wrong)
    if manifest is None or _spelt(manifest) != content:
        raise SealBroken("package.manifest")
    return manifest


def require_files(manifest: Manifest, found: Sequence[File]) -> None:
    """Whether the archive holds what the manifest says, in its order.

    Raises:
        SealBroken: a file is missing, is not in the manifest, has another place, length or hash.
    """
    names = [file.name for file in found]
    for file in manifest.files:
        if file.name not in names:
            raise SealBroken("package.file_missing", file=file.name)
    for place, file in enumerate(found):
        if place >= len(manifest.files) or manifest.files[place].name != file.name:
            raise SealBroken("package.file_unexpected", file=file.name)
        if manifest.files[place] != file:
            raise SealBroken("package.file_other", file=file.name)


def _spelt(manifest: Manifest) -> bytes:
    about = manifest.about
    content = {
        "layout": LAYOUT,
        "package": manifest.package,
        "insurer": about.insurer,
        "reception": about.reception,
        "kind": about.kind,
        "counts": about.counts._asdict(),
        "files": [file._asdict() for file in manifest.files],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _read(content: bytes) -> tuple[Manifest | None, object]:
    """Manifest and layout of what is JSON; the manifest is None when it has another shape.

    A value of a wrong type, a field too many and a field given twice are found later: by the value,
    or because the manifest is then spelt in another way.
    """
    try:
        values = json.loads(content.decode("ascii"))
        layout = values["layout"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise SealBroken("package.manifest") from None
    try:
        about = About(
            values["insurer"], values["reception"], values["kind"], Counts(**values["counts"])
        )
        files = tuple(File(**file) for file in values["files"])
        return Manifest(values["package"], about, files), layout
    except (LookupError, TypeError):
        return None, layout


def _wrong_field(manifest: Manifest) -> str | None:
    """The name of the first field with a value that it cannot have."""
    about, files = manifest.about, manifest.files
    names = Counter(str(file.name).lower() for file in files)
    reserved = {MANIFEST, SIGNATURE}
    checks = {
        "package": _is(_PACKAGE, manifest.package),
        "insurer": _is(_INSURER, about.insurer),
        "reception": _is_number(about.reception, 1),
        "kind": _is(_KIND, about.kind),
        "counts": all(_is_number(count) for count in about.counts),
        "files.name": all(_is(NAME, file.name) for file in files)
        and not reserved & names.keys()
        and max(names.values(), default=1) == 1,
        "files.length": all(_is_number(file.length, 0, LARGEST) for file in files),
        "files.sha256": all(_is(_SHA256, file.sha256) for file in files),
    }
    return next((name for name, right in checks.items() if not right), None)


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_number(value: object, least: int = 0, most: int = _LARGEST_NUMBER) -> bool:
    # `True` is an int to Python, not to JSON.
    return type(value) is int and least <= value <= most
