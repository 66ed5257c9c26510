"""Acknowledge: what a sender is told, in the words of `rejects.toml`; clerks' files are Japanese.

Nothing here repeats a value of a received record but レコード識別番号 and the assigned
被保険者枝番, in the sender's own result file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from koukan.codecs import render
from koukan.codecs.records import joined
from koukan.codecs.text import Content
from koukan.formats.model import Format, Reason
from koukan.rules.ladder import DONE, ENDED, HELD, NEEDLESS, PLANNED, RUNGS, Rung

Ints = npt.NDArray[np.int64]

OUTCOME_CLASS = {"accepted": "1", "refused": "2", "duplicate": "3", "held": "4", "open": "5"}
RUNG_CODE = {name: str(place) for place, name in enumerate(RUNGS, 1)}
RUNG_STATE = {DONE: "1", PLANNED: "2", HELD: "3", ENDED: "4", NEEDLESS: "5"}
COUNTS = ("received", "accepted", "rejected", "duplicate", "held")
ACCEPTED, REJECTED, DUPLICATE = 1, 2, 3  # 処理結果区分
UNTAKEN = 4  # a held row of an answer, of which nobody gets a result
SECTION = "line_result"
WORDS = ("field_label", "processing_result_text", "action_text")
WORDED = ("processing_result_code", *WORDS)  # its last fields
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


@dataclass(frozen=True)
class Receipt:
    """What the ledger knows of a reception, as far as its sender may be told."""

    number: int
    file_name: str
    received_at: str  # JST, fourteen digits
    outcome: str
    code: str | None
    line: int
    counts: tuple[tuple[str, Mapping[str, int]], ...]  # 保険者コード -> COUNTS
    findings: tuple[tuple[str, str, int], ...]  # 保険者コード, code, lines
    remarks: tuple[str, ...] = ()  # codes of what was passed over
    rungs: tuple[Rung, ...] = ()  # times as in received_at
    original: tuple[int, Mapping[str, int]] | None = None  # 受付番号 that it mends, its lines
    expects: int | None = None  # 送信通番 of the sender's next file of this format

    def control(self) -> dict[str, str]:
        return {
            "reception_number": f"{self.number:010d}",
            "received_file_name": self.file_name,
            "received_at": self.received_at,
        }


def sentence(reason: Reason, *, line: int = 0, length: int = 0) -> str:
    """A reason's sentence in Japanese with its placeholders filled."""
    text = reason.text
    if not line:  # a file's refusal that points to no line
        text = text.replace("{line}行目：", "")
    return text.replace("{line}", str(line)).replace("{length}", str(length)).replace('"', "＂")


def acknowledgement(form: Format, reasons: Mapping[str, Reason], receipt: Receipt) -> bytes:
    """The whole 受付結果通知ファイル of one reception."""
    reason = reasons[receipt.code] if receipt.code else None
    outcome = {
        "outcome_class": OUTCOME_CLASS[receipt.outcome],
        "processing_result_code": receipt.code,
        "processing_result_name": reason.title if reason else None,
        "processing_result_text": sentence(reason, line=receipt.line) if reason else None,
        "action_text": reason.action if reason else None,
        "first_line_number": str(receipt.line) if receipt.line else None,
        "expected_sequence": f"{receipt.expects:06d}" if receipt.expects else None,
    }
    rungs: list[dict[str, str | None]] = [
        {
            "rung_code": RUNG_CODE[rung.name],
            "rung_state": RUNG_STATE[rung.state],
            "rung_at": rung.at,
        }
        for rung in receipt.rungs
    ]
    parts = [("outcome", [outcome]), ("rungs", rungs)]
    remarks: list[dict[str, str | None]] = [
        {
            "processing_result_code": code,
            "processing_result_name": reasons[code].title,
            "processing_result_text": sentence(reasons[code]),
            "action_text": reasons[code].action,
        }
        for code in receipt.remarks
    ]
    counted: list[dict[str, str | None]] = [
        {
            "insurer_code": insurer,
            **{f"{name}_count": f"{counts[name]:08d}" for name in COUNTS},
        }
        for insurer, counts in receipt.counts
    ]
    found: list[dict[str, str | None]] = [
        {
            "insurer_code": insurer,
            "processing_result_code": code,
            "processing_result_name": reasons[code].title,
            "finding_count": f"{count:08d}",
        }
        for insurer, code, count in receipt.findings
    ]
    parts += [("remarks", remarks), ("insurer_counts", counted), ("reject_counts", found)]
    parts += [("original_counts", _original(receipt))]
    content = [render.control(form, receipt.control())]
    # Insurers and codes are few: a query for each section would be most of a small file's cost.
    content += [render.record(form, section, row) for section, rows in parts for row in rows]
    total = sum(len(rows) for _, rows in parts)
    return b"".join([*content, render.end(form, {"record_count": f"{total:08d}"})])


def _original(receipt: Receipt) -> list[dict[str, str | None]]:
    """What became of the lines of the reception that the file mends, with what it mended."""
    if receipt.original is None:
        return []
    number, counts = receipt.original
    said = {f"{name}_count": f"{count:08d}" for name, count in counts.items()}
    return [{"original_reception_number": f"{number:010d}", **said}]


def explanations(
    form: Format, reasons: Mapping[str, Reason], found: Collection[tuple[str, str]] | None = None
) -> pl.DataFrame:
    """Sentences by (field, code): columns field, code, field_label, …_text, action_text.

    Args:
        found: fields and codes that are to be explained; None: all that there may be, thousands.
    """
    labels = {item.name: item for item in form.all_fields}
    all_of_them = ((name, code) for name in labels for code in reasons if code[0] in "RDW")
    rows = [
        {
            "field": name,
            "code": code,
            "field_label": labels[name].label,
            "processing_result_text": sentence(reasons[code], length=labels[name].length),
            "action_text": reasons[code].action,
        }
        for name, code in all_of_them
        if found is None or (name, code) in found
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(("field", "code", *WORDS), pl.String))


class Worded(NamedTuple):
    """Rendered records of lines that have words: of each line one, or several."""

    rows: Ints  # of their lines, ascending
    records: pa.LargeBinaryArray

    def of(self, rows: Ints) -> Worded:
        """Those of some lines, ascending, from the first of them to the last."""
        start, stop = np.searchsorted(self.rows, [rows[0], rows[-1] + 1]).tolist()
        return Worded(self.rows[start:stop], self.records[start:stop])


def worded_records(
    form: Format, lines: pl.DataFrame, findings: pl.DataFrame, told: pl.DataFrame
) -> Worded:
    """Records of those lines of one reception that have words: all but the accepted without any.

    Where there are any, however few, it takes some milliseconds.

    Args:
        lines: row, line_number, record_number, class, member_id, in line order.
        findings: row, field, code, in ascending row; all findings of those lines, and of others.
        told: `explanations` of the format.
    """
    rows, kinds = lines["row"].to_numpy(), lines["class"].to_numpy()
    starts, stops = (np.searchsorted(findings["row"].to_numpy(), rows, side) for side in SIDES)
    # Records of a line: one for each of its findings, and one where it has none.
    counts = stops - starts
    counts[(counts == 0) & (kinds != ACCEPTED)] = 1
    if not counts.any():
        return Worded(rows[:0], pa.array([], pa.large_binary()))
    places = np.repeat(np.arange(len(rows)), counts)
    nth = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    phrases, of_finding = _phrases(findings, told)
    found = (starts < stops)[places]
    at = np.where(found, starts[places] + nth, -1)
    chosen = np.append(of_finding, phrases.height - 1)[at]
    assigned = ((kinds == ACCEPTED) & lines["member_id"].is_not_null().to_numpy())[places]
    parts = []
    for which, has_member in ((np.flatnonzero(assigned), True), (np.flatnonzero(~assigned), False)):
        if len(which):
            columns = _columns(lines, has_member=has_member)
            columns = {name: values[places[which]] for name, values in columns.items()}
            parts.append((which, render.phrased(form, SECTION, columns, phrases, chosen[which])))
    return Worded(rows[places], render.merged(parts))


def _phrases(findings: pl.DataFrame, told: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """Codes with their words, the last one nothing at all; and by finding which of them it has.

    A code for which there are no words is told without any.
    """
    fields = told["field"].unique().sort()
    codes = pl.concat([told["code"], findings["code"]]).unique().sort()
    lists = {"field": pl.Enum(fields), "code": pl.Enum(codes)}
    table = np.tile(told.height + np.arange(len(codes)), (len(fields) + 1, 1))
    table[_places(told, lists)] = np.arange(told.height)
    words = told.select(pl.col("code").alias(WORDED[0]), *WORDED[1:])
    others = [codes.alias(WORDED[0]).to_frame(), words.clear(1)]
    of_finding: Ints = table[_places(findings, lists)]
    return pl.concat([words, *others], how="diagonal"), of_finding


def _places(rows: pl.DataFrame, lists: Mapping[str, pl.Enum]) -> tuple[Ints, ...]:
    """Where the values of some columns stand in their lists; -1 where they do not."""
    places = (rows[name].cast(kind, strict=False).to_physical() for name, kind in lists.items())
    return tuple(column.cast(pl.Int64).fill_null(-1).to_numpy() for column in places)


def _columns(lines: pl.DataFrame, *, has_member: bool) -> dict[str, Ints]:
    """The numbers in records of lines by field; what was asked or confirmed assigns no 枝番."""
    columns = {
        "line_number": lines["line_number"],
        "record_number": lines["record_number"],
        "processing_result_class": lines["class"],
    }
    if has_member:
        columns["member_id"] = lines["member_id"].fill_null(0)
    return {name: values.to_numpy() for name, values in columns.items()}


def result_records(form: Format, lines: pl.DataFrame, worded: Worded) -> tuple[memoryview, int]:
    """Records of the result file for lines of one reception, and how many they are.

    Nearly all lines are accepted without a remark and are numbers only; the others have words.

    Args:
        lines: as `worded_records` takes them; one at least.
        worded: what that gave of these lines; of others, too.
    """
    rows = lines["row"].to_numpy()
    worded = worded.of(rows)
    plain = np.isin(rows, worded.rows, invert=True)
    assigned = lines["member_id"].is_not_null().to_numpy()
    parts = [(worded.rows, worded.records)] if len(worded.rows) else []
    for which, has_member in ((plain & assigned, True), (plain & ~assigned, False)):
        if which.any():
            columns = _columns(lines.filter(which), has_member=has_member)
            parts.append((rows[which], render.numbers(form, SECTION, columns)))
    records = render.merged(parts)
    return joined(records), len(records)


def result_file(
    form: Format, control: Mapping[str, str], shares: Iterable[tuple[Content, int]]
) -> Iterator[tuple[Content, int]]:
    """The result file in pieces with their number of records, one piece for each share."""
    yield render.control(form, control), 0
    total = 0
    for content, count in shares:
        total += count
        yield content, count
    yield render.end(form, {"record_count": f"{total:08d}"}), 0
