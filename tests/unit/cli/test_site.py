"""Commands on a real site: what they say, what they end in, and what they never say."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import polars as pl
import pytest
from centres import Place, lay

from koukan.engine.faults import foreseen
from koukan.errors import Exit
from koukan.samples.population import Population
from koukan.shipped import formats_folder, jobs_folder

SEED = 7  # of the site in conftest
SENSITIVE = ("my_number", "name", "name_kana", "address", "household_number", "birth_date")


def test_init_makes_a_site_and_a_second_one_changes_nothing(call, fresh) -> None:
    said = call("init", *fresh.options, "--json")

    assert (said.code, said.err) == (0, "")
    assert said.document == {"schema": "koukan.init.v1", "exit": 0, "made": []}
    assert fresh.key.stat().st_mode & 0o777 == 0o400
    assert fresh.root.joinpath("ledger").stat().st_mode & 0o777 == 0o700


def test_init_without_a_site_file_says_how_to_get_one(call, tmp_path) -> None:
    said = call("init", "--root", str(tmp_path), "--key", str(tmp_path / "k"), "--json")

    assert said.code == 40
    assert "koukan sample site" in said.error["next"]


def test_init_makes_no_second_key_for_a_site(call, fresh, tmp_path) -> None:
    """With it nothing of the site could be opened; it would only look as if."""
    other = tmp_path / "elsewhere" / "batch.key"
    said = call("init", "--root", str(fresh.root), "--key", str(other), "--json")
    assert (said.code, said.error["key"]) == (40, "keys.not_of_site")
    assert not other.parent.exists()
    (tmp_path / "stranger").mkdir()
    shutil.copy(fresh.root / "site.toml", tmp_path / "stranger")
    another = ("--key", str(tmp_path / "stranger.key"))
    assert call("init", "--root", str(tmp_path / "stranger"), *another).code == 0
    said = call("init", "--root", str(fresh.root), *another, "--json")
    assert (said.code, said.error["key"]) == (40, "keys.not_of_site")


def test_the_night_ends_as_it_was_laid(night) -> None:
    assert night.said.code == Exit.HELD
    summary = night.said.document["summary"]
    outcomes = {name: count for name, count in summary["receptions"].items() if count}
    expected = {k: v for k, v in night.expected.outcomes().items() if k != "not received"}
    assert outcomes == expected
    assert summary["records"] == vars(night.expected.records())
    assert summary["ledger_balanced"] is True
    by_insurer = {item["insurer"]: item["rejected"] for item in summary["insurers"]}
    assert by_insurer == {k: v.rejected for k, v in night.expected.insurers().items()}


def test_progress_is_talk_and_stdout_holds_the_document_alone(night) -> None:
    assert json.loads(night.said.out)["schema"] == "koukan.run.v1"
    assert re.search(r"登録: \d+/\d+", night.said.err)
    assert "\x1b" not in night.said.err
    assert "\r" not in night.said.err


def test_a_second_run_finds_nothing_and_says_so(call, copy) -> None:
    said = call("run", "register_members", *copy.options)
    assert said.code == Exit.HELD  # the held ones still wait
    assert "新しい受付はありませんでした" in said.out
    asked = call("run", "register_members", "--expect-input", "--json", *copy.options)
    assert asked.document["jobs"][0]["receptions"] == []


def test_expected_input_that_did_not_come_ends_in_4(call, fresh) -> None:
    assert call("run", "register_members", *fresh.options).code == 0
    assert call("run", "register_members", "--expect-input", *fresh.options).code == 4


def test_tick_runs_what_is_due_once(call, fresh) -> None:
    first = call("tick", "--json", *fresh.options)
    assert {job["job"] for job in first.document["jobs"]} == {
        *("register_members", "ask_identity", "answer_identity", "confirm_delivery"),
        *("report_errors", "erase_expired", "forget_persons", "compact_tables"),
        *("review_spells", "issue_pmh_ids", "export_online", "answer_online"),
        *("exchange_partners", "provide_usage"),
        "acquire_codes",
        *("retire_pmh_ids", "retire_codes", "retire_provision_records", "answer_disclosure"),
        *("register_copies", "return_copies"),
    }
    second = call("tick", *fresh.options)
    assert (second.code, second.out) == (0, "実行の時刻になったジョブはありません。\n")


def test_status_says_first_whether_anybody_is_needed(call, night) -> None:
    said = call("status", *night.place.options)

    assert said.code == 0
    first, *rest = said.out.splitlines()
    assert first.startswith("● 対応が必要です：2 件")
    text = "\n".join(rest)
    for part in ("H101", "H102", "通番 000004", "書きかけ", "台帳の件数は一致しています。"):
        assert part in text
    assert said.err.startswith("次の操作: koukan show ")


def test_status_as_json_has_the_same_numbers(call, night) -> None:
    page = call("status", "--insurers", "--json", *night.place.options).document

    assert page["verdict"]["state"] == "needs_you"
    assert page["verdict"]["code"] == 10
    assert page["tonight"]["receptions"]["accepted"] == 12 + night.earlier
    assert len(page["tonight"]["insurers"]) == 11
    assert page["waiting"]["inboxes"] == [
        {
            "sender": "kenpo-b",
            "files": 0,
            "partial": 1,
            "unreadable": 0,
            "aside": {"partial": 1},
            "stuck": 0,
            "over": 0,
        }
    ]
    other = call("status", "--night", "2020-01-01", "--json", *night.place.options).document
    assert other["tonight"]["receptions"]["accepted"] == 0
    assert "insurers" not in other["tonight"]


def test_status_of_a_new_site_points_to_tick(call, fresh) -> None:
    said = call("status", "--lang", "en", *fresh.options)

    assert said.out.startswith("● Waiting for the next run")
    assert said.err == "next: koukan tick\n"


def _numbers(night, outcome: str) -> list[int]:
    import contextlib

    with contextlib.closing(sqlite3.connect(night.place.root / "ledger/koukan.sqlite")) as ledger:
        rows = ledger.execute("SELECT number FROM reception WHERE outcome = ?", [outcome])
        return [row[0] for row in rows]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_of_a_held_file_both_decisions_are_named(call, night, language) -> None:
    for number in _numbers(night, "held"):
        said = call("show", str(number), "--lang", language, *night.place.options)
        code = call("show", str(number), "--json", *night.place.options).document["code"]
        assert f": koukan release {number} --reason" in said.err
        assert f": koukan refuse {number} --reason" in said.err
        waits = {"ja": "操作をしなくても受け付けます", "en": "taken up by itself"}[language]
        assert (waits in said.err.replace("\n", " ").replace("  ", " ")) == (code == "H101")


@pytest.mark.parametrize("outcome", ["accepted", "refused", "duplicate", "held"])
def test_show_tells_outcome_why_and_what_to_do(call, night, outcome) -> None:
    for number in _numbers(night, outcome)[-3:]:
        said = call("show", str(number), *night.place.options)
        page = call("show", str(number), "--json", *night.place.options).document
        assert (said.code, page["outcome"]) == (0, outcome)
        assert page["steps"]["acknowledge"]
        assert page["laid_out"][0]["file"] in said.out.replace("\n", "")
        if page["code"]:
            reason = call("explain", page["code"], "--json").document["codes"][0]
            assert reason["title"] in said.out
            assert page["why"]["action"] == reason["action"]
            assert reason["action"] in said.out.replace("\n", "")
            assert "{" not in said.out


def test_an_unknown_reception_ends_in_64(call, night) -> None:
    said = call("show", "9999", "--json", *night.place.options)

    assert (said.code, said.out, said.error["key"]) == (64, "", "ledger.no_reception")


def test_a_held_file_is_released_and_goes_in(call, copy, night) -> None:
    number = _numbers(night, "held")[0]
    options = ("--reason", "送信者に電話で確認", "--operator", "sato", *copy.options)

    said = call("release", str(number), *options)
    assert said.code == 0
    assert said.err == "次の操作: koukan run register_members\n"
    assert call("release", str(number), "--json", *options).error["key"] == "operate.not_held"
    plan = call("rerun", str(number), "--plan", "--json", *copy.options).document
    assert plan["steps"][0] == "validate"
    ran = call("rerun", str(number), "--json", *copy.options)
    assert ran.document["summary"]["receptions"]["accepted"] == 1
    shown = call("show", str(number), *copy.options)
    assert "送信者に電話で確認" in shown.out


def test_a_held_file_is_refused_and_its_sender_is_told(call, copy, night, monkeypatch) -> None:
    monkeypatch.setenv("KOUKAN_OPERATOR", "sato")
    number = _numbers(night, "held")[0]

    said = call("refuse", str(number), "--reason", "差し替え", "--json", *copy.options)
    assert (said.code, said.document["reception"]) == (0, number)
    page = call("show", str(number), "--json", *copy.options).document
    assert (page["outcome"], page["code"], page["steps"]["acknowledge"]) == (
        "refused",
        "F901",
        True,
    )


def test_a_plan_is_shown_and_changes_nothing(call, copy, night) -> None:
    number = _numbers(night, "accepted")[0]
    before = call("ledger", "digest", *copy.options).out

    said = call("rerun", str(number), "--plan", *copy.options)
    assert "  1. 通知" in said.out
    assert call("rerun", str(number), *copy.options).code in {0, Exit.REJECTS, Exit.HELD}
    assert call("ledger", "digest", *copy.options).out == before


def test_ledger_and_tables_of_a_night_are_sound(call, night) -> None:
    assert call("ledger", "verify", "--json", *night.place.options).document["problems"] == []
    assert "異常はありません" in call("verify", *night.place.options).out
    digest = call("ledger", "digest", "--json", *night.place.options).document["digest"]
    assert re.fullmatch("[0-9a-f]{64}", digest)


def test_a_damaged_file_of_a_table_ends_in_50_and_is_named(call, copy) -> None:
    file = max((copy.root / "tables" / "vault").rglob("*.parquet"))
    content = bytearray(file.read_bytes())
    content[200:300] = bytes(100)
    file.write_bytes(content)

    said = call("verify", "--json", *copy.options)
    assert (said.code, said.document["exit"]) == (50, 50)
    [problem] = said.document["problems"]
    assert problem["where"]["path"].endswith(file.name)
    assert problem["sentence"]
    assert problem["next"]
    plain = call("verify", *copy.options)
    assert file.name in plain.out.replace("\n", "").replace(" ", "")
    assert "異常が 1 件あります" in plain.err


def _members(night) -> tuple[str, str, int]:
    """An insurer, a member id and the person's 個人番号, from a result file."""
    outbox = night.place.root / "exchange/kenpo-a/outbox"
    lines = next(outbox.glob("RR_MR_kenpo-a_000001_*")).read_bytes().decode("cp932").split("\r\n")
    return "06990014", lines[1].split(",")[4], int(lines[1].split(",")[2])


@pytest.mark.requirement("R042")
def test_history_shows_a_person_and_never_the_my_number(call, night) -> None:
    insurer, member, _ = _members(night)

    said = call("history", insurer, member, *night.place.options)
    assert "■ 加入者基本情報 1/" in said.out
    assert f"被保険者枝番: {member}" in said.out
    whole = call("history", insurer, member, "--json", *night.place.options)
    event = whole.document["sections"]["basic"][0]
    assert event["member_id"] == member
    everybody = Population(SEED).people(0, night.expected.persons)
    assert event["name"] in set(everybody["name"])
    assert not [n for n in everybody["my_number"] if n in said.out or n in whole.out]


def test_a_history_is_written_for_people(call, night) -> None:
    insurer, member, _ = _members(night)

    said = call("history", insurer, member, *night.place.options).out
    (event, *_) = call("history", insurer, member, "--json", *night.place.options).document[
        "sections"
    ]["basic"]
    born = event["birth_date"]
    assert f"  生年月日: {born[:4]}-{born[4:6]}-{born[6:]}\n" in said
    assert f"  性別1: {event['sex_1']} {'男' if event['sex_1'] == '1' else '女'}" in said
    assert "  処理種別コード: 1 新規\n" in said


def test_an_unknown_member_ends_in_64_and_is_not_repeated(call, night) -> None:
    said = call("history", "06990014", "0000000001", "--json", *night.place.options)

    assert (said.code, said.error["key"]) == (64, "history.unknown")
    assert "0000000001" not in said.err


def test_no_report_tells_anything_of_a_person(call, night) -> None:
    said = night.said.out + night.said.err
    for arguments in (["status", "--insurers"], ["ledger", "verify"], ["verify"]):
        for form in ([], ["--json"]):
            found = call(*arguments, *form, *night.place.options)
            said += found.out + found.err
    for outcome in ("accepted", "refused", "held", "duplicate"):
        for number in _numbers(night, outcome):
            said += call("show", str(number), "--json", *night.place.options).out
    people = Population(SEED).people(0, night.expected.persons)
    words = {value for name in SENSITIVE for value in people[name].unique() if len(value) > 5}

    assert len(words) > 1000
    assert [word for word in words if word in said] == []


def test_a_wrong_definition_is_told_by_check_and_stops_the_rest_with_40(call, copy) -> None:
    (copy.root / "formats").mkdir(exist_ok=True)
    (copy.root / "formats" / "member_registration.toml").write_text("titel = 1\n")
    (copy.root / "jobs" / "bad.toml").parent.mkdir(exist_ok=True)
    (copy.root / "jobs" / "bad.toml").write_text('steps = ["fly"]\n')

    said = call("check", "--json", "--root", str(copy.root))
    assert said.code == 40
    assert len(said.document["problems"]) > 3
    plain = call("check", "--root", str(copy.root))
    assert "titel" in plain.out
    assert "誤りが" in plain.err
    assert call("status", *copy.options).code == 40


def test_check_tells_where_each_problem_is_and_what_to_do(call, tmp_path) -> None:
    formats = tmp_path / "formats"
    formats.mkdir()
    text = (formats_folder() / "my_number_query.toml").read_text("utf-8")
    text = text.replace("NQ_", "OQ_")
    (formats / "own_query.toml").write_text(text, "utf-8")
    text = (formats_folder() / "basic_four_query.toml").read_text("utf-8")
    text = text.replace("BQ_", "XQ_").replace("my_number_check_digit", "parity")
    (formats / "odd_query.toml").write_text(text, "utf-8")

    said = call("check", "--root", str(tmp_path))
    assert said.code == 40
    for line in (
        "formats/rights.toml right",
        "  受信する様式 own_query を送信できる保険者の種類がなく、",
        "formats/own_query.toml\n  受信する様式 own_query を受け取るジョブがありません。",
        "  → jobs のいずれかのファイルの formats に",
        "formats/odd_query.toml checks\n  検査 parity はありません。",
        "site.toml\n  ファイルがありません。",
    ):
        assert line in said.out
    (tmp_path / "jobs").mkdir()
    job = (jobs_folder() / "ask_identity.toml").read_text("utf-8")
    job = job.replace('"basic_four_query"', '"basic_four_query", "own_query", "odd_query"')
    (tmp_path / "jobs" / "ask_identity.toml").write_text(job, "utf-8")
    english = call("check", "--root", str(tmp_path), "--lang", "en", "--json")
    assert {
        (item["file"], item["key"]) for item in english.document["details"] if item["place"]
    } == {
        ("formats/odd_query.toml", "definitions.check_unknown"),
        ("formats/rights.toml", "definitions.no_right"),
        ("jobs/ask_identity.toml", "definitions.no_flow"),
    }
    details = english.document["details"]
    assert {"file": "site.toml", "place": "", "key": "definitions.no_file"}.items() <= (
        details[-1].items()
    )
    assert details[-1]["sentence"] == "There is no such file."
    assert len(details) == len(english.document["problems"]) == 6
    assert not re.search("[ぁ-ん]", english.out)


def test_sound_definitions_are_said_to_be_so(call, night) -> None:
    assert call("check").code == 0
    assert call("check", "--root", str(night.place.root), "--json").document["problems"] == []


def test_a_missing_key_and_a_site_that_is_none_end_in_40(call, night, tmp_path) -> None:
    root = str(night.place.root)
    assert call("status", "--root", root, "--key", str(tmp_path / "none")).code == 40
    said = call("status", "--root", str(tmp_path), "--key", str(night.place.key), "--json")
    assert (said.code, said.error["key"]) == (40, "engine.not_initialised")


def test_a_key_inside_the_root_is_refused(call, copy) -> None:
    inside = copy.root / "batch.key"
    shutil.copy(copy.key, inside)
    inside.chmod(0o400)

    said = call("status", "--root", str(copy.root), "--key", str(inside), "--json")
    assert (said.code, said.error["key"]) == (40, "keys.identity_inside")


def test_the_key_may_come_as_a_credential_of_systemd(call, night, tmp_path, monkeypatch) -> None:
    shutil.copy(night.place.key, tmp_path / "koukan-batch-key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("KOUKAN_ROOT", str(night.place.root))

    assert call("status", "--json").code == 0
    monkeypatch.setenv("KOUKAN_KEY_FILE", str(tmp_path / "another"))
    assert call("status", "--json").code == 40


def test_an_unknown_job_is_told_with_those_that_there_are(call, night) -> None:
    said = call("run", "register", "--json", *night.place.options)

    assert (said.code, said.error["key"]) == (64, "engine.no_job")
    assert "register_members" in said.error["next"]


def test_jobs_run_one_after_another_and_none_where_one_is_unknown(call, tmp_path) -> None:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    options = ("--expect-input", "--json", "--root", str(place.root), "--key", str(place.key))
    lay(place, "kenpo-a", 1, persons=2)
    said = call("run", "register_members", "register", *options)
    assert (said.code, said.error["key"]) == (64, "engine.no_job")
    both = ("report_errors", "register_members")
    said = call("run", *both, *options)
    jobs = said.document["jobs"]
    assert tuple(job["job"] for job in jobs) == both
    assert [len(job["receptions"]) for job in jobs] == [0, 1]
    assert said.code == 0
    assert call("run", *both, *options).code == 4


def test_a_ledger_that_is_locked_is_a_matter_of_trying_again(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    first, second = (sqlite3.connect(path, timeout=0, isolation_level=None) for _ in range(2))
    first.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError) as busy:
        second.execute("CREATE TABLE x (y)")
    with pytest.raises(sqlite3.OperationalError) as closed:
        sqlite3.connect(tmp_path / "no" / "x.sqlite")
    with pytest.raises(sqlite3.OperationalError) as bug:
        second.execute("SELEKT")
    first.close()
    second.close()

    found = foreseen(busy.value)
    assert found is not None
    assert (found.exit_code, found.retryable) == (Exit.TRANSIENT, True)
    found = foreseen(closed.value)
    assert found is not None
    assert found.exit_code == Exit.CONFIGURATION
    assert foreseen(bug.value) is None
    assert foreseen(ValueError()) is None


def test_a_folder_that_cannot_be_written_is_a_matter_for_a_person(call, fresh, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "架空 太郎")

    monkeypatch.setattr("koukan.engine.run.wipe", refuse)
    said = call("run", "register_members", "--json", *fresh.options)

    assert (said.code, said.error["key"]) == (40, "engine.system")
    assert "架空" not in said.err


def test_english_is_spoken_where_it_is_asked_for(call, night) -> None:
    number = str(_numbers(night, "refused")[0])
    said = call("status", "--lang", "en", *night.place.options)
    shown = call("show", number, "--lang", "en", *night.place.options)

    assert said.out.startswith("● Needs you: 2")
    assert "The ledger's counts balance." in said.out
    assert "outcome: refused" in shown.out


def test_reports_fit_on_eighty_columns(call, night) -> None:
    from rich.cells import cell_len

    numbers = _numbers(night, "accepted")[-2:]
    for arguments in (["status", "--insurers"], *(["show", str(n)] for n in numbers)):
        for language in ("ja", "en"):
            said = call(*arguments, "--lang", language, *night.place.options)
            assert [line for line in said.out.splitlines() if cell_len(line) > 80] == []


def test_frames_of_a_history_keep_their_leading_zeros() -> None:
    from koukan.cli.commands.history import written

    assert written(pl.DataFrame({"member_id": [387758086]}))["member_id"].item() == "0387758086"
