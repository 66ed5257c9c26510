"""The same checks in pandas: columns of strings kept by Arrow, without gate, history, encryption.

Accepted lines go to plain Parquet files, one for each section, and findings to a CSV file.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import measuring
import numpy as np
import numpy.typing as npt
import pandas as pd
import peers
from peers import CheckDigit, Field, Section

Frames: TypeAlias = dict[str, pd.DataFrame]
Mask: TypeAlias = npt.NDArray[np.bool_]
LINE = "line"


def work(file: Path, folder: Path, meter: measuring.Meter) -> dict[str, Any]:
    sections = peers.sections()
    parts = peers.split(file.read_bytes(), [section.code for section in sections])
    frames: Frames = {}
    findings = []
    for section in sections:
        numbers, text = parts.pop(section.code)
        frames[section.name] = frame = read(section, numbers, text)
        findings.append(check(section, frame))
    found = pd.concat(findings)
    keys = pd.concat([keys_of(section, frames[section.name], found) for section in sections])
    repeated, contradicting = repetitions(sections, frames, keys)
    found = pd.concat([found, lines_with(contradicting, "R301")])
    fallen, found = persons(sections, keys, found, repeated)
    checked = meter.so_far()
    write(sections, frames, np.union1d(fallen, repeated), found, folder)
    return {
        "checked_s": checked,
        "received": len(keys),
        "rejected": len(fallen),
        "duplicate": len(repeated),
        "codes": found.groupby("code")[LINE].nunique().to_dict(),
    }


def read(section: Section, numbers: npt.NDArray[np.int64], text: bytes) -> pd.DataFrame:
    """The section's lines as strings, with their line numbers as index; an empty field is NaN."""
    frame = pd.read_csv(
        io.BytesIO(text),
        engine="pyarrow",
        dtype="str",
        names=section.names,
        header=None,
        keep_default_na=False,
        na_values=[""],
    )
    return frame.set_index(pd.Index(numbers, name=LINE))


def lines_with(lines: npt.NDArray[np.int64] | pd.Index, code: str) -> pd.DataFrame:
    return pd.DataFrame({LINE: np.asarray(lines, np.int64), "code": code})


def check(section: Section, frame: pd.DataFrame) -> pd.DataFrame:
    """Rules of single lines: a cheap look at every line, then every rule on those it suspects."""
    suspect = np.zeros(len(frame), np.bool_)
    for field in section.fields:
        column = frame[field.name]
        if field.required:
            suspect |= column.isna().to_numpy()
        if column.notna().any():
            suspect |= first_look(field, column)
    for each in section.checks:
        suspect |= broken(each, frame)
    failed = frame[suspect]
    findings = []
    for field in section.fields:
        column = failed[field.name]
        given = column.notna().to_numpy()
        if field.required:
            findings.append(lines_with(failed.index[~given], "R101"))
        for code, fails in field_rules(field):
            findings.append(lines_with(failed.index[fails(column) & given], code))
    for each in section.checks:
        findings.append(lines_with(failed.index[broken(each, failed)], each["code"]))
    return pd.concat(findings).drop_duplicates()


def first_look(field: Field, column: pd.Series) -> Mask:
    """Fewer and cheaper tests than the rules; true for every line that breaks one of them."""
    span = f"{{{field.shortest},{field.longest}}}"
    given = column.notna().to_numpy()
    match field.type:
        case "digits":
            fails = unlike(column, f"[0-9]{span}")
        case "ascii":
            fails = unlike(column, f"[!-~]{span}")
        case "text":
            fails = holds(column, peers.PRIVATE + peers.INVISIBLE) | longer(column, field)
        case "kana":
            fails = unlike(column, f"[{peers.KANA}]+") | longer(column, field)
        case _:
            fails = np.logical_or.reduce([fails(column) for _, fails in field_rules(field)])
    if field.is_month:
        fails = fails | no_month(column)
    for digit in field.digits:
        fails = fails | wrong_digit(column, digit)
    return np.asarray(fails & given)


def unlike(column: pd.Series, pattern: str) -> Mask:
    return ~column.str.fullmatch(pattern, na=True).to_numpy(np.bool_)


def holds(column: pd.Series, characters: str) -> Mask:
    return column.str.contains(f"[{characters}]", na=False).to_numpy(np.bool_)


def longer(column: pd.Series, field: Field) -> Mask:
    return np.asarray(column.str.len() > field.longest)


def no_day(column: pd.Series, *, uncertain: bool) -> Mask:
    days = pd.to_datetime(column, format="%Y%m%d", errors="coerce").notna().to_numpy()
    days = days & ~unlike(column, "[0-9]{8}") & (column >= peers.EARLIEST).to_numpy(np.bool_)
    return ~(days | ~unlike(column, peers.UNCERTAIN)) if uncertain else ~days


def no_month(column: pd.Series) -> Mask:
    months = ~unlike(column, peers.YEAR_MONTH)
    return ~(months & (column >= peers.EARLIEST[:6]).to_numpy(np.bool_))


def field_rules(field: Field) -> list[tuple[str, Callable[[pd.Series], Mask]]]:
    """(code, which lines fail) for one field; what is said of absent values does not count."""
    rules: list[tuple[str, Callable[[pd.Series], Mask]]] = []
    match field.type:
        case "digits" | "ascii":
            kind = "[!-~]+" if field.type == "ascii" else "[0-9]+"
            rules.append(("R102", lambda column: ~has_length(column, field)))
            rules.append(("R103", lambda column: unlike(column, kind)))
        case "code":
            rules.append(("R104", lambda column: ~column.isin(field.codes).to_numpy()))
        case "date":
            rules.append(("R105", lambda column: no_day(column, uncertain=field.uncertain)))
        case _:
            rules.append(("R102", lambda column: longer(column, field)))
            rules.append(("R106", lambda column: holds(column, peers.PRIVATE)))
            rules.append(("R108", lambda column: holds(column, peers.INVISIBLE)))
            if field.type == "kana":
                kana = f"[{peers.KANA}{peers.PRIVATE}{peers.INVISIBLE}]+"
                rules.append(("R107", lambda column: unlike(column, kana)))
    if field.is_month:
        rules.append(("R105", lambda column: formed(column, field) & no_month(column)))
    for digit in field.digits:
        rules.append((digit.code, lambda column, digit=digit: mistaken(column, field, digit)))
    return rules


def has_length(column: pd.Series, field: Field) -> Mask:
    return column.str.len().between(field.shortest, field.longest).to_numpy()


def mistaken(column: pd.Series, field: Field, digit: CheckDigit) -> Mask:
    """A check digit counts only in a number of the right form."""
    return formed(column, field) & wrong_digit(column, digit)


def formed(column: pd.Series, field: Field) -> Mask:
    return has_length(column, field) & ~unlike(column, "[0-9]+")


def wrong_digit(column: pd.Series, digit: CheckDigit) -> Mask:
    numbers = numbers_of(column)
    body = numbers // 10
    total = np.zeros(len(body), np.int64)
    for weight in digit.weights:
        product = body % 10 * weight
        total += product // 10 + product % 10 if digit.folded else product
        body //= 10
    wrong = numbers % 10 != np.array(digit.digits)[total % len(digit.digits)]
    if digit.unjudged_from:
        wrong = wrong & (column < digit.unjudged_from).to_numpy(np.bool_)
    return wrong & (numbers >= 0)


def numbers_of(column: pd.Series) -> npt.NDArray[np.int64]:
    """Integers; -1 for what is absent or no number."""
    if column.isna().all():
        return np.full(len(column), -1, np.int64)
    try:
        return column.fillna("-1").astype("int64").to_numpy()
    except ValueError:
        return pd.to_numeric(column, errors="coerce").fillna(-1).to_numpy(np.int64)


def broken(check: dict[str, Any], frame: pd.DataFrame) -> Mask:
    """A rule across fields."""
    first, second = (frame[check["fields"][at]] for at in (0, -1))
    others = frame[check["fields"][:-1]].notna().any(axis=1)
    when = np.ones(len(frame), np.bool_)
    for name, values in check.get("when", {}).items():
        when &= frame[name].isin(values).to_numpy()
    match check["use"]:
        case "empty_when":
            fails = first.notna()
        case "present_when":
            fails = first.isna()
        case "never_when":
            fails = first.notna()
        case "one_given":
            fails = ~others & second.isna()
        case "given_with":
            fails = others & second.isna()
        case "not_with":
            fails = others & second.notna()
        case "different":
            fails = first == second
        case "exactly_one":
            fails = first.isna() == second.isna()
        case "both_or_none":
            fails = first.isna() != second.isna()
        case "earlier":
            fails = first >= second
        case _:
            fails = first > second
    return when & fails.to_numpy(np.bool_)


def keys_of(section: Section, frame: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """What the rules over several lines need; -1 is an absent or unreadable number."""
    names = ("record_number", "process_type_code", *peers.COMMON)
    columns = {name: numbers_of(frame[name]) for name in names}
    bad = frame.index.isin(found[LINE])
    return pd.DataFrame({**columns, "type": int(section.code), "bad": bad}, index=frame.index)


def repetitions(
    sections: list[Section], frames: Frames, keys: pd.DataFrame
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The same key twice among lines that are right: those that repeat, those that contradict."""
    repeated, contradicting = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for section in sections:
        frame = frames[section.name]
        mine = keys[keys["type"] == int(section.code)]
        key = frame[list(section.key)].assign(my_number=mine["my_number"])
        key = key.assign(insurer_code=mine["insurer_code"])[~mine["bad"]]
        key = key[key.duplicated(keep=False)]
        if len(key):
            twice = frame.loc[key.index]
            content = twice.iloc[:, 1:].fillna("").agg("\x1f".join, axis=1)
            groups = content.groupby([key[name] for name in key])
            equal = (groups.transform("nunique") == 1).to_numpy()
            repeated.append(twice.index[equal & (groups.cumcount() > 0).to_numpy()].to_numpy())
            contradicting.append(twice.index[~equal].to_numpy())
    return np.concatenate(repeated), np.concatenate(contradicting)


def persons(
    sections: list[Section],
    keys: pd.DataFrame,
    found: pd.DataFrame,
    repeated: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], pd.DataFrame]:
    """The lines of one record number: one person, one process type, every section.

    Returns:
        the rejected lines, and all findings.
    """
    # Lines of the sections of which everybody has one, side by side: as many as 65,535 each.
    kinds = {int(section.code): place for place, section in enumerate(wanted(sections))}
    places = keys.pop("type").map(kinds).fillna(len(kinds)).to_numpy(np.int64)
    keys["lines"] = np.where(places < len(kinds), np.left_shift(1, 16 * places), 0)
    keys["bad"] = keys.index.isin(found[LINE])
    groups = keys.groupby("record_number")
    low, high, lines = groups.min(), groups.max(), groups["lines"].sum().to_numpy()
    differs = low != high
    # Numbers that cannot be read have their own finding and make nobody a stranger.
    stranger = differs[list(peers.COMMON)].any(axis=1)
    stranger &= (low["my_number"] != -1) | differs["insurer_code"]
    mixed = differs["process_type_code"]
    given = [lines >> 16 * place & 0xFFFF for place in kinds.values()]
    missing = low.index[np.min(given, axis=0) == 0]
    rejected = low.index[stranger | mixed | high["bad"]].union(missing)
    fallen = keys.loc[keys["record_number"].isin(rejected), "record_number"].sort_index()
    first = fallen[fallen.isin(missing)].drop_duplicates().index
    found = pd.concat(
        [
            found,
            lines_with(fallen.index[fallen.map(stranger)], "R303"),
            lines_with(fallen.index[fallen.map(mixed)], "R305"),
            lines_with(first, "R304"),
        ]
    )
    rejects = fallen.index.difference(repeated).to_numpy()
    companions = np.setdiff1d(rejects, found[LINE])
    return rejects, pd.concat([found, lines_with(companions, "R302"), lines_with(repeated, "D301")])


def wanted(sections: list[Section]) -> list[Section]:
    return [section for section in sections if section.required]


def write(
    sections: list[Section],
    frames: Frames,
    left_out: npt.NDArray[np.int64],
    found: pd.DataFrame,
    folder: Path,
) -> None:
    for section in sections:
        frame = frames.pop(section.name)
        accepted = frame[~frame.index.isin(left_out)]
        days = {
            field.name: pd.to_datetime(accepted[field.name], format="%Y%m%d").astype(
                "date32[pyarrow]"
            )
            for field in section.fields
            if field.is_day
        }
        accepted.assign(**days).to_parquet(folder / f"{section.name}.parquet")
    found.sort_values([LINE, "code"]).to_csv(folder / "findings.csv", index=False)


if __name__ == "__main__":
    peers.measured(work)
