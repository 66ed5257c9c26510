"""Mistakes in the lines of persons: one injector for every row code that a file can bring about.

R406 and R408 are not among them: they need persons who waited for their number or whom another
insurer joined, so more than one file.

The lines of a person stand or fall together, so one bad line rejects them all; the others then
carry R302. What an injector does to the counts stands beside it and is handed back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from koukan.errors import UsageError
from koukan.rules.checkdigits import complete
from koukan.samples.draws import Ints
from koukan.samples.edits import of, one_number_for_two, with_fields, with_repeated, wrong_digit
from koukan.samples.file_faults import FILE_FAULTS, FileFault
from koukan.samples.population import text
from koukan.samples.registration import (
    CHANGE,
    LOSS,
    NEW,
    PARTING,
    RE_ENTRY,
    WITHDRAWAL,
    Frames,
)

__all__ = [
    "FILE_FAULTS",
    "ROW_FAULTS",
    "Expectation",
    "FileFault",
    "History",
    "RowFault",
    "inject",
    "inject_all",
]

# Whom an injector can take: new persons of anybody, of a welfare office, of any other insurer;
# changes or losses of persons whom the insurer has registered.
Needs = Literal["new", "welfare", "insured", "change", "loss"]
Persons = Sequence[int] | Ints
SECTIONS = ("basic", "qualification", "certificate")  # of which everybody has a line
EVERY = ()  # what a person's lines have in common is set in all of them
PUBLIC_PAYER = text(complete("public_payer_number", np.array([1299999])), 8).item()
TICKET = {
    "record_type_code": "05",
    "ticket_number": "999999999999",
    "ticket_type": "1",
    "public_payer_number": "12131231",
    "recipient_number": "0000018",
    "treatment_month": "202604",
    "start_date": "20260401",
    "end_date": "20260430",
}
RECIPIENT = text(complete("recipient_number", np.array([999_999])), 7).item()


@dataclass(frozen=True)
class History:
    """What is known of earlier files.

    Args:
        members: my_number, member_id of persons whom the insurer has registered and whom the file
            does not name.
        foreign: member ids that other insurers have and this one has not.
    """

    members: pl.DataFrame
    foreign: pl.Series


@dataclass(frozen=True)
class Expectation:
    """What one fault does: persons taken, and lines added (or taken away), rejected, duplicate.

    Args:
        held: lines that are neither taken in nor rejected (answers to no open question).
    """

    code: str
    persons: int
    added: int
    rejected: int
    duplicate: int
    held: int = 0


Apply = Callable[[dict[str, pl.DataFrame], pl.Series, History], dict[str, pl.DataFrame]]


@dataclass(frozen=True)
class RowFault:
    """One injector; `added`, `rejected` and `duplicate` are lines of each person taken.

    Whoever has lines of further sections loses them, too.
    """

    apply: Apply
    needs: Needs = "new"
    added: int = 0
    rejected: int = 3
    duplicate: int = 0
    history: bool = False


def inject(
    frames: Frames, code: str, persons: Persons, *, history: History | None = None
) -> tuple[dict[str, pl.DataFrame], Expectation]:
    """Frames with this fault in the lines of these persons.

    Args:
        frames: as `registration_frames` gives them; nothing but faults was done to them.
        code: one of `ROW_FAULTS`.
        persons: positions of persons by their order of record numbers; R303 takes them in pairs,
            and the second of a pair then has no record number of its own.
        history: for the codes that compare with earlier files (`ROW_FAULTS[code].history`).

    Raises:
        UsageError: no such code, or the persons are not what the code needs.
    """
    changed, expectations = inject_all(frames, {code: persons}, history=history)
    return changed, expectations[0]


def inject_all(
    frames: Frames, plan: Mapping[str, Persons], *, history: History | None = None
) -> tuple[dict[str, pl.DataFrame], list[Expectation]]:
    """Several faults at once, each person in at most one; see `inject`."""
    numbers = frames["basic"]["record_number"].unique().sort()
    changed, expectations = dict(frames), []
    for code, persons in plan.items():
        fault = ROW_FAULTS.get(code)
        if fault is None:
            raise UsageError("samples.fault", code=code, known=", ".join(ROW_FAULTS))
        if fault.history and (
            history is None or history.members.is_empty() or history.foreign.is_empty()
        ):
            raise UsageError("samples.history", code=code)
        chosen = numbers.gather(np.asarray(persons, np.int64))
        _require(changed, code, fault.needs, chosen)
        further = sum(
            frame.filter(of(chosen)).height
            for name, frame in changed.items()
            if name not in SECTIONS
        )
        changed = fault.apply(changed, chosen, history or _NO_HISTORY)
        count = chosen.len()
        rejected = fault.rejected * count + (further if fault.rejected else 0)
        counts = (fault.added * count, rejected, fault.duplicate * count)
        expectations.append(Expectation(code, count, *counts))
    return changed, expectations


_NO_HISTORY = History(
    pl.DataFrame(schema={"my_number": pl.String, "member_id": pl.String}),
    pl.Series(dtype=pl.String),
)


def _require(frames: Frames, code: str, needs: Needs, chosen: pl.Series) -> None:
    rows = frames["qualification"].filter(of(chosen))
    types = {"change": CHANGE, "loss": LOSS}.get(needs, NEW)
    fits = bool((rows["process_type_code"] == types).all())
    if needs == "welfare":
        fits = fits and rows["public_payer_number"].null_count() == 0
    if needs == "insured":
        fits = fits and rows["insurer_number"].null_count() == 0
    if not fits or (code == "R303" and chosen.len() % 2):
        raise UsageError("samples.unfit", code=code, known=needs)


def _changed(sections: Sequence[str], **values: pl.Expr | str | None) -> Apply:
    """Sets fields in these lines of the chosen persons; a number of values goes by expression."""

    def apply(
        frames: dict[str, pl.DataFrame], chosen: pl.Series, _: History
    ) -> dict[str, pl.DataFrame]:
        names = sections or frames
        return frames | {name: with_fields(frames[name], chosen, **values) for name in names}

    return apply


def _added(section: str, **values: pl.Expr) -> Apply:
    """A second line for each chosen person, the same or with other content."""

    def apply(
        frames: dict[str, pl.DataFrame], chosen: pl.Series, _: History
    ) -> dict[str, pl.DataFrame]:
        return frames | {section: with_repeated(frames[section], chosen, **values)}

    return apply


def _with_ticket(**values: str) -> Apply:
    """A 医療券 of each chosen person, for whoever may have one."""

    def apply(
        frames: dict[str, pl.DataFrame], chosen: pl.Series, _: History
    ) -> dict[str, pl.DataFrame]:
        empty = frames["medical_ticket"].clear()
        given = {**TICKET, **values}
        rows = frames["basic"].filter(of(chosen))
        lines = rows.select(
            pl.lit(given[name]).alias(name)
            if name in given
            else pl.col(name)
            if name in rows.columns
            else pl.lit(None, pl.String).alias(name)
            for name in empty.columns
        )
        return frames | {"medical_ticket": pl.concat([frames["medical_ticket"], lines])}

    return apply


def _removed(section: str) -> Apply:
    def apply(
        frames: dict[str, pl.DataFrame], chosen: pl.Series, _: History
    ) -> dict[str, pl.DataFrame]:
        return frames | {section: frames[section].filter(~of(chosen))}

    return apply


def _one_number_for_two(
    frames: dict[str, pl.DataFrame], chosen: pl.Series, _: History
) -> dict[str, pl.DataFrame]:
    return {name: one_number_for_two(frame, chosen) for name, frame in frames.items()}


def _from_history(
    process_type: str | None, target: str, source: Callable[[History], pl.Series]
) -> Apply:
    """Gives each chosen person another's number or member id, in all lines."""

    def apply(
        frames: dict[str, pl.DataFrame], chosen: pl.Series, history: History
    ) -> dict[str, pl.DataFrame]:
        values = source(history)
        values = values.gather(np.arange(chosen.len()) % values.len())
        given = pl.col("record_number").replace_strict(chosen, values, default=pl.col(target))
        columns = {target: given}
        if process_type is not None:
            kept = pl.col("process_type_code")
            columns["process_type_code"] = (
                pl.when(of(chosen)).then(pl.lit(process_type)).otherwise(kept)
            )
        return {name: frame.with_columns(**columns) for name, frame in frames.items()}

    return apply


def _registered_as_new(
    frames: dict[str, pl.DataFrame], chosen: pl.Series, history: History
) -> dict[str, pl.DataFrame]:
    common = {"process_type_code": NEW, "member_id": None, "new_my_number": None}
    frames = _changed(EVERY, **common)(frames, chosen, history)
    dates = {name: None for name in frames["basic"].columns if name.endswith("_change_date")}
    return _changed(("basic",), **dates)(frames, chosen, history)


_BASIC, _QUALIFICATION, _CERTIFICATE = (SECTIONS[:1], SECTIONS[1:2], SECTIONS[2:])
_TAIL = pl.col("name").str.slice(1)

ROW_FAULTS: Mapping[str, RowFault] = {
    "R101": RowFault(_changed(_BASIC, name=None)),
    "R102": RowFault(_changed(_BASIC, post_number=pl.col("post_number").str.head(6))),
    "R103": RowFault(_changed(_BASIC, post_number=pl.col("post_number").str.head(6) + "X")),
    "R104": RowFault(_changed(_BASIC, sex_1="9")),
    "R105": RowFault(_changed(_QUALIFICATION, qualification_date="20260231")),
    "R106": RowFault(_changed(_BASIC, name="\ue000" + _TAIL)),  # F040 in CP932: a 外字
    "R107": RowFault(_changed(_BASIC, name_kana="か" + pl.col("name_kana").str.slice(1))),
    "R108": RowFault(_changed(_BASIC, name="〓" + _TAIL)),
    "R201": RowFault(_changed(EVERY, my_number=wrong_digit("my_number"))),
    "R202": RowFault(
        _changed(_QUALIFICATION, insurer_number=wrong_digit("insurer_number")), "insured"
    ),
    "R203": RowFault(_changed(_BASIC, municipality_code=wrong_digit("municipality_code"))),
    "R204": RowFault(
        _changed(_QUALIFICATION, public_payer_number=wrong_digit("public_payer_number")),
        "welfare",
    ),
    "R205": RowFault(
        _changed(_QUALIFICATION, recipient_number=wrong_digit("recipient_number")), "welfare"
    ),
    "R206": RowFault(_with_ticket(institution_code="1311234560"), "welfare", added=1, rejected=4),
    "R211": RowFault(
        _changed(
            _QUALIFICATION, disqualification_date=pl.col("qualification_date"), loss_reason="99"
        )
    ),
    "R212": RowFault(_changed(_CERTIFICATE, valid_to_date="19991231")),
    "R213": RowFault(
        _changed(_QUALIFICATION, disqualification_date=None, loss_reason=None), "loss"
    ),
    "R214": RowFault(_changed(_QUALIFICATION, loss_reason="99")),
    "R215": RowFault(_changed(EVERY, member_id="9999999999")),
    "R216": RowFault(_changed(EVERY, process_type_code=CHANGE)),
    "R217": RowFault(_changed(EVERY, new_my_number=pl.col("my_number"))),
    "R218": RowFault(
        _changed(_QUALIFICATION, public_payer_number=PUBLIC_PAYER, recipient_number=RECIPIENT),
        "insured",
    ),
    "R219": RowFault(_changed(_QUALIFICATION, recipient_number=RECIPIENT), "insured"),
    "R222": RowFault(_with_ticket(), "insured", added=1, rejected=4),
    "R223": RowFault(_changed(EVERY, process_type_code=RE_ENTRY, my_number=None)),
    "R224": RowFault(_changed(EVERY, process_type_code=PARTING, new_my_number=None), "change"),
    "R225": RowFault(_changed(EVERY, new_member_id="9999999999")),
    "R226": RowFault(_changed(EVERY, process_type_code=WITHDRAWAL, new_my_number=None), "change"),
    "R301": RowFault(_added("basic", address=pl.col("address") + "　別棟"), added=1, rejected=4),
    "R302": RowFault(_changed(_CERTIFICATE, issue_date=None)),
    "R303": RowFault(_one_number_for_two),
    "R304": RowFault(_removed("certificate"), added=-1, rejected=2),
    "R305": RowFault(_changed(_QUALIFICATION, process_type_code=RE_ENTRY)),
    "R401": RowFault(
        _from_history(CHANGE, "member_id", lambda history: history.foreign), history=True
    ),
    "R402": RowFault(
        _from_history(CHANGE, "member_id", lambda history: history.members["member_id"]),
        history=True,
    ),
    "R403": RowFault(_changed(EVERY, process_type_code=RE_ENTRY)),
    "R404": RowFault(
        _from_history(None, "new_my_number", lambda history: history.members["my_number"]),
        "change",
        history=True,
    ),
    "R405": RowFault(_changed(EVERY, my_number=None, new_my_number=None), "change"),
    "R407": RowFault(_changed(EVERY, new_insurer_code=pl.col("insurer_code")), "change"),
    "D301": RowFault(_added("qualification"), added=1, rejected=0, duplicate=1),
    "W401": RowFault(_registered_as_new, "change", rejected=0),
    "W402": RowFault(_changed(EVERY, my_number=None), rejected=0),
}
