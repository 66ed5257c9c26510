"""`koukan trace`: one line, from its file to everything that it reached."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from centres import Place, lay
from rich.cells import cell_len
from withdrawals import FORGET, members, withdraw

from koukan import words
from koukan.flows.registration import HISTORY
from koukan.keys.identity import create_identity, load_identity
from koukan.samples.scenario import INSURERS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A file of 30 persons, the same once more, one with bad persons, one held, one refused."""
    folder = tmp_path_factory.mktemp("trace")
    place = Place(folder / "site", folder / "keys" / "batch.key").initialised()
    first = lay(place, "kyokai", 1, persons=30)
    content = first.read_bytes()
    place.run()
    first.with_name("MR_kyokai_000002.csv").write_bytes(content)
    lay(place, "kenpo-a", 1, persons=20, first_person=10, bad_persons=5, codes=["R101"])
    lay(place, "kenpo-a", 3, persons=5, first_person=50)
    (place.inbox("shigaku") / "MR_shigaku_000001.csv").write_bytes(b"")
    place.run()
    return place


@pytest.fixture
def options(site: Place) -> tuple[str, ...]:
    return ("--root", str(site.root), "--key", str(site.key))


def receptions(place: Place) -> dict[str, int]:
    with place.opened() as centre:
        return {item.file_name: item.number for item in centre.ledger.receptions()}


def line_of(place: Place, name: str, mark: str) -> int:
    """The number of the first line of a result file that holds the mark."""
    (path,) = place.outbox(name.split("_")[1]).glob(f"RR_{Path(name).stem}_*")
    lines = path.read_bytes().decode("cp932").splitlines()
    return next(int(line.split(",")[1]) for line in lines if mark in line)


def test_an_accepted_line_is_followed_to_its_rows(call, site: Place, options) -> None:
    number = receptions(site)["MR_kyokai_000001.csv"]
    found = call("trace", str(number), "5", "--json", *options).document
    assert (found["schema"], found["place"], found["outcome"]) == (
        "koukan.trace.v1",
        "data",
        "accepted",
    )
    assert found["result"]["class"] == 1 and found["result"]["findings"] == []
    assert found["original"]["kept"] and (site.root / found["original"]["path"]).is_file()
    assert (site.root / found["result"]["path"]).is_file()
    with site.opened() as centre:
        assert found["group"] == {"number": 1, "state": "committed"}
        for row in found["tables"]:
            assert (site.root / row["file"]).is_file()
            path = row["file"].removeprefix(f"tables/{row['table']}/")
            assert row["sha256"] == centre.ledger.file_hash(row["table"], path)
            assert row["version"] == centre.snapshot(row["table"]).version.number
            assert row["merged"] is False and row["readable"]
    places = {(row["table"], row["section"], row["of"]) for row in found["tables"]}
    (section,) = {section for _, section, of in places if of == "line"}
    assert places == {
        ("entrusted_partition", section, "line"),
        ("qualification_history", section, "line"),
        ("entrusted_partition", "roster", "person"),
        ("vault", "", "person"),
    }
    kinds = {item["kind"] for item in found["laid_out"]}
    assert kinds == {"acknowledgement", "registration_result"}
    assert all(item["waiting"] for item in found["laid_out"])
    person = found["person"]
    shown = call("trace", str(number), "5", *options)
    assert f"koukan history {person['insurer']} {person['member_id']}" in shown.err
    sections = call("history", *person.values(), "--json", *options).document["sections"]
    assert [number, 5] in [[row["reception"], row["line_number"]] for row in sections[section]]


@pytest.mark.requirement("R040")
def test_every_entry_tells_its_reception_line_sender_and_time(call, site: Place, options) -> None:
    """An event names reception and line; these name the file, who sent it, by which door, when."""
    files = {number: name for name, number in receptions(site).items()}
    number = receptions(site)["MR_kyokai_000001.csv"]
    person = call("trace", str(number), "47", "--json", *options).document["person"]
    sections = call("history", *person.values(), "--json", *options).document["sections"]
    told = [(section, row) for section, rows in sections.items() for row in rows]
    assert len({row["reception"] for _, row in told}) == 2  # of two insurers
    for section, row in told:
        asked = (str(row["reception"]), str(row["line_number"]))
        found = call("trace", *asked, "--json", *options).document
        assert found["file"] == files[row["reception"]]
        assert found["sender"] == found["file"].split("_")[1]
        assert found["door"] in ("dedicated_terminal", "server_link")
        assert found["received_at"] == "2026-04-01 10:00"
        places = {(one["table"], one["section"]) for one in found["tables"] if one["of"] == "line"}
        assert places == {(name, section) for name in ("entrusted_partition", HISTORY)}


def test_every_line_of_a_file_is_found_where_the_tables_have_it(call, site: Place, options) -> None:
    number = receptions(site)["MR_kenpo-a_000001.csv"]
    with site.opened() as centre:
        history = centre.snapshot("qualification_history")
        rows = {
            row
            for section in ("basic", "qualification", "certificate")
            for row in history.read(
                history.files(section=section), ["reception", "line_number"], section=section
            ).rows()
        }
    for line in (1, *range(2, 62, 5), 61, 62):
        found = call("trace", str(number), str(line), "--json", *options).document
        of_line = [row["table"] for row in found["tables"] if row["of"] == "line"]
        there = (number, line) in rows
        assert of_line == (["entrusted_partition", "qualification_history"] if there else [])
        assert ((found["result"] or {}).get("class") == 1) == there
        assert (found["person"] is not None) == there


def test_a_rejected_line_has_its_codes_and_no_rows(call, site: Place, options) -> None:
    name = "MR_kenpo-a_000001.csv"
    line = line_of(site, name, "R101")
    asked = ("trace", str(receptions(site)[name]), str(line), *options)
    found = call(*asked, "--json").document
    assert found["result"]["class"] == 2
    assert found["result"]["findings"] == [{"code": "R101", "field": "氏名（券面記載）"}]
    assert found["tables"] == [] and found["person"] is None and not found["gone"]
    shown = call(*asked).out
    assert "R101 必須項目が空です" in shown and "どの表にもありません。" in shown


def test_files_that_were_not_taken_in_say_so(call, site: Place, options) -> None:
    found = receptions(site)
    again = found["MR_kyokai_000002.csv"]
    told = call("trace", str(again), "5", *options)
    assert "D101" in told.out
    assert f"koukan trace {found['MR_kyokai_000001.csv']} 5" in told.err
    assert "H101" in call("trace", str(found["MR_kenpo-a_000003.csv"]), "5", *options).out
    refused = call("trace", str(found["MR_shigaku_000001.csv"]), "5", "--json", *options).document
    assert (refused["place"], refused["code"], refused["group"]) == ("uncounted", "F103", None)
    assert refused["result"] is None and refused["tables"] == []


def test_the_first_and_the_last_line_are_named(call, site: Place, options) -> None:
    number = str(receptions(site)["MR_kyokai_000001.csv"])
    for line, place in (("1", "control"), ("92", "end")):
        assert call("trace", number, line, "--json", *options).document["place"] == place
    wrong = call("trace", number, "93", "--json", *options)
    assert (wrong.code, wrong.error["key"]) == (64, "trace.no_line")
    assert call("trace", "99", "1", *options).code == 64


def test_no_value_of_the_line_and_no_link_is_told(call, site: Place, options) -> None:
    number = receptions(site)["MR_kyokai_000001.csv"]
    with site.opened() as centre:
        partition = centre.snapshot("entrusted_partition")
        values = set()
        for section in ("basic", "qualification", "certificate"):
            rows = partition.read(partition.files(section=section), section=section)
            mine = rows.filter((rows["reception"] == number) & (rows["line_number"] <= 4))
            values |= {str(value) for row in mine.rows() for value in row if len(str(value)) > 4}
    # 被保険者枝番 is what the sender's result file says; the insurer's code names the partition.
    values -= {str(row["member_id"]) for row in mine.iter_rows(named=True)}
    values -= {INSURERS["kyokai"][0].code}
    for line in range(2, 5):
        for extra in (("--json",), ()):
            told = call("trace", str(number), str(line), *extra, *options).out
            assert not [value for value in values if value in told]


def test_it_is_logged_with_reception_and_line(call, site: Place, options) -> None:
    number = receptions(site)["MR_kyokai_000001.csv"]
    call("trace", str(number), "7", *options)
    entries = [
        json.loads(line)
        for path in sorted((site.root / "log").glob("operations-*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    last = [entry for entry in entries if entry["operation"] == "trace"][-1]
    assert last["where"] == {"reception": number, "line": 7}
    assert (last["kind"], last["note"]) == ("done", {"files": 4})


def test_both_languages_fit_on_the_screen(call, site: Place, options) -> None:
    for number in receptions(site).values():
        for language in words.LANGUAGES:
            said = call("trace", str(number), "3", "--lang", language, *options)
            assert said.code == 0
            for line in said.out.splitlines():
                assert cell_len(line) <= 80 or len(line.split()) <= 2, line


# --- later


@pytest.fixture
def later(site: Place, tmp_path: Path) -> Place:
    """A copy, a year on."""
    shutil.copytree(site.root, tmp_path / "site")
    return Place(tmp_path / "site", site.key, site.now + timedelta(days=400))


def traced(call, place: Place, *asked: str):
    return call("trace", *asked, "--root", str(place.root), "--key", str(place.key))


def test_what_was_erased_is_said_with_its_day(call, later: Place) -> None:
    number = str(receptions(later)["MR_kyokai_000001.csv"])
    before = json.loads(traced(call, later, number, "5", "--json").out)
    later.run("erase_expired")
    found = json.loads(traced(call, later, number, "5", "--json").out)
    assert not found["original"]["kept"] and found["original"]["erased_at"].startswith("2027-")
    assert not (later.root / found["original"]["path"]).exists()
    assert found["result"] is None and not found["gone"]
    assert found["tables"] == before["tables"]
    shown = traced(call, later, number, "5").out
    assert "に消去しました" in shown and "行ごとの結果は、原本とともに消去しました。" in shown


def test_after_merging_the_merged_file_is_named(call, later: Place) -> None:
    later.now -= timedelta(days=399)
    site = (later.root / "site.toml").read_text(encoding="utf-8")
    later.write_site(site.replace("[limits]", "[limits]\ngroup_files = 1"))
    for sequence in range(1, 9):  # a group for each
        lay(later, "shigaku", sequence, persons=1, first_person=100 + sequence)
    later.run()
    last = max(receptions(later).values())
    before = json.loads(traced(call, later, str(last), "3", "--json").out)["tables"]
    later.run("compact_tables")
    found = json.loads(traced(call, later, str(last), "3", "--json").out)["tables"]
    assert [(row["table"], row["section"]) for row in found] == [
        (row["table"], row["section"]) for row in before
    ]
    merged = [row for row in found if row["merged"]]
    assert merged and all(row["groups"][0] < row["groups"][1] for row in merged)
    assert all((later.root / row["file"]).is_file() for row in found)
    assert "まとめ直したファイル" in traced(call, later, str(last), "3").out


def test_a_line_whose_person_was_withdrawn_is_said_to_be_gone(call, later: Place) -> None:
    later.now -= timedelta(days=399)
    number = str(receptions(later)["MR_kyokai_000001.csv"])
    person = json.loads(traced(call, later, number, "5", "--json").out)["person"]
    with later.opened() as centre:
        code = INSURERS["kyokai"][0].code
        everybody = members(centre, code)
        (gone,) = (one for one in everybody if one.member_id == int(person["member_id"]))
        withdraw(centre, gone)
    later.run(FORGET)
    found = json.loads(traced(call, later, number, "5", "--json").out)
    assert found["gone"] and found["gone_at"].startswith("2026-04-02")
    assert found["tables"] == [] and found["person"] is None
    assert found["result"]["class"] == 1  # as the sender was told; it goes with the original
    assert "管理終了により 2026-04-02" in traced(call, later, number, "5").out
    other = json.loads(traced(call, later, number, "50", "--json").out)
    assert other["tables"] and not other["gone"] and other["gone_at"] is None


def test_a_table_whose_key_is_not_held_is_named_as_closed(call, later: Place, tmp_path) -> None:
    other = tmp_path / "keys" / "clerk.key"
    other.parent.mkdir(mode=0o700)
    create_identity(other)
    identity = load_identity(other, outside=later.root)
    with later.opened() as centre:
        for purpose in ("original", "partition"):
            centre.keyring.grant(purpose, "clerk", identity.recipient)
    later.key = other
    number = str(receptions(later)["MR_kyokai_000001.csv"])
    said = traced(call, later, number, "5", "--json")
    found = json.loads(said.out)
    readable = {row["table"]: row["readable"] for row in found["tables"]}
    assert readable == {
        "entrusted_partition": True,
        "linkage_codes": False,
        "person_links": False,
        "pmh_issues": False,
        "provision_records": False,
        "qualification_history": False,
        "vault": False,
    }
    assert found["person"] is not None
    shown = traced(call, later, number, "5")
    assert "koukan history" not in shown.err
    assert "この鍵では開けません" in shown.out
