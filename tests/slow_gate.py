"""The byte gate said again, line by line in plain Python: slow and obviously right.

The first line that is wrong refuses the file; what is wrong with a line is looked at in the order
of `_line`. Only when every line is right do the end record's counts decide.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from koukan.formats import Format
from koukan.formats.model import Field

ARCHIVES = (b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf")
ARCHIVES += (b"%PDF",)
MARKS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")


class Wrong(Exception):
    pass


@dataclass
class SlowVerdict:
    code: str | None = None
    line: int = 0
    rows: int = 0
    insurers: Counter[str] = field(default_factory=Counter)
    first_lines: dict[str, int] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    total: int = 0


def judge(form: Format, content: bytes) -> SlowVerdict:
    """The verdict over whole content."""
    verdict = SlowVerdict()
    try:
        _judge(form, content, verdict)
    except Wrong as wrong:
        verdict.code, verdict.line = wrong.args
    return verdict


def _judge(form: Format, content: bytes, verdict: SlowVerdict) -> None:
    if not content:
        raise Wrong("F103", 0)
    if content.startswith(ARCHIVES):
        raise Wrong("F104", 0)
    if content.startswith(MARKS):
        raise Wrong("F109", 0)
    lines = re.findall(rb"[^\n]*\n|[^\n]+", content)
    position, end = 0, None
    for number, line in enumerate(lines, 1):
        position += len(line)
        if position > form.file.max_bytes:
            raise Wrong("F102", 0)
        if code := _line(form, line, number, end):
            raise Wrong(code, number)
        body = line.removesuffix(form.file.line_end)
        if number == 1:
            continue
        if _type(form, body) == b"99":
            end = body
            continue
        if code := _record(form, body):
            raise Wrong(code, number)
        _count(form, body, number, verdict)
    _whole(form, content, lines, end, verdict)


def _line(form: Format, line: bytes, number: int, end: bytes | None) -> str | None:
    code = _characters(form, line)
    if code is not None:
        return code
    if number == 1:
        values = _split(form, form.control, line.removesuffix(form.file.line_end))
        samples = {item.name: item.sample for item in form.control}
        names = ("record_type_code", "record_number", "layout_code")
        if values is None or any(values[name] != samples[name] for name in names):
            return "F112"
    elif end is not None:
        return "F113"
    return None


def _characters(form: Format, line: bytes) -> str | None:
    limit = form.file.max_line_bytes
    long = len(line) > limit
    seen = line[:limit] if long else line
    if re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", seen):
        return "F107"
    inner = seen.removesuffix(form.file.line_end)
    if form.file.newline == "lf":
        if b"\r" in inner:
            return "F105"
    else:
        inner = inner if inner != seen else seen.removesuffix(b"\r")  # torn inside the line end
        if b"\r" in inner or b"\n" in inner:
            return "F105"
    if long:
        return "F116"
    if not line.endswith(b"\n"):
        return "F106"
    return "F108" if b'"' in line else None


def _type(form: Format, body: bytes) -> bytes:
    at = 11 if form.file.syntax == "csv" else 10
    return body[at : at + 2]


def _record(form: Format, body: bytes) -> str | None:
    csv = form.file.syntax == "csv"
    leading = rb"(\d{10}),(..),.,(\d{8})," if csv else rb"(\d{10})(..).(\d{8})"
    if len(body) < (25 if csv else 21):
        return "F118"
    known = {record.code.encode(): record for record in form.records}
    record = known.get(_type(form, body))
    if record is None:
        return "F111"
    if not re.match(leading, body, re.DOTALL):
        return "F118"
    fields = form.fields(record)
    if csv:
        return None if body.count(b",") == len(fields) - 1 else "F110"
    return None if len(body) == sum(item.slot for item in fields) else "F117"


def _count(form: Format, body: bytes, number: int, verdict: SlowVerdict) -> None:
    csv = form.file.syntax == "csv"
    insurer = (body[16:24] if csv else body[13:21]).decode()
    verdict.rows += 1
    verdict.insurers[insurer] += 1
    verdict.first_lines.setdefault(insurer, number)
    verdict.types[_type(form, body).decode()] += 1
    verdict.total += int(body[:10])


def _whole(
    form: Format, content: bytes, lines: list[bytes], end: bytes | None, verdict: SlowVerdict
) -> None:
    if _japanese_utf8(form, content):
        raise Wrong("F109", 0)
    values = None if end is None else _split(form, form.end, end)
    if values is None:
        raise Wrong("F113", len(lines))
    counts = {f"{record.section}_count": verdict.types[record.code] for record in form.records}
    counts["record_count"] = verdict.rows
    if any(int(values[name]) != count for name, count in counts.items()):
        raise Wrong("F114", len(lines))
    if int(values["control_total"]) != verdict.total % 10**18:
        raise Wrong("F115", len(lines))


def _japanese_utf8(form: Format, content: bytes) -> bool:
    if form.file.encoding != "cp932" or content.isascii():
        return False
    try:
        words = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    blocks = r"[\x00-\x7f\u3000-\u9fff\uf900-\ufaff\uff01-\uffee]*"
    return re.fullmatch(blocks, words) is not None


def _split(form: Format, fields: tuple[Field, ...], body: bytes) -> dict[str, str] | None:
    if form.file.syntax == "csv":
        parts = body.split(b",")
    else:
        parts, position = [], 0
        for item in fields:
            parts.append(body[position : position + item.slot].rstrip(b" "))
            position += item.slot
        if position != len(body):
            return None
    if len(parts) != len(fields):
        return None
    if not all(_fits(item, part) for item, part in zip(fields, parts, strict=True)):
        return None
    return {item.name: part.decode() for item, part in zip(fields, parts, strict=True)}


def _fits(item: Field, part: bytes) -> bool:
    if not part:
        return not item.required
    if not part.isascii() or not item.shortest <= len(part) <= item.length:
        return False
    return item.type not in ("digits", "date") or re.fullmatch(rb"[0-9]+", part) is not None
