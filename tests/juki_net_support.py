"""What tests of the counterpart share: requests as koukan writes them, answers as it reads them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from koukan.codecs import render
from koukan.codecs.gate import Gate
from koukan.codecs.records import decode_piece
from koukan.formats import Catalogue, bundle, require_catalogue
from koukan.rules.validate import BAD, validators
from koukan.samples.population import Population
from koukan.samples.questions import question_frames
from koukan.samples.residents import write_population
from koukan.samples.scenario import SCENARIO
from koukan.shipped import formats_folder

COUNTERPARTS = Path(__file__).resolve().parents[1] / "scripts" / "counterparts"
PROGRAM = COUNTERPARTS / "juki_net.py"
BY_ITEMS, BY_NUMBER = "1", "2"  # 照会種別
KINDS = {BY_ITEMS: "my_number_query", BY_NUMBER: "basic_four_query"}
BULK, IMMEDIATE = "2", "1"
SEED = 5


@cache
def module(name: str) -> ModuleType:
    """A module of the counterpart, which is no package."""
    spec = importlib.util.spec_from_file_location(name, COUNTERPARTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found  # its dataclasses look themselves up
    spec.loader.exec_module(found)
    return found


@cache
def definitions() -> Catalogue:
    return require_catalogue(formats_folder())


def questions(kind: str, persons: Iterable[int], seed: int = SEED) -> pl.DataFrame:
    """An insurer's questions about these persons, with request record numbers of their own."""
    numbers = np.array(list(persons), np.int64)
    form = definitions().formats[KINDS[kind]]
    (frame,) = question_frames(
        form, Population(seed), numbers, insurer=SCENARIO.insurers[0]
    ).values()
    given = np.random.default_rng(len(numbers)).choice(10**15, len(numbers), replace=False)
    condition = pl.lit("1")
    if kind == BY_ITEMS:
        condition = pl.when(pl.col("sex").is_null()).then(pl.lit("3")).otherwise(pl.lit("2"))
    return frame.drop("record_number", "record_type_code", "insurer_code").with_columns(
        request_record_number=pl.Series(given).cast(pl.String).str.zfill(16),
        main_search_condition=condition,
    )


def request(frame: pl.DataFrame, sequence: int, kind: str, mode: str = BULK) -> bytes:
    """A request file, rendered by koukan's own writer."""
    form, rows = definitions().formats["juki_net_request"], frame.height
    lines = pl.Series(np.arange(1, rows + 1)).cast(pl.String).str.zfill(10)
    head = {
        "file_sequence": f"{sequence:06d}",
        "creation_date": "20260402",
        "query_mode": mode,
        "query_type": kind,
    }
    end = {
        "record_count": f"{rows:08d}",
        "request_count": f"{rows:08d}",
        "control_total": f"{rows * (rows + 1) // 2:018d}",
    }
    return b"".join(
        (
            render.control(form, head),
            render.records(form, "request", frame.with_columns(record_number=lines)),
            render.end(form, end),
        )
    )


@dataclass
class Exchange:
    """The folders between the two, the counterpart's own, and how it is called."""

    folder: Path
    seed: int = 1

    def __post_init__(self) -> None:
        self.outbox.mkdir(parents=True, exist_ok=True)

    @property
    def outbox(self) -> Path:
        return self.folder / "exchange" / "juki-net" / "outbox"

    @property
    def inbox(self) -> Path:
        return self.folder / "exchange" / "juki-net" / "inbox" / "juki_net"

    @property
    def register(self) -> Path:
        return self.folder / "population.csv"

    def write_register(self, persons: int) -> None:
        write_population(self.register, SEED, persons)

    def lay(self, sequence: int, content: bytes) -> Path:
        path = self.outbox / f"JQ_koukan_{sequence:06d}.dat"
        path.write_bytes(content)
        return path

    def options(self, *more: str) -> list[str]:
        return [
            *("--register", str(self.register)),
            *("--exchange", str(self.outbox.parent)),
            *("--state", str(self.folder / "state")),
            *("--seed", str(self.seed)),
            *more,
        ]

    def run(
        self, *more: str, program: Sequence[str] = (str(PROGRAM),)
    ) -> subprocess.CompletedProcess[str]:
        """Run it as a process of its own."""
        command = [sys.executable, *program, *self.options(*more)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    def call(self, *more: str, code: int = 0) -> dict[str, Any]:
        """Run it; the one line that it prints, if it prints one."""
        ended = self.run(*more)
        assert ended.returncode == code, ended.stderr
        (line,) = ended.stdout.splitlines() or ["{}"]
        found: dict[str, Any] = json.loads(line)
        return found

    def answers(self) -> dict[str, bytes]:
        """The laid files by name, in their order."""
        return {path.name: path.read_bytes() for path in sorted(self.inbox.iterdir())}


def read_answer(content: bytes) -> tuple[dict[str, str], pl.DataFrame]:
    """Control record and lines, as gate, decoder and validators see them.

    Returns:
        the control record; the lines with `bad` (whether a rule of the single line fails).
    """
    catalogue = definitions()
    form = catalogue.formats["juki_net_answer"]
    verdict = Gate(form).read([content])
    assert verdict.code is None, (verdict.code, verdict.line)
    (decoded,) = decode_piece(form, content[verdict.cuts[0].offset : verdict.cuts[-1].offset])
    (validator,) = validators(bundle(catalogue, form.name)).values()
    checked = validator.check(decoded.frame, suspicious=decoded.suspicious).columns
    details = validator.details(decoded.frame.filter(checked[BAD]))
    place = checked[BAD].arg_true()
    codes = dict(details.select(place.gather(details["row"]).alias("row"), "code").iter_rows())
    bad = pl.Series("bad", [codes.get(row) for row in range(decoded.frame.height)], pl.String)
    return verdict.control, decoded.frame.with_columns(bad)


class PlainReconciler:
    """What koukan must make of the answers, in plain Python: rows, sets and dictionaries."""

    def __init__(self, asked: Iterable[str]) -> None:
        self.asked = set(asked)
        self.closed: dict[str, dict[str, Any]] = {}
        self.counts: Counter[str] = Counter()

    def take(self, lines: pl.DataFrame) -> None:
        """One file, after those before it."""
        good: dict[str, list[dict[str, Any]]] = {}
        for row in lines.iter_rows(named=True):
            self.counts["rows"] += 1
            if row["bad"] or row["answer_class"] == "9":
                self.counts[row["bad"] or "R503"] += 1
            elif row["request_record_number"] not in self.asked:
                self.counts["H201"] += 1
            elif row["request_record_number"] in self.closed:
                self.counts["H202"] += 1
            else:
                good.setdefault(row["request_record_number"], []).append(row)
        for number, rows in good.items():
            contents = {tuple(value for value in list(row.values())[2:]) for row in rows}
            if len(contents) > 1:
                self.counts["H203"] += len(rows)
            else:
                self.counts["duplicate"] += len(rows) - 1
                self.closed[number] = rows[0]

    def results(self) -> Counter[str]:
        """照会結果区分 -> questions."""
        found: Counter[str] = Counter()
        for row in self.closed.values():
            if row["answer_class"] != "1":
                found[row["answer_class"]] += 1
            elif row["alive_status"] == "2":
                found["4"] += 1
            elif row["update_status"] == "1":
                found["5"] += 1
            else:
                found["6" if row["change_presence"] == "1" else "1"] += 1
        return found
