"""The same checks in DuckDB: SQL over all-string tables, without gate, history and encryption.

DuckDB reads UTF-8 only, so Python splits the file by record type and decodes it. Accepted lines go
to plain Parquet files, one for each section, and findings to a CSV file.
"""
# ruff: noqa: S608 - the SQL is put together from the names in our own definition

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import measuring
import numpy as np
import numpy.typing as npt
import peers
import pyarrow as pa
from peers import CheckDigit, Field, Section


def work(file: Path, folder: Path, meter: measuring.Meter) -> dict[str, Any]:
    sections = peers.sections()
    database = duckdb.connect()
    database.execute("SET preserve_insertion_order = true")
    parts = peers.split(file.read_bytes(), [section.code for section in sections])
    for section in sections:
        read(database, section, *parts.pop(section.code), folder)
        check(database, section)
    database.execute(keys_of(sections))
    repetitions(database, sections)
    persons(database, sections)
    checked = meter.so_far()
    return {**conclude(database, sections, folder), "checked_s": checked}


def read(
    database: duckdb.DuckDBPyConnection,
    section: Section,
    numbers: npt.NDArray[np.int64],
    text: bytes,
    folder: Path,
) -> None:
    """The section's lines as strings with their line numbers; an empty field is null."""
    path = folder / f"{section.name}.utf8"
    path.write_bytes(text)
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in section.names)
    database.register("numbers", pa.table({"line": numbers}))
    database.execute(
        f"CREATE TABLE raw_{section.name} AS SELECT * FROM numbers POSITIONAL JOIN "
        f"read_csv('{path}', header = false, auto_detect = false, delim = ',', quote = '', "
        f"escape = '', columns = {{{columns}}})"
    )
    database.unregister("numbers")
    path.unlink()


def check(database: duckdb.DuckDBPyConnection, section: Section) -> None:
    """Rules of single lines: a cheap look at every line, then every rule on those it suspects."""
    rules = [rule for field in section.fields for rule in field_rules(field)]
    rules += [cross_rule(each) for each in section.checks]
    looks = [look for field in section.fields for look in first_looks(field)]
    looks += [fails for code, fails in rules if code > "R206"]
    suspect = " OR ".join(f"coalesce({look}, false)" for look in looks)
    reasons = ", ".join(f"CASE WHEN {fails} THEN '{code}' END" for code, fails in rules)
    database.execute(
        f"CREATE TABLE bad_{section.name} AS SELECT * FROM raw_{section.name} WHERE {suspect}"
    )
    into = "CREATE TABLE findings AS" if section.code == "01" else "INSERT INTO findings"
    database.execute(
        f"{into} SELECT DISTINCT line, code FROM "
        f"(SELECT line, unnest([{reasons}]) AS code FROM bad_{section.name}) "
        "WHERE code IS NOT NULL"
    )


def first_looks(field: Field) -> list[str]:
    """Fewer and cheaper tests than the rules; true for every line that breaks one of them."""
    name, span = field.name, f"{{{field.shortest},{field.longest}}}"
    looks = [f"{name} IS NULL"] if field.required else []
    match field.type:
        case "digits":
            looks.append(f"NOT {matches(name, '[0-9]' + span)}")
        case "ascii":
            looks.append(f"NOT {matches(name, '[!-~]' + span)}")
        case "text":
            looks.append(f"length({name}) > {field.longest}")
            looks.append(f"regexp_matches({name}, '[{peers.PRIVATE}{peers.INVISIBLE}]')")
        case "kana":
            looks.append(f"length({name}) > {field.longest}")
            looks.append(f"NOT {matches(name, '[' + peers.KANA + ']+')}")
        case _:
            looks += [fails for _, fails in field_rules(field)]
    if field.is_month:
        looks.append(no_month(name))
    return looks + [wrong_digit(field, digit) for digit in field.digits]


def matches(name: str, pattern: str) -> str:
    return f"regexp_full_match({name}, '{pattern}')"


def no_month(name: str) -> str:
    return f"NOT ({matches(name, peers.YEAR_MONTH)} AND {name} >= '{peers.EARLIEST[:6]}')"


def is_day(name: str) -> str:
    day = f"try_strptime({name}, '%Y%m%d') IS NOT NULL"
    return f"({matches(name, '[0-9]{8}')} AND {name} >= '{peers.EARLIEST}' AND {day})"


def field_rules(field: Field) -> list[tuple[str, str]]:
    """(code, when it fails) for one field; null counts as not failing."""
    name = field.name
    rules = [("R101", f"{name} IS NULL")] if field.required else []
    match field.type:
        case "digits" | "ascii":
            kind = "[!-~]+" if field.type == "ascii" else "[0-9]+"
            rules.append(
                ("R102", f"length({name}) NOT BETWEEN {field.shortest} AND {field.longest}")
            )
            rules.append(("R103", f"NOT {matches(name, kind)}"))
        case "code":
            rules.append(("R104", f"{name} NOT IN ({', '.join(map(repr, field.codes))})"))
        case "date":
            uncertain = f" OR {matches(name, peers.UNCERTAIN)}" if field.uncertain else ""
            rules.append(("R105", f"{name} IS NOT NULL AND NOT ({is_day(name)}{uncertain})"))
        case "text" | "kana":
            rules.append(("R102", f"length({name}) > {field.longest}"))
            rules.append(("R106", f"regexp_matches({name}, '[{peers.PRIVATE}]')"))
            rules.append(("R108", f"regexp_matches({name}, '[{peers.INVISIBLE}]')"))
            if field.type == "kana":
                kana = f"[{peers.KANA}{peers.PRIVATE}{peers.INVISIBLE}]+"
                rules.append(("R107", f"NOT {matches(name, kana)}"))
    formed = f"length({name}) BETWEEN {field.shortest} AND {field.longest} AND "
    formed += matches(name, "[0-9]+")
    if field.is_month:
        rules.append(("R105", f"{formed} AND {no_month(name)}"))
    for digit in field.digits:
        rules.append((digit.code, f"{formed} AND {wrong_digit(field, digit)}"))
    return rules


def wrong_digit(field: Field, digit: CheckDigit) -> str:
    number = f"try_cast({field.name} AS BIGINT)"
    products = [
        (f"({number} // {10 ** (place + 1)} % 10 * {weight})", 9 * weight)
        for place, weight in enumerate(digit.weights)
    ]
    shares = [
        f"({product} // 10 + {product} % 10)" if digit.folded and highest > 9 else product
        for product, highest in products
    ]
    right = (
        f"[{', '.join(map(str, digit.digits))}][({' + '.join(shares)}) % {len(digit.digits)} + 1]"
    )
    fails = f"{number} % 10 <> {right}"
    return fails + (f" AND {field.name} < '{digit.unjudged_from}'" if digit.unjudged_from else "")


def cross_rule(check: dict[str, Any]) -> tuple[str, str]:
    first, *others = check["fields"]
    second = others[-1] if others else first
    when = " AND ".join(
        f"{name} IN ({', '.join(map(repr, values))})"
        for name, values in check.get("when", {}).items()
    )
    when = when or "true"
    given = "(" + " OR ".join(f"{name} IS NOT NULL" for name in check["fields"][:-1]) + ")"
    fails = {
        "empty_when": f"{when} AND {first} IS NOT NULL",
        "present_when": f"{when} AND {first} IS NULL",
        "never_when": when,
        "one_given": f"{when} AND NOT {given} AND {second} IS NULL",
        "given_with": f"{when} AND {given} AND {second} IS NULL",
        "not_with": f"{when} AND {given} AND {second} IS NOT NULL",
        "different": f"{when} AND {first} = {second}",
        "exactly_one": f"({first} IS NULL) = ({second} IS NULL)",
        "both_or_none": f"({first} IS NULL) <> ({second} IS NULL)",
        "earlier": f"{first} >= {second}",
        "not_later": f"{first} > {second}",
    }
    return check["code"], fails[check["use"]]


def keys_of(sections: list[Section]) -> str:
    """All lines as what the rules over several lines need; -1 is an absent or unreadable number."""
    numbers = ", ".join(
        f"coalesce(try_cast({name} AS BIGINT), -1) AS {name}"
        for name in ("process_type_code", *peers.COMMON)
    )
    parts = (
        f"SELECT line, {int(section.code)} AS type, record_number::BIGINT AS record_number, "
        f"{numbers}, concat({', '.join(section.key) or repr('')}) AS key "
        f"FROM raw_{section.name}"
        for section in sections
    )
    return f"CREATE TABLE keys AS {' UNION ALL '.join(parts)}"


def repetitions(database: duckdb.DuckDBPyConnection, sections: list[Section]) -> None:
    """The same key twice among lines that are right: equal content repeats, other contradicts."""
    database.execute(
        "CREATE TABLE twice AS SELECT unnest(list(line)) AS line, min(line) AS first FROM keys "
        "ANTI JOIN findings USING (line) GROUP BY type, insurer_code, my_number, key "
        "HAVING count(*) > 1"
    )
    contents = " UNION ALL ".join(
        f"SELECT line, first, concat_ws('\x1f', {columns}) AS content "
        f"FROM twice JOIN raw_{section.name} USING (line)"
        for section in sections
        for columns in [", ".join(f"coalesce({name}, '')" for name in section.names[1:])]
    )
    database.execute(
        "CREATE TABLE judged AS SELECT line, first, "
        "min(content) OVER same = max(content) OVER same AS equal "
        f"FROM ({contents}) WINDOW same AS (PARTITION BY first)"
    )
    database.execute(
        "CREATE TABLE repeated AS SELECT line FROM judged WHERE equal AND line > first"
    )
    database.execute("INSERT INTO findings SELECT line, 'R301' FROM judged WHERE NOT equal")


def persons(database: duckdb.DuckDBPyConnection, sections: list[Section]) -> None:
    """The lines of one record number: one person, one process type, every section."""
    differs = " OR ".join(f"min({name}) <> max({name})" for name in peers.COMMON)
    wanted = sum(1 << int(section.code) for section in sections if section.required)
    # Numbers that cannot be read have their own finding and make nobody a stranger.
    database.execute(
        "CREATE TABLE persons AS SELECT * FROM (SELECT record_number, min(line) AS first, "
        f"({differs}) AND (min(my_number) <> -1 OR min(insurer_code) <> max(insurer_code)) "
        "AS stranger, min(process_type_code) <> max(process_type_code) AS mixed, "
        f"bit_or(1 << type) & {wanted} <> {wanted} AS missing FROM keys GROUP BY record_number) "
        "WHERE stranger OR mixed OR missing OR record_number IN "
        "(SELECT record_number FROM keys SEMI JOIN findings USING (line))"
    )
    database.execute(
        "CREATE TABLE fallen AS SELECT line, first, stranger, mixed, missing "
        "FROM keys JOIN persons USING (record_number)"
    )
    database.execute(
        "INSERT INTO findings SELECT line, 'R303' FROM fallen WHERE stranger "
        "UNION ALL SELECT line, 'R305' FROM fallen WHERE mixed "
        "UNION ALL SELECT line, 'R304' FROM fallen WHERE missing AND line = first"
    )
    database.execute("DELETE FROM fallen WHERE line IN (FROM repeated)")
    database.execute(
        "INSERT INTO findings SELECT line, 'R302' FROM fallen ANTI JOIN findings USING (line)"
    )
    database.execute("INSERT INTO findings SELECT line, 'D301' FROM repeated")


def conclude(
    database: duckdb.DuckDBPyConnection, sections: list[Section], folder: Path
) -> dict[str, Any]:
    """Write what came out, and count it."""
    for section in sections:
        columns = ", ".join(
            f"try_strptime({field.name}, '%Y%m%d')::DATE AS {field.name}"
            if field.is_day
            else field.name
            for field in section.fields
        )
        database.execute(
            f"COPY (SELECT line, {columns} FROM raw_{section.name} ANTI JOIN "
            "(FROM fallen SELECT line UNION ALL FROM repeated) USING (line)) "
            f"TO '{folder / section.name}.parquet' (FORMAT parquet)"
        )
    database.execute(f"COPY (FROM findings ORDER BY line, code) TO '{folder / 'findings.csv'}'")
    counts = {"received": "keys", "rejected": "fallen", "duplicate": "repeated"}
    lines = {name: database.table(table).shape[0] for name, table in counts.items()}
    codes = database.execute(
        "SELECT code, count(DISTINCT line) FROM findings GROUP BY code ORDER BY code"
    ).fetchall()
    return {**lines, "codes": dict(codes)}


if __name__ == "__main__":
    peers.measured(work)
