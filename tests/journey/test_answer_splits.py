"""Packages tell the same, whether an answer comes whole or in parts, out of order, twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from journey import nights, outside
from journey.acts import ANSWER, ASK, Outside
from journey.nights import Prepared
from journey.whole import CODES, KENPO_B

from koukan.engine.centre import Centre
from koukan.engine.packages import open_package
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.keys.package import load_package_identity
from koukan.reports import identity

Open = Callable[..., Centre]
SENDERS = dict(zip(("kenpo-a", "kenpo-b"), CODES[:2], strict=True))
Told = dict[tuple[str, str, str], outside.Row]


def asked_site(whole: Prepared, folder: Path, rows: int) -> Outside:
    """A copy with the questions alone, so many in a request."""
    root = whole.copy(folder / "root")
    for path in nights.inbox_files(root):
        if "Q_" not in path.name:
            path.unlink()
    site = root / "site.toml"
    more = f"\n[identity]\nrequest_rows = {rows}\n"
    site.write_text(site.read_text(encoding="utf-8") + more, encoding="utf-8")
    return Outside(root, outside.Keys(whole.people), folder / "outside", whole.now, KENPO_B)


def answers(rows: list[outside.Row]) -> list[outside.Row]:
    """What the register says depends on the question alone, not on its place."""
    kinds = [
        outside.found,
        lambda row: outside.other(row, "2"),
        lambda row: outside.other(row, "3"),
        lambda row: outside.found(row, alive_status="2"),
        lambda row: outside.found(row, change_presence="1"),
    ]
    return [kinds[int(row["request_record_number"]) % len(kinds)](row) for row in rows]


def play(centre: Centre, people: Outside, draw: random.Random | None) -> None:
    """Ask, answer whole or in parts as drawn, store, package."""
    for _ in range(2):
        run_job(centre, ASK)
        outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ASK)
    folder = people.root / "exchange" / outside.PARTNER / "outbox"
    pools: dict[tuple[str, str], list[outside.Row]] = {}
    for path in sorted(folder.glob("JQ_*")):
        request = outside.read_request(path)
        key = (request.control["query_mode"], request.control["query_type"])
        pools.setdefault(key, []).extend(answers(request.rows))
        path.unlink()
    files = [(key, rows) for key, rows in sorted(pools.items())]
    if draw is not None:
        files = [(key, part) for key, rows in files for part in in_parts(rows, draw)]
        draw.shuffle(files)
    for sequence, ((mode, kind), rows) in enumerate(files, 1):
        people.juki_net().put(*outside.answer_file(sequence, mode, kind, rows))
    run_job(centre, ANSWER)
    waiting = True
    while waiting:
        waiting = bool(outside.approve_all(people.root, people.keys, people.now))
        run_job(centre, ANSWER)


def in_parts(rows: list[outside.Row], draw: random.Random) -> list[list[outside.Row]]:
    """In three files, each row in one of them or in several, or several times in one."""
    parts: list[list[outside.Row]] = [[], [], []]
    for row in rows:
        for place in draw.choices(range(3), k=draw.randint(1, 3)):
            parts[place].append(row)
    for part in parts:
        draw.shuffle(part)
    return [part for part in parts if part]


def told(centre: Centre, people: Outside, into: Path) -> Told:
    """Every line of every package by sender, file and line."""
    into.mkdir()
    found: Told = {}
    for sender, code in SENDERS.items():
        key = load_package_identity(people.keys.folder / f"{code}.txt")
        for path in outside.packages_of(people.root, sender):
            target = into / path.stem
            opened = open_package(path, key, centre.signer.ssh, target)
            form = nights.formats()[opened.manifest.about.kind]
            for file in opened.files:
                for row in nights.records_of((target / file.name).read_bytes(), form):
                    place = (sender, form.name, row["line_number"])
                    assert place not in found
                    found[place] = row
    return found


@pytest.mark.requirement("R135", "R140", "R141")
@pytest.mark.parametrize("seed", range(12) if nights.LONG else [1])
def test_the_sum_is_the_same(seed: int, whole: Prepared, opened: Open, tmp_path: Path) -> None:
    results, counts = [], []
    for name, rows, draw in (("whole", 100, None), ("parts", 5, random.Random(seed))):
        people = asked_site(whole, tmp_path / name, rows)
        centre = opened(whole, people.root)
        play(centre, people, draw)
        results.append(told(centre, people, tmp_path / f"{name}-opened"))
        counts.append(identity(centre)["questions"])
        assert verify_ledger(centre) == []
    assert results[0] == results[1]
    assert counts[0] == counts[1]
    assert len(results[0]) == counts[0]["asked"] == 15
