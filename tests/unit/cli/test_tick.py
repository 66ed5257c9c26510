"""`koukan tick` and `koukan run` when something fails: who is told, what goes on, the exit code."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from koukan.errors import Exit

JOBS = {"erase_expired", "answer_identity", "ask_identity", "confirm_delivery", "register_members"}
JOBS |= {"report_errors", "forget_persons", "compact_tables", "review_spells", "issue_pmh_ids"}
JOBS |= {"report_errors", "forget_persons", "compact_tables", "review_spells", "export_online"}
JOBS |= {"exchange_partners", "provide_usage", "answer_online", "acquire_codes"}
JOBS |= {"retire_pmh_ids", "retire_codes", "retire_provision_records", "answer_disclosure"}
JOBS |= {"register_copies", "return_copies"}
# which need no original when there is nothing to do
IDLE = {"erase_expired", "report_errors", "forget_persons", "compact_tables", "review_spells"}
IDLE |= {"export_online", "exchange_partners", "retire_pmh_ids", "retire_codes"}
IDLE |= {"retire_provision_records"}
# Rights of folders bind root, too, without these.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
needs_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv here")


def bound(place, *arguments: str) -> tuple[int, str, str]:
    """The program under the rights of its folders; exit code, stdout, stderr."""
    command = [*UNPRIVILEGED, sys.executable, "-m", "koukan", *arguments, *place.options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@contextmanager
def without_rights(folder: Path):
    folder.chmod(0)
    try:
        yield
    finally:
        folder.chmod(0o700)


def entries(place) -> list[dict]:
    """The operation log."""
    lines = next((place.root / "log").glob("operations-*.jsonl")).read_text().splitlines()
    return [json.loads(line) for line in lines]


@needs_setpriv
def test_a_job_that_fails_is_told_and_stands_in_nobodys_way(call, fresh) -> None:
    with without_rights(fresh.root / "originals"):
        code, out, _ = bound(fresh, "tick", "--json")
    jobs = {job["job"]: job for job in json.loads(out)["jobs"]}
    assert (code, set(jobs)) == (40, JOBS)
    assert jobs["erase_expired"]["failure"] is None
    failure = jobs["register_members"]["failure"]
    assert failure["where"]["path"] == "originals"
    assert "originals" in failure["sentence"] and failure["next"]

    page = call("status", "--json", *fresh.options).document
    failed = {job["job"]: job for job in page["needs_you"]["failed_jobs"]}
    assert set(failed) == JOBS - IDLE
    assert (failed["ask_identity"]["exit"], page["verdict"]["code"]) == (40, 40)
    said = call("status", *fresh.options)
    assert said.out.startswith("● 対応が必要です：11 件")
    assert "originals を読み書きできません" in said.out
    assert said.out.count("originals を読み書きできません") == 1  # one cause, told once
    assert "koukan tick" not in said.out + said.err
    noted = [entry for entry in entries(fresh) if entry["operation"] == "job_failed"]
    assert {entry["where"]["job"] for entry in noted} == set(failed)


@needs_setpriv
def test_what_failed_stays_due_and_is_forgotten_when_it_went_well(call, fresh) -> None:
    with without_rights(fresh.root / "originals"):
        assert bound(fresh, "tick")[0] == 40
    again = call("tick", "--json", *fresh.options)
    assert {job["job"] for job in again.document["jobs"]} >= JOBS - IDLE
    assert again.code == 0
    assert call("status", "--json", *fresh.options).document["verdict"]["code"] == 0


@needs_setpriv
def test_an_inbox_that_cannot_be_read_stands_in_nobodys_way(call, fresh) -> None:
    assert call("tick", *fresh.options).code == 0
    (fresh.inbox("kenpo-b", "server_link") / "other.csv").write_bytes(b"x")
    with without_rights(fresh.inbox("kenpo-a", "server_link")):
        code, out, _ = bound(fresh, "run", "register_members", "--json")
        assert code == 40
        [job] = json.loads(out)["jobs"]
        assert (job["failure"], len(job["receptions"])) == (None, 1)
        code, out, _ = bound(fresh, "status")
        assert code == 0
        assert "kenpo-a：受付箱を読めません" in out
        assert out.startswith("● 対応が必要です：1 件")
        assert bound(fresh, "tick")[0] == 40
    assert call("run", "register_members", *fresh.options).code == 0
    assert call("tick", *fresh.options).code == 0


def test_no_name_from_an_inbox_is_told(tmp_path) -> None:
    from koukan.engine.faults import foreseen

    inbox = tmp_path / "exchange/kenpo-a/inbox/server_link"
    error = PermissionError(13, "x", str(inbox / "架空 太郎.csv"))
    found = foreseen(error, tmp_path)
    assert found is not None
    assert found.where["path"] == "exchange/kenpo-a/inbox/server_link"
    elsewhere = foreseen(PermissionError(13, "x", "/elsewhere"), tmp_path)
    assert elsewhere is not None and "path" not in elsewhere.where


def test_tables_that_do_not_fit_the_ledger_stop_the_line(call, fresh) -> None:
    for path in (fresh.root / "tables" / "vault" / "_delta_log").glob("*.json"):
        path.write_bytes(path.read_bytes().replace(b'"', b"'", 1))
    said = call("tick", "--json", *fresh.options)
    assert said.code == Exit.INTEGRITY
    assert len(said.document["jobs"]) == 1
    plain = call("tick", *fresh.options)
    assert "処理できませんでした（終了コード50）" in plain.out.replace(" ", "").replace("\n", "")
    assert "koukan tick" not in plain.out + plain.err
    status = call("status", *fresh.options)
    assert "koukan tick" not in status.out + status.err
    assert call("status", "--json", *fresh.options).document["verdict"]["code"] == 50


def test_another_run_is_no_failure_of_a_job(call, fresh) -> None:
    (fresh.root / "locks").mkdir(exist_ok=True)
    with (fresh.root / "locks" / "jobs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = call("tick", "--json", *fresh.options)
        assert said.code == Exit.BUSY
        assert len(said.document["jobs"]) == 1
    assert call("status", "--json", *fresh.options).document["needs_you"]["failed_jobs"] == []
    assert {job["job"] for job in call("tick", "--json", *fresh.options).document["jobs"]} == JOBS


def test_a_bug_in_one_job_is_noted_and_the_others_go_on(call, start, fresh) -> None:
    shutil.rmtree(fresh.root / "originals")
    process = start("tick", *fresh.options)
    process.communicate()
    assert process.returncode == Exit.INTERNAL
    page = call("status", "--json", *fresh.options).document
    failed = {job["job"]: job["exit"] for job in page["needs_you"]["failed_jobs"]}
    assert set(failed.values()) == {70}
    assert "erase_expired" not in failed
    assert page["verdict"]["code"] == 70
    assert "内部の誤りです。" in call("status", *fresh.options).out


def test_with_nothing_due_a_tick_judges_what_waits(call, copy) -> None:
    call("tick", *copy.options)
    said = call("tick", "--json", *copy.options)
    assert said.code == call("status", "--json", *copy.options).document["verdict"]["code"] == 10
    assert call("tick", *copy.options).err.endswith("次の操作: koukan status\n")


def test_jobs_are_told_with_their_titles(call, fresh) -> None:
    said = call("tick", *fresh.options)
    assert "register_members 加入者情報登録：新しい受付はありませんでした。" in said.out
    assert "erase_expired 保管期限を過ぎた受付の消去：実行しました" in said.out  # it takes no files
    assert len(said.out.splitlines()) == len(JOBS)
