"""`koukan history` by day, spell and night, and `koukan changes`, on a site of three nights."""

from __future__ import annotations

import csv
import io
import json
from datetime import date

import pytest
from centres import Place
from histories import (
    ENDED,
    KENPO,
    KYOKAI,
    NIGHTS,
    REGISTERED,
    SHARED,
    member_ids,
    three_nights,
    told,
)
from rich.cells import cell_len

from koukan.samples.population import Population

BEFORE = "2026-03-31"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("nights")
    return three_nights(Place(folder / "site", folder / "keys" / "batch.key").initialised())


@pytest.fixture
def options(nights: Place) -> tuple[str, ...]:
    return ("--root", str(nights.root), "--key", str(nights.key))


@pytest.fixture
def member(nights: Place) -> str:
    """協会's 被保険者枝番 of somebody whom both insurers have had."""
    return member_ids(nights, "kyokai")[SHARED.start]


def link_of(nights: Place, member: str) -> str:
    with nights.opened() as centre:
        snapshot = centre.snapshot("qualification_history")
        rows = snapshot.read(snapshot.files(section="qualification"), section="qualification")
        mine = rows.filter((rows["insurer_code"] == KYOKAI) & (rows["member_id"] == int(member)))
        return f"{mine['link_number'][0]:016d}"


def test_spells_are_shown_by_member_and_by_link(call, nights, options, member) -> None:
    by_member = call("history", KYOKAI, member, "--spells", "--json", *options).document
    link = link_of(nights, member)
    by_link = call("history", "--link-number", link, "--spells", "--json", *options)
    assert by_link.document == by_member
    assert link not in by_link.out
    assert (by_member["schema"], by_member["on"], by_member["known"]) == (
        "koukan.history_spells.v1",
        None,
        None,
    )
    spells = {one["insurer_code"]: one for one in by_member["spells"]}
    assert set(spells) == {KYOKAI, KENPO}
    assert spells[KYOKAI]["member_id"] == member
    assert spells[KYOKAI]["disqualification_date"] is not None
    assert (spells[KYOKAI]["reception"], spells[KYOKAI]["loss_reason"]) == (3, "03")
    assert spells[KENPO]["disqualification_date"] is None
    shown = call("history", KYOKAI, member, "--spells", *options)
    assert all(code in shown.out for code in (KYOKAI, KENPO))
    assert "資格取得" in shown.out


@pytest.mark.requirement("R089")
def test_a_day_has_its_insurers_as_known_now_and_as_known_then(call, options, member) -> None:
    asked = ("history", KYOKAI, member, "--json", *options)
    spells = call(*asked, "--spells").document["spells"]
    end = next(one["disqualification_date"] for one in spells if one["insurer_code"] == KYOKAI)
    on = {
        known: [one["insurer_code"] for one in call(*asked, "--on", end, *known).document["spells"]]
        for known in ((), *(("--known", night) for night in (BEFORE, *NIGHTS)))
    }
    assert list(map(sorted, on.values())) == [
        [KENPO],
        [],
        [KYOKAI],
        sorted([KYOKAI, KENPO]),
        [KENPO],
    ]
    nobody = call("history", KYOKAI, member, "--on", "1980-01-01", *options)
    assert (nobody.code, nobody.out) == (0, "該当する登録はありません。\n")


def test_events_as_once_known(call, options, member) -> None:
    asked = ("history", KYOKAI, member, "--json", *options)
    found = [
        len(call(*asked, "--known", night).document["sections"]["basic"])
        for night in (BEFORE, *NIGHTS)
    ]
    assert found == [0, 1, 2, 3]


@pytest.mark.requirement("R042")
def test_staff_download_a_history_without_any_personal_number(
    call, nights, options, member, tmp_path
) -> None:
    asked = ("history", KYOKAI, member, *options)
    wanted = call(*asked, "--json").document
    files = {name: tmp_path / f"history.{name}" for name in ("csv", "json")}
    for path in files.values():
        said = call(*asked, "--output", str(path))
        assert (said.code, said.out) == (0, "") and path.name in said.err
        assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(files["json"].read_text(encoding="utf-8")) == wanted
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text(encoding="utf-8-sig"))))
    assert len(rows) == sum(map(len, wanted["sections"].values()))
    assert {row["記録"] for row in rows} >= {"加入者資格情報"}
    numbers = Population(7).people(0, REGISTERED + SHARED.stop)["my_number"]
    written = "".join(path.read_text(encoding="utf-8") for path in files.values())
    assert not [one for one in numbers if str(one) in written]
    assert not any("個人番号" in name for name in rows[0])
    spells = tmp_path / "spells.csv"
    call(*asked, "--spells", "--output", str(spells))
    assert len(spells.read_text(encoding="utf-8-sig").splitlines()) == 1 + 2
    lines = next((nights.root / "log").glob("operations-*.jsonl")).read_text().splitlines()
    entry = json.loads(lines[-1])
    assert (entry["operation"], entry["where"]) == ("history_export", {"insurer": KYOKAI})
    assert member not in lines[-1]


def test_no_file_is_overwritten(call, options, member, tmp_path) -> None:
    asked = ("history", KYOKAI, member, "--json", *options, "--output")
    (tmp_path / "there.csv").write_text("mine")
    for name, key in (("there.csv", "place"), ("no/folder.csv", "place"), ("a.xlsx", "form")):
        said = call(*asked, str(tmp_path / name))
        assert (said.code, said.error["key"]) == (64, f"history.output_{key}")
    assert (tmp_path / "there.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ((), "history.who"),
        ((KYOKAI,), "history.who"),
        ((KYOKAI, "0000000001", "--link-number", "1" * 16), "history.who"),
        (("--link-number", "1" * 12, "--spells"), "history.link_form"),
        ((KYOKAI, "0000000001", "--on", "1.4.2026"), "cli.bad_value"),
    ],
)
def test_wrong_calls_end_in_64_and_are_not_repeated(call, options, arguments, key) -> None:
    said = call("history", *arguments, "--json", *options)
    assert (said.code, said.error["key"]) == (64, key)
    assert "1" * 12 not in said.err


def test_changes_are_counted_by_insurer(call, options) -> None:
    span = ("changes", "--since", BEFORE, "--until", NIGHTS[2])
    found = call(*span, "--json", *options).document
    assert (found["schema"], found["since"], found["until"]) == (
        "koukan.changes.v1",
        BEFORE,
        NIGHTS[2],
    )
    counts = {one["insurer"]: one for one in found["insurers"]}
    assert counts[KYOKAI]["spells"]["ended"] == ENDED
    assert counts[KENPO]["spells"]["begun"] == REGISTERED
    shown = call(*span, "--insurer", KYOKAI, *options).out
    assert KYOKAI in shown
    assert KENPO not in shown
    assert "加入者資格情報" in shown
    assert "喪失" in shown
    nothing = call("changes", "--since", NIGHTS[2], "--until", NIGHTS[2], *options)
    assert (nothing.code, nothing.out) == (0, "該当する登録はありません。\n")


def test_an_insurers_events_are_one_document(call, nights, options) -> None:
    span = ("changes", "--since", NIGHTS[1], "--until", NIGHTS[2], "--insurer")
    found = call(*span, KYOKAI, "--events", "--json", *options).document
    assert found["insurers"][0]["insurer"] == KYOKAI
    assert {name: len(rows) for name, rows in found["events"].items()} == {
        "basic": ENDED,
        "qualification": ENDED,
        "certificate": ENDED,
    }
    ended = [row["member_id"] for row in found["events"]["basic"]]
    assert ended == member_ids(nights, "kyokai")[:ENDED]
    assert call(*span, KENPO, "--events", "--json", *options).document["events"] == {}
    shown = call(*span, KYOKAI, "--events", *options).out
    assert f"被保険者枝番: {ended[0]}" in shown


def test_events_of_several_groups_are_still_one_document(call, options) -> None:
    span = ("--since", BEFORE, "--until", NIGHTS[2], "--insurer", KYOKAI)
    found = call("changes", *span, "--events", "--json", *options).document
    assert [row["reception"] for row in found["events"]["basic"]] == [1] * REGISTERED + [3] * ENDED


def test_events_without_an_insurer_and_nights_in_disorder_are_wrong_usage(call, options) -> None:
    span = ("--since", NIGHTS[1], "--until", NIGHTS[0], "--json")
    found = [call("changes", *span, *more, *options).error["key"] for more in (("--events",), ())]
    assert found == ["history.whose_events", "history.order"]
    assert call("changes", "--since", BEFORE, "--json", *options).error["key"] == "cli.missing"


def test_tables_fit_on_eighty_columns_in_both_languages(call, options, member) -> None:
    span = ("changes", "--since", BEFORE, "--until", NIGHTS[2])
    for arguments in (
        ("history", KYOKAI, member, "--spells"),
        span,
        (*span, "--insurer", KYOKAI),
        ("history", "-h"),
        ("changes", "-h"),
    ):
        for language in ("ja", "en"):
            said = call(*arguments, "--lang", language, *options)
            assert said.code == 0
            assert [line for line in said.out.splitlines() if cell_len(line) > 80] == []


@pytest.mark.requirement("R042")
def test_no_answer_holds_a_my_number_or_a_link_number(call, nights, options, member) -> None:
    with nights.opened() as centre:
        links = {f"{link:016d}" for link in told(centre)}
    numbers = set(Population(7).people(0, SHARED.stop + REGISTERED)["my_number"])
    span = ("--since", BEFORE, "--until", NIGHTS[2], "--insurer", KYOKAI, "--events")
    said = ""
    for arguments in (
        ("history", KYOKAI, member),
        ("history", KYOKAI, member, "--spells"),
        ("history", KYOKAI, member, "--on", str(date(2026, 4, 1))),
        ("changes", *span),
    ):
        for form in ([], ["--json"]):
            said += call(*arguments, *form, *options).out
    assert not [one for one in links | numbers if one in said]
