"""Flow 2-R: 情報提供等記録 for a person and for the 委員会, on screen, to print, as a file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from centres import JOB, Place
from codes_site import ADMIN, BOTH, SATO, copied
from disclosure_site import (
    AT,
    CITY,
    CODE,
    DISCLOSE,
    HANA,
    OFFICE,
    A,
    B,
    codes,
    inbox,
    links,
    portal,
    records,
    site,
)
from histories import lay_losses
from staff import Staff, employ, key_file
from statements import joined, parted
from withdrawals import members, state

from koukan.cli import main
from koukan.engine.verify import verify_ledger
from koukan.errors import Exit
from koukan.ledger import code_lists

MARCH = "2026-03-31"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Person 4 of both 健保 was asked for on two days, others on one. Copy it; do not run it."""
    place = site(tmp_path_factory.mktemp("records"))
    own, known = portal.Portal(), codes(place)
    shut = own.ask(known[0], AT, nondisclosure="1")
    own.lay(inbox(place), [*(own.ask(known[one], AT) for one in (4, 5, 90, 80)), shut])
    place.run(DISCLOSE)
    place.now += timedelta(days=1)
    own.lay(inbox(place), [own.ask(known[4], AT)])
    place.run(DISCLOSE)
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    return copied(made, tmp_path / "own")


def member(place: Place, person: int, insurer: str) -> str:
    link = links(place)[person]
    with place.opened() as centre:
        (found,) = (one for one in members(centre, CODE[insurer]) if one.link == link)
    return f"{found.member_id:010d}"


class Asking:
    """`koukan records` by hand of a member of staff."""

    def __init__(self, place: Place, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self.folder, self.capsys = place, folder, capsys
        self.keys = {one.name: str(key_file(folder, one)) for one in (SATO, HANA, ADMIN, BOTH)}

    def __call__(self, *arguments: str, by: str = "hana") -> tuple[int, str]:
        """Exit code and what was said on stdout."""
        where = ("--root", str(self.place.root), "--key", str(self.place.key))
        signed = ("--person-key", self.keys[by]) if by else ()
        self.capsys.readouterr()
        code = main(["records", *arguments, *signed, *where])
        return code, self.capsys.readouterr().out

    def found(self, *arguments: str) -> dict[str, Any]:
        code, out = self(*arguments, "--json")
        assert code == Exit.DONE
        page = json.loads(out)
        assert isinstance(page, dict)
        return page


@pytest.fixture
def ask(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Asking:
    return Asking(place, tmp_path, capsys)


def log(place: Place) -> list[dict[str, Any]]:
    paths = sorted((place.root / "log").glob("operations-*.jsonl"))
    lines = [line for path in paths for line in path.read_text("utf-8").splitlines()]
    return [json.loads(line) for line in lines]


def no_code(place: Place, text: str) -> bool:
    return not any(code in text for code in codes(place).values())


@pytest.mark.requirement("R116", "R120")
def test_a_person_learns_when_who_and_which_information(place: Place, ask: Asking) -> None:
    """Of every insurer, by whichever of them is asked; and nothing of anybody else."""
    page = ask.found("show", CODE[A], member(place, 4, A))
    assert page == ask.found("show", CODE[B], member(place, 4, B)) | {
        "insurer": CODE[A],
        "member_id": member(place, 4, A),
        "accesses": page["accesses"],
    }
    assert [(one["provided_at"], one["insurer_code"]) for one in page["records"]] == [
        ("2026-04-01 10:00:00", CODE[A]),
        ("2026-04-01 10:00:00", CODE[B]),
        ("2026-04-02 10:00:00", CODE[A]),
        ("2026-04-02 10:00:00", CODE[B]),
    ]
    first = page["records"][0]
    assert first["member_id"] == member(place, 4, A)
    assert (first["requested_at"], first["inquirer_department_name"]) == (
        "2026-04-01 09:30:00",
        "マイナポータル",
    )
    assert first["provided_information_name"] == "医療保険資格の紐付け情報"
    assert page["withheld"] == 0 and no_code(place, str(page))
    assert set(first) & {"linkage_code", "link_number"} == set()


@pytest.mark.requirement("R113")
def test_people_of_municipal_nhi_and_welfare_have_none(place: Place, ask: Asking) -> None:
    for person, insurer in ((90, CITY), (80, OFFICE)):
        page = ask.found("show", CODE[insurer], member(place, person, insurer))
        assert page["records"] == []
    code, out = ask("show", CODE[CITY], member(place, 90, CITY))
    assert code == Exit.DONE and "情報提供等記録はありません" in out


@pytest.mark.requirement("R115", "R116")
def test_the_records_come_on_screen_as_a_page_to_print_and_as_files(
    place: Place, ask: Asking, tmp_path: Path
) -> None:
    who = (CODE[A], member(place, 4, A))
    code, screen = ask("show", *who)
    assert code == Exit.DONE
    for text in ("提供の日時: 2026-04-01 10:00:00", "情報照会者部署名称: マイナポータル", "2/4"):
        assert text in screen
    assert "Provided at: 2026-04-01 10:00:00" in ask("show", *who, "--lang", "en")[1]
    paths = {kind: tmp_path / f"record.{kind}" for kind in ("html", "csv", "json")}
    for path in paths.values():
        assert ask("show", *who, "--output", str(path))[0] == Exit.DONE
        assert no_code(place, path.read_text("utf-8")), path
        assert ask("show", *who, "--output", str(path))[0] == Exit.USAGE  # none is overwritten
    assert ask("show", *who, "--output", str(tmp_path / "record.txt"))[0] == Exit.USAGE
    cells = Cells(paths["html"].read_text("utf-8")).rows
    table = list(csv.reader(io.StringIO(paths["csv"].read_text("utf-8-sig"))))
    document = json.loads(paths["json"].read_text("utf-8"))["records"]
    assert len(document) == 4
    for one in document:
        told = [value for value in one.values() if value]
        assert any({*told} <= {*row} for row in cells)
        assert any({*told} <= {cell.removeprefix("'") for cell in row} for row in table)
    exported = [entry for entry in log(place) if entry["operation"] == "record_export"]
    assert {entry["actor"] for entry in exported} == {"hana"} and len(exported) == 6


class Cells(HTMLParser):
    """The rows of a page's tables, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[Any]) -> None:  # noqa: ARG002
        if tag == "tr":
            self.rows.append([])
        self._open = tag == "td"
        if self._open:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "td"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data


@pytest.mark.requirement("R115")
def test_who_looked_at_a_person_is_told_with_the_records(place: Place, ask: Asking) -> None:
    """Looks at 情報提供等記録 and at the state of the code, by whichever member was asked."""
    mine, other = (CODE[A], member(place, 4, A)), (CODE[B], member(place, 4, B))
    where = ["--root", str(place.root), "--key", str(place.key)]
    assert main(["codes", "show", *other, "--person-key", ask.keys["sato"], *where]) == Exit.DONE
    ask("show", *mine)
    ask("show", CODE[A], member(place, 5, A))
    page = ask.found("show", *mine)
    assert [(one["actor"], one["operation"], one["insurer_code"]) for one in page["accesses"]] == [
        ("sato", "look_code", CODE[B]),
        ("hana", "look_record", CODE[A]),
        ("hana", "look_record", CODE[A]),  # this one
    ]
    code, screen = ask("show", *mine)
    assert code == Exit.DONE and "閲覧の記録" in screen and "機関別符号の取得状況" in screen
    said = "".join(json.dumps(entry) for entry in log(place))
    assert mine[1] not in said and other[1] not in said  # the log itself names nobody


def seen(screen: str, item: str) -> list[str]:
    """The values of an item, record by record."""
    return re.findall(rf"^  {item}: (.*)$", screen, re.MULTILINE)


@pytest.mark.requirement("R117", "R118")
def test_the_records_of_a_period_are_there_for_the_committee(place: Place, ask: Asking) -> None:
    """Everybody's, both days inclusive, those as well that their person is not shown."""
    every = records(place)
    code, screen = ask("period", "--since", "2026-04-01", "--until", "2026-04-02")
    assert code == Exit.DONE and every.height == 7
    assert sorted(seen(screen, "処理通番")) == sorted(every["processing_sequence"])
    assert seen(screen, "不開示コード") == ["1"]
    assert no_code(place, screen)
    _, one_day = ask("period", "--since", "2026-04-02", "--until", "2026-04-02")
    assert {at[:10] for at in seen(one_day, "提供の日時")} == {"2026-04-02"}
    assert "情報提供等記録はありません" in ask("period", "--since", MARCH, "--until", MARCH)[1]
    assert ask("period", "--since", "2026-04-02", "--until", MARCH)[0] == Exit.USAGE
    assert ask("period", "--since", MARCH, "--until", MARCH, "--json")[0] == Exit.USAGE
    _, looks = ask("period", "--since", "2026-04-01", "--until", "2099-12-31")
    assert len(re.findall(r"^[0-9: -]{19} +hana ", looks, re.MULTILINE)) >= 3


def test_a_record_that_must_not_be_disclosed_is_counted_and_not_shown(
    place: Place, ask: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    who = (CODE[A], member(place, 0, A))
    page = ask.found("show", *who)
    assert (page["records"], page["withheld"]) == ([], 1)
    text = (place.root / "site.toml").read_text("utf-8")
    place.write_site(f"{text}\n[records]\nwithheld = []\n")
    page = ask.found("show", *who)
    assert (len(page["records"]), page["withheld"]) == (1, 0)


@pytest.mark.requirement("R120")
def test_only_who_has_the_right_sees_them_and_every_look_is_logged(
    place: Place, ask: Asking, tmp_path: Path
) -> None:
    who = (CODE[A], member(place, 4, A))
    for by in ("sato", "both"):  # other rights
        assert ask("show", *who, by=by) == (Exit.USAGE, "")
        assert ask("period", "--since", MARCH, "--until", MARCH, by=by) == (Exit.USAGE, "")
    assert ask("show", *who, by="") == (Exit.USAGE, "")
    assert ask("show", *who)[0] == Exit.DONE
    looks = [entry for entry in log(place) if entry["operation"] == "look_record"]
    assert [(entry["actor"], entry["kind"]) for entry in looks] == [
        *[(by, kind) for by in ("sato", "sato", "both", "both") for kind in ("intent", "failed")],
        *(("hana", "intent"), ("hana", "done")),
    ]
    employ(place.root, Staff("hana", ("record",), operator="nhi_central", private=HANA.private))
    assert ask("show", *who)[0] == Exit.CONFIGURATION  # 中央会 has no such duty


@pytest.mark.requirement("R117", "R197", "R201")
def test_a_copy_for_the_committee_takes_two_persons_and_an_approved_medium(
    place: Place, ask: Asking, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    employ(
        place.root, SATO, HANA, ADMIN, Staff("both", ("administer", "record"), private=BOTH.private)
    )
    target = tmp_path / "medium" / "records.html"
    target.parent.mkdir()
    days = ("--since", "2026-04-01", "--until", "2026-04-02")

    def extract(first: str, second: str, path: Path = target) -> int:
        copying = ("--medium", "USB-001", "--reason", "委員会の求め", "--output", str(path))
        return ask("extract", *days, *copying, "--second-key", ask.keys[second], by=first)[0]

    assert extract("admin", "hana") == Exit.USAGE  # nobody has approved the medium
    where = ["--root", str(place.root), "--key", str(place.key)]
    administer = ["--person-key", ask.keys["admin"], *where]
    assert main(["media", "approve", "USB-001", *administer]) == Exit.DONE
    assert extract("both", "both") == Exit.USAGE  # one person
    assert extract("hana", "admin") == Exit.USAGE  # each by her own right
    assert not target.exists()
    assert extract("admin", "hana") == Exit.DONE
    text = target.read_text("utf-8")
    assert no_code(place, text) and len(re.findall("<tr>", text)) > 7
    assert extract("admin", "hana") == Exit.USAGE  # none is overwritten
    other = target.with_suffix(".json")
    assert extract("admin", "hana", other) == Exit.DONE
    numbers = [
        one["processing_sequence"] for one in json.loads(other.read_text("utf-8"))["records"]
    ]
    assert sorted(numbers) == sorted(records(place)["processing_sequence"])
    with place.opened() as centre:
        entry, _ = code_lists.all_copies(centre.ledger)
        assert (entry.what, entry.rows, entry.permitted_by, entry.second) == (
            *("provision_records", 7),
            *("admin", "hana"),
        )
        assert verify_ledger(centre) == []
    capsys.readouterr()
    assert main(["media", "list", *where[:2]]) == Exit.DONE
    assert "情報提供等記録" in capsys.readouterr().out


def test_records_are_found_when_numbers_are_joined_and_parted_again(
    place: Place, ask: Asking
) -> None:
    """By any code that the person ever had, and by what any insurer has called the person."""
    before = ask.found("show", CODE[A], member(place, 5, A))["records"]
    mine = (CODE[B], member(place, 8, B))
    assert before and ask.found("show", *mine)["records"] == []
    own, other = links(place)[8], links(place)[5]
    with place.opened() as centre:
        counters = centre.link_issuer.counters(np.array([own, other]))
        ranks = dict(zip((own, other), counters.tolist(), strict=True))
        first, second = sorted(ranks, key=lambda link: ranks[link])
        row = joined(int(mine[1]), second, first, 90, insurer=int(CODE[B]))
        state(centre, row | {"rank": ranks[second], "survivor_rank": ranks[first]})
    assert ask.found("show", *mine)["records"] == before
    with place.opened() as centre:
        row = parted(int(mine[1]), second, own, 91, insurer=int(CODE[B]))
        state(centre, row)
    assert ask.found("show", *mine)["records"] == []
    assert ask.found("show", CODE[A], member(place, 5, A))["records"] == before


@pytest.mark.requirement("R163")
def test_records_outlive_the_codes_by_which_they_name_people(place: Place, ask: Asking) -> None:
    who = (CODE[A], member(place, 0, A))
    text = (place.root / "site.toml").read_text("utf-8")
    place.write_site(f"{text}\n[records]\nwithheld = []\n")
    lay_losses(place, A, 2, [member(place, 0, A)], on=place.now)
    place.run(JOB)
    place.now += timedelta(days=365 * 5 + 60)
    gone = codes(place)[0]
    place.run("retire_codes")
    place.run("retire_provision_records")
    with pytest.raises(KeyError):
        codes(place)
    assert gone in set(records(place)["linkage_code"])
    page = ask.found("show", *who)
    assert len(page["records"]) == 1


def test_whom_the_insurer_does_not_know_has_none(place: Place, ask: Asking) -> None:
    page = ask.found("show", CODE[A], "9" * 10)
    assert (page["records"], page["withheld"]) == ([], 0)
    assert ask("show", "99999999", "9" * 10)[0] == Exit.USAGE
    assert ask("show", CODE[A], "99")[0] == Exit.USAGE


@pytest.mark.requirement("R121")
def test_no_job_reads_the_records_but_that_which_writes_them(place: Place, tmp_path: Path) -> None:
    """Without the key for records everything else goes on: nothing is held against them."""
    with place.opened() as centre:
        jobs = sorted(centre.jobs)
    key = place.root / "keyring" / "purposes" / "record"
    key.rename(tmp_path / "record")
    others = [job for job in jobs if job not in (DISCLOSE, "retire_provision_records")]
    place.now += timedelta(days=40)
    for job in others:
        place.run(job)
    (tmp_path / "record").rename(key)
    assert records(place).height == 7
