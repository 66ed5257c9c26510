"""The resident register: who is meant by a question, and what is said of the person.

Insurers write names and addresses in their own way, so both sides are brought to one form first:
width, spaces, some characters, the notation of an address. That form is this program's own; what
koukan thinks of a difference is koukan's matter.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from fixed_width import NUMBER

FOUND, NOBODY, SEVERAL, UNANSWERABLE = "1", "2", "3", "9"  # 照会応答区分
DIED, MOVED_HOUSE, MOVED_IN, NEW_NUMBER = "33", "21", "11", "41"  # 異動事由
ROW = "register_row"
CHARACTERS = {"髙": "高", "﨑": "崎", "濵": "浜", "濱": "浜", "澤": "沢", "彌": "弥", "邊": "辺"}
CHOME = {f"{kanji}丁目": f"{place}丁目" for place, kanji in enumerate("一二三四五六七八九", 1)}
KEY = ("name_key", "birth_date", "address_key")


def read_register(path: Path) -> pl.DataFrame:
    """All residents as strings; what there is nothing to say of is empty."""
    frame = pl.read_csv(path, infer_schema=False).with_columns(pl.all().fill_null(""))
    return frame.with_row_index(ROW)


def name_key(column: str) -> pl.Expr:
    plain = pl.col(column).str.normalize("NFKC").str.replace_all(r"\s", "")
    return plain.str.replace_many(CHARACTERS)


def address_key(column: str) -> pl.Expr:
    """８丁目１４番１８号, 八丁目14番地の18 and 8-14-18 are the same."""
    plain = pl.col(column).str.normalize("NFKC").str.replace_all(r"\s", "")
    return (
        plain.str.replace_many(CHOME)
        .str.replace_all("丁目", "-", literal=True)
        .str.replace_all("([0-9])(?:番地の|番地|番)", "${1}-")
        .str.replace_all("([0-9])号", "${1}")
        .str.replace_all("([0-9])[ー‐―]", "${1}-")
    )


def find(register: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """What is known of each question.

    Args:
        asked: the lines of a request.

    Returns:
        in their order: request_record_number, answer_class, register_row of a found person (else
        null), by_old_number (the number asked with is not the present one), with_reason (whether
        an 異動事由 was asked for).
    """
    lines = asked.with_row_index("line")
    by_number = lines.filter(pl.col("main_search_condition") == NUMBER)
    by_items = lines.filter(pl.col("main_search_condition") != NUMBER)
    hits = pl.concat([_by_number(register, by_number), _by_items(register, by_items)])
    persons = hits.group_by("line").agg(
        pl.col(ROW).n_unique().alias("persons"),
        pl.col(ROW).min(),
        pl.col("by_old_number").any(),
    )
    dead = register.select(ROW, dead=pl.col("death_date") != "")
    found = lines.join(persons, on="line", how="left", maintain_order="left")
    found = found.join(dead, on=ROW, how="left", maintain_order="left")
    hidden = (pl.col("include_removed") == "0") & pl.col("dead").fill_null(False)
    persons_known = pl.col("persons").fill_null(0)
    one = (persons_known == 1) & ~hidden
    return found.select(
        "request_record_number",
        answer_class=pl.when(one)
        .then(pl.lit(FOUND))
        .when(persons_known > 1)
        .then(pl.lit(SEVERAL))
        .otherwise(pl.lit(NOBODY)),
        register_row=pl.when(one).then(pl.col(ROW)),
        by_old_number=one & pl.col("by_old_number").fill_null(False),
        with_reason=pl.col("include_change_reason") == "1",
    )


def _by_number(register: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    parts = []
    for column, old in (("my_number", False), ("old_my_number", True)):
        known = register.filter(pl.col(column) != "").select(ROW, my_number=column)
        met = lines.select("line", "my_number").join(known, on="my_number")
        parts.append(met.select("line", ROW, by_old_number=pl.lit(old)))
    return pl.concat(parts)


def _by_items(register: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """By name, birth date and address, the old one too; by sex where it is given."""
    wanted = lines.select(
        "line",
        "birth_date",
        name_key=name_key("resident_name"),
        address_key=address_key("address"),
        wanted_sex="sex",
    )
    known = register.select(
        ROW, "birth_date", "sex", "address", "old_address", name_key=name_key("name")
    )
    # Addresses are dear: only of those whose name and birth date are asked for.
    known = known.join(
        wanted.select("name_key", "birth_date").unique(), on=["name_key", "birth_date"]
    )
    places = pl.concat(
        [
            known.filter(pl.col(column) != "").with_columns(address_key=address_key(column))
            for column in ("address", "old_address")
        ]
    )
    met = wanted.join(places, on=list(KEY))
    fits = (pl.col("wanted_sex") == "") | (pl.col("wanted_sex") == pl.col("sex"))
    return met.filter(fits).select("line", ROW, by_old_number=pl.lit(False))


def answers(register: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Lines of an answer file: all items of found persons, nothing but the class of others.

    Args:
        found: as `find` gives it, any rows in any order.
    """
    there = found.join(register, on=ROW, how="left", maintain_order="left")
    is_found = pl.col("answer_class") == FOUND
    dead, moved = pl.col("death_date") != "", pl.col("moved_date") != ""
    old = pl.col("by_old_number")
    changed = dead | moved | old
    stayed = pl.col("old_address").str.starts_with(pl.col("municipality_name"))

    def first(*cases: tuple[pl.Expr, pl.Expr | str]) -> pl.Expr:
        value = pl.lit(None, pl.String)
        for condition, given in reversed(cases):
            then = pl.lit(given) if isinstance(given, str) else given
            value = pl.when(condition).then(then).otherwise(value)
        return pl.when(is_found).then(value)

    told = pl.col("with_reason")
    items = ("my_number", "birth_date", "sex", "address", "address_detail", "resident_class")
    items += ("municipality_code", "municipality_name")
    return there.select(
        "request_record_number",
        "answer_class",
        alive_status=first((dead, "2"), (~dead, "1")),
        update_status=first((old, "1"), (~old, "0")),
        change_presence=first((changed, "1"), (~changed, "0")),
        change_reason=first(
            (~told, ""), (dead, DIED), (moved & stayed, MOVED_HOUSE), (moved, MOVED_IN),
            (old, NEW_NUMBER),
        ),
        change_date=first(
            (~told, ""), (dead, pl.col("death_date")), (moved, pl.col("moved_date")),
            (old, pl.col("renumbered_date")),
        ),
        resident_name=first((pl.lit(True), pl.col("name"))),
        resident_name_kana=first((pl.lit(True), pl.col("name_kana"))),
        **{name: first((pl.lit(True), pl.col(name))) for name in items},
    )  # fmt: skip
