"""Acknowledge: what a sender is told, in the words of `rejects.toml`; clerks' files are Japanese.

Nothing here repeats a value of a received record but レコード識別番号 and the assigned
被保険者枝番, in the sender's own result file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from koukan.codecs import render
from koukan.codecs.records import line_offsets
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
WORDS = ("field_label", "processing_result_text", "action_text")  # its last fields


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


def result_lines(lines: pl.DataFrame, findings: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Rows of the result file for lines of one reception.

    Args:
        lines: row, line_number, record_number, class, member_id, in line order.
        findings: row, field, code; all findings of those lines.
        told: `explanations` of the format.

    Returns:
        one row for each line, more where a line has several findings; strings by field name up to
        the words, `row`, and `phrase`: the row of `told` that has them, else its height.
    """
    phrases = told.select("field", "code").with_row_index("phrase")
    explained = findings.join(phrases, on=["field", "code"], how="left")
    joined = lines.join(explained, on="row", how="left", maintain_order="left_right")
    accepted = pl.col("class") == ACCEPTED
    return joined.select(
        "row",
        pl.col("phrase").fill_null(told.height),
        line_number=pl.col("line_number").cast(pl.String),
        record_number=pl.col("record_number").cast(pl.String).str.zfill(10),
        processing_result_class=pl.col("class").cast(pl.String),
        member_id=pl.when(accepted).then(pl.col("member_id").cast(pl.String).str.zfill(10)),
        processing_result_code=pl.col("code"),
    )


class Worded(NamedTuple):
    """Rendered records of lines that have words: of each line one, or several."""

    rows: Ints  # of their lines, ascending
    content: bytes

    def of(self, rows: Ints) -> Worded:
        """Those of some lines, ascending, from the first of them to the last."""
        start, stop = np.searchsorted(self.rows, [rows[0], rows[-1] + 1]).tolist()
        if stop - start == len(self.rows):
            return self
        offsets = line_offsets(self.content)
        return Worded(self.rows[start:stop], self.content[offsets[start] : offsets[stop]])


def worded_records(
    form: Format, lines: pl.DataFrame, findings: pl.DataFrame, told: pl.DataFrame
) -> Worded:
    """Records of those lines of one reception that have words.

    The arguments are those of `result_lines`. However few lines, it takes some milliseconds.
    """
    plain = pl.Series(np.isin(lines["row"].to_numpy(), findings["row"].to_numpy(), invert=True))
    others = lines.filter(~(plain & (lines["class"] == ACCEPTED)))
    if others.is_empty():
        return Worded(np.zeros(0, np.int64), b"")
    rows = result_lines(others, findings, told)
    words = told.select(WORDS)
    phrases = pl.concat([words, words.clear(1)])
    content = render.phrased(form, SECTION, rows, phrases, rows["phrase"].to_numpy())
    return Worded(rows["row"].to_numpy(), content)


def result_records(form: Format, lines: pl.DataFrame, worded: Worded) -> tuple[bytes, int]:
    """Records of the result file for lines of one reception, and how many they are.

    Nearly all lines are accepted without a remark and are numbers only; the others have words.

    Args:
        lines: as `result_lines` takes them; one at least.
        worded: `worded_records` of these lines; of others, too.
    """
    rows = lines["row"].to_numpy()
    worded = worded.of(rows)
    plain = np.isin(rows, worded.rows, invert=True)
    if not plain.any():
        return worded.content, len(worded.rows)
    numbers = lines.filter(plain)
    columns = {
        "line_number": numbers["line_number"].to_numpy(),
        "record_number": numbers["record_number"].to_numpy(),
        "processing_result_class": numbers["class"].to_numpy(),
    }
    if not numbers["member_id"].has_nulls():  # what was asked or confirmed assigns none
        columns["member_id"] = numbers["member_id"].to_numpy()
    content = render.numbers(form, SECTION, columns)
    if not len(worded.rows):
        return content, len(numbers)
    content = render.merged([(rows[plain], content), (worded.rows, worded.content)])
    return content, len(numbers) + len(worded.rows)


def result_file(
    form: Format, control: Mapping[str, str], shares: Iterable[tuple[bytes, int]]
) -> Iterator[tuple[bytes, int]]:
    """The result file in pieces with their number of records, one piece for each share."""
    yield render.control(form, control), 0
    total = 0
    for content, count in shares:
        total += count
        yield content, count
    yield render.end(form, {"record_count": f"{total:08d}"}), 0
