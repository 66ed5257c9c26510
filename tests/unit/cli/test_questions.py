"""Questions from their inbox to the erased package, as the operators of a night see them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from questions_support import Asking, asking, lay, schedule
from rich.cells import cell_len

from koukan.errors import Exit

NAME = "JQ_koukan_000001.dat"
ASK, ANSWER, DELIVER = "ask_identity", "answer_identity", "confirm_delivery"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    return asking(tmp_path_factory.mktemp("asking"))


@pytest.fixture
def site(prepared: Asking, tmp_path: Path) -> Asking:
    """A copy, with the same keys."""
    root = tmp_path / "root"
    shutil.copytree(prepared.root, root)
    shutil.copytree(prepared.key.parent, tmp_path / "keys")
    return Asking(
        root, tmp_path / "keys" / "batch.key", type(prepared.keys)(tmp_path / "keys/people")
    )


def approve(call, site: Asking, number: int, *persons: str):
    for person in persons:
        key = ("--key", str(site.keys.person(person)))
        said = call("approval", "approve", str(number), *key, *site.seen)
        assert said.code == 0
    return said


def head(call, site: Asking) -> str:
    return call("status", *site.options).out.splitlines()[0]


def work(said) -> dict:
    (job,) = said.document["jobs"]
    return job["work"]


def test_a_night_of_questions_is_told_job_by_job(call, site) -> None:
    call("run", DELIVER, *site.options)
    assert head(call, site).startswith("● 次の実行を待っています")
    ran = call("tick", "--json", *site.options)
    (asked,) = (job for job in ran.document["jobs"] if job["job"] == ASK)
    assert (ran.code, asked["work"]["requests"]) == (5, {"built": 1, "sent": 0, "waiting": 1})
    assert head(call, site).startswith("● 対応が必要です：1 件")
    assert call("status", *site.options).err == "次の操作: koukan approval list\n"

    approve(call, site, 1, "sato", "suzuki")
    assert head(call, site).startswith("● 次の実行を待っています")
    ran = call("run", ASK, *site.options)
    assert "  要求ファイル：作成 0、送信 1、承認待ち 0\n" in ran.out
    assert head(call, site).startswith("● 相手方を待っています")

    assert site.answered() == ["JA_juki-net_000001.dat"]
    ran = call("run", ANSWER, *site.options)
    assert "  回答ファイル：承認待ち 1\n" in ran.out
    assert ran.err.endswith("次の操作: koukan approval list\n")
    assert head(call, site).startswith("● 対応が必要です：1 件")
    approve(call, site, 2, "sato")
    ran = call("run", ANSWER, "--json", *site.options)
    assert work(ran)["packages"] == {"built": 2, "delivered": 0, "erased": 0}

    site.collected("kenpo-a")
    ran = call("run", DELIVER, "--json", *site.options)
    assert work(ran) == {"packages": {"built": 0, "delivered": 1, "erased": 1}}
    assert "  パッケージ：作成" not in call("run", DELIVER, *site.options).out
    assert head(call, site).startswith("● 相手方を待っています")
    page = call("status", *site.options).out
    totals = page[page.index("■ 本人確認（これまでの累計）") :]
    assert "照会：12 件" in totals and "受け渡し 1" in totals


def test_an_approval_is_listed_with_its_file_and_hash_until_it_is_signed(call, site) -> None:
    call("run", ASK, *site.options)
    (item,) = call("approval", "list", "--json", *site.seen).document["approvals"]
    said = call("approval", "list", *site.seen)
    assert f"要求ファイル 1: {NAME}" in said.out
    assert f"  SHA-256 {item['hashes']['request']}\n" in said.out
    assert item["file"] == NAME
    assert all(cell_len(line) <= 80 for line in said.out.splitlines())

    assert approve(call, site, 1, "sato").err == "次の操作: koukan approval list\n"
    assert "承認を待っているもの：1 件" in call("approval", "list", *site.seen).out
    last = approve(call, site, 1, "suzuki")
    told = r"署名が揃いました。ask_identity (の次の定時実行（\d{4}-\d\d-\d\d \d\d:\d\d）|の実行の)"
    assert re.match(told, last.err)
    said = call("approval", "list", *site.seen)
    assert said.out.startswith("承認を待っているものはありません。\n")
    assert "署名 2/2 sato suzuki" in said.out
    assert said.err == ""  # nothing is left to be approved


@pytest.mark.parametrize("due", [True, False])
def test_after_the_last_signature_it_is_said_when_it_is_used(call, site, due: bool) -> None:
    call("run", ASK, *site.options)
    call("tick", *site.options)  # what was due last year
    if due:
        schedule(site.root, "* * * * *")
    said = approve(call, site, 1, "sato", "suzuki")
    assert ("koukan tick" in said.err) == due
    assert ("12-31 23:59" in said.err) != due


def test_a_run_that_takes_nothing_says_so_whatever_waits(call, site) -> None:
    """Neither an answer that waits for persons nor another job's reception is news."""
    assert call("run", ASK, "--expect-input", *site.options).code == Exit.UNANSWERED
    assert call("run", ASK, "--expect-input", *site.options).code == Exit.NO_INPUT
    approve(call, site, 1, "sato", "suzuki")
    call("run", ASK, *site.options)
    site.answered()
    ran = call("run", ANSWER, "--expect-input", "--json", *site.options)
    assert (ran.code, ran.document["jobs"][0]["receptions"]) == (5, [3])
    for job in (ANSWER, ASK, DELIVER):
        ran = call("run", job, "--expect-input", "--json", *site.options)
        assert (ran.code, ran.document["jobs"][0]["receptions"]) == (4, [])
    lay(site, "kenpo-a", range(530, 533), sequence=2)
    ran = call("run", ASK, "--expect-input", "--json", *site.options)
    assert ran.document["jobs"][0]["receptions"] == [4]


def test_what_registers_nothing_is_not_called_registered(call, site) -> None:
    call("run", ASK, *site.options)
    said = call("show", "1", *site.options)
    assert "取込" in said.out and "登録" not in said.out
    assert "様式: my_number_query 個人番号照会要求ファイル" in said.out


@pytest.mark.parametrize("language", ["ja", "en"])
def test_of_what_was_answered_a_rerun_says_why_not(call, site, language: str) -> None:
    call("run", ASK, *site.options)
    approve(call, site, 1, "sato", "suzuki")
    call("run", ASK, *site.options)
    site.answered()
    call("run", ANSWER, *site.options)
    approve(call, site, 2, "sato")
    call("run", ANSWER, *site.options)
    for number in ("1", "3"):
        said = call("rerun", number, "--plan", "--json", "--lang", language, *site.options)
        assert (said.code, said.error["key"]) == (64, "operate.erased_identity")
        assert f"koukan show {number}" in said.error["next"]


def test_a_question_is_followed_to_the_package_of_its_file(call, site) -> None:
    call("run", ASK, *site.options)
    before = call("trace", "1", "2", "--json", *site.options).document
    assert (before["place"], before["result"]["class"], before["tables"]) == ("data", 1, [])
    assert before["original"]["kept"] and before["identity"]["packages"] == []
    assert not before["gone"]  # questions have no rows in tables
    approve(call, site, 1, "sato", "suzuki")
    call("run", ASK, *site.options)
    site.answered()
    call("run", ANSWER, *site.options)
    approve(call, site, 2, "sato")
    call("run", ANSWER, *site.options)
    found = call("trace", "1", "2", "--json", *site.options).document
    (package,) = found["identity"]["packages"]
    assert not found["original"]["kept"] and found["original"]["erased_at"]
    shown = call("trace", "1", "2", *site.options).out
    assert package["package"] in shown and "に消去しました" in shown


@pytest.mark.requirement("R016")
def test_files_to_and_from_the_register_have_their_layout_and_not_one_item_more(
    call, site, catalogue
) -> None:
    call("run", ASK, *site.options)
    approve(call, site, 1, "sato", "suzuki")
    call("run", ASK, *site.options)
    (path,) = (site.root / "exchange/juki-net/outbox").glob("JQ_*")
    form = catalogue.formats["juki_net_request"]
    control, *questions, end, rest = path.read_bytes().split(b"\r\n")
    assert rest == b"" and len(questions) == 12
    for line, fields in ((control, form.control), (end, form.end)):
        assert len(line) == sum(item.slot for item in fields)
    for line in questions:
        record = form.record(line[10:12].decode())
        assert len(line) == sum(item.slot for item in form.fields(record))
    site.answered()
    inbox = site.root / "exchange/juki-net/inbox/juki_net"
    (answer,) = inbox.iterdir()
    good = answer.read_bytes()
    more = [line + b"X" for line in good.split(b"\r\n")[:-1]]
    answer.write_bytes(b"".join(line + b"\r\n" for line in more))  # one item more in each line
    call("run", ANSWER, *site.options)
    shown = call("show", "3", "--json", *site.options).document
    assert shown["outcome"] == "refused" and shown["code"] in ("F112", "F117")
    for number, count in ((1, 7), (2, 5)):
        found = call("show", str(number), "--json", *site.options).document["identity"]
        assert (found["unanswered"], found["packages"]) == (count, [])
    answer.write_bytes(good)
    call("run", ANSWER, *site.options)
    approve(call, site, 2, "sato")
    call("run", ANSWER, *site.options)
    found = call("show", "1", "--json", *site.options).document["identity"]
    assert found["unanswered"] < 7 and len(found["packages"]) == 1
