"""Commands without a site: the offline checker, samples, documents, explanations."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path

import polars as pl
import pytest

from koukan import shipped
from koukan.formats import require_catalogue
from koukan.samples.faults import FILE_FAULTS, ROW_FAULTS
from koukan.samples.population import Population

FORM = "member_registration"
NAME = "MR_kenpo-a_000001.csv"
OFFLINE = [
    code
    for code, fault in ROW_FAULTS.items()
    if not fault.history
    and fault.needs in ("new", "insured")
    and not code.startswith(("R4", "W4", "R222"))  # which need the tables or the site
]


def sample(call, folder: Path, *faults: str, rows: int = 300, form: str = FORM) -> Path:
    chosen = [part for fault in faults for part in ("--fault", fault)]
    path = folder / NAME if form == FORM else folder
    said = call("sample", form, "--rows", str(rows), "--output", str(path), *chosen, "--json")
    assert said.code == 0, said.err
    return Path(said.document["path"])


def test_a_good_file_has_no_errors_and_ends_in_0(call, tmp_path) -> None:
    said = call("validate", str(sample(call, tmp_path)))

    assert said.code == 0
    assert "300 行。エラーはありません。" in said.out


def test_a_fixed_width_sample_gets_its_agreed_name_and_is_good(call, tmp_path) -> None:
    path = sample(call, tmp_path, form="member_registration_fixed", rows=9)

    assert path.name.startswith("MF_")
    assert call("validate", str(path), "--json").document["lines"] == 9


@pytest.mark.parametrize("code", OFFLINE)
def test_each_fault_of_a_row_is_found_with_its_place_and_words(call, tmp_path, code) -> None:
    path = sample(call, tmp_path, code, rows=60)

    said = call("validate", str(path), "--json")
    found = said.document["findings"]
    assert code in {item["code"] for item in found}
    assert said.code == (0 if code == "D301" else 3)
    for item in found:
        assert item["line"] > 1
        assert re.fullmatch(r"\d{10}", item["record_number"])
        assert item["field"]
        assert item["why"]
        assert item["action"]
        assert "{" not in item["why"]


@pytest.mark.parametrize("name", ["torn", "utf8", "quote", "count", "nuls", "gzip", "empty"])
def test_a_spoilt_file_would_be_refused_with_the_code_of_the_centre(call, tmp_path, name) -> None:
    said = call("validate", str(sample(call, tmp_path, name, rows=30)), "--json")

    assert said.code == 3
    assert said.document["refusal"]["code"] == FILE_FAULTS[name].code
    assert said.document["refusal"]["title"]


def test_no_value_of_a_record_leaves_the_checker(call, tmp_path) -> None:
    path = sample(call, tmp_path, *OFFLINE, rows=300)
    people = Population(1).people(0, 200)
    values = {v for name in people.columns[3:] for v in people[name].drop_nulls() if len(v) > 4}
    values |= set(_fields(path))
    assert len(values) > 500

    for options in ([], ["--json"], ["--lang", "en"]):
        said = call("validate", str(path), "--limit", "1000", *options)
        assert said.code == 3
        assert [value for value in values if value in said.out + said.err] == []


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_report_names_its_files_and_has_no_value_of_a_record(call, tmp_path, language) -> None:
    path = sample(call, tmp_path, *OFFLINE, rows=300)
    people = Population(1).people(0, 200)
    values = {v for name in people.columns[3:] for v in people[name].drop_nulls() if len(v) > 4}
    values |= set(_fields(path))
    target = tmp_path / "errors.xlsx"

    options = ("--limit", "0", "--lang", language, "--report", str(target))
    said = call("validate", str(path), *options)
    assert said.code == 3
    assert "errors.zip" in said.err
    document = call("validate", str(path), *options, "--json").document
    assert document["report"] == ["errors.xlsx", "errors.zip"]
    for written in (target, target.with_suffix(".zip")):
        with zipfile.ZipFile(written) as archive:
            content = "".join(archive.read(name).decode() for name in archive.namelist())
        assert path.stem in content or written != target
        assert [value for value in values if value in content] == []


def test_without_a_report_none_is_written(call, tmp_path) -> None:
    path = sample(call, tmp_path, rows=3)
    assert call("validate", str(path), "--json").document["report"] is None
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def _fields(path: Path) -> list[str]:
    """Values of sensitive fields as they stand in the file, spoilt ones too."""
    form = require_catalogue(shipped.formats_folder()).formats[FORM]
    found = []
    for line in path.read_bytes().decode("cp932", "replace").split("\r\n")[1:-2]:
        values = line.split(",")
        record = next(one for one in form.records if one.code == values[1])
        for item, value in zip(form.fields(record), values, strict=False):
            if item.sensitive and len(value) > 7:
                found.append(value)
    return found


def test_what_is_not_listed_is_counted(call, tmp_path) -> None:
    path = sample(call, tmp_path, "R201", "R105", rows=30)
    whole = call("validate", str(path), "--json").document
    said = call("validate", str(path), "--limit", "2")
    short = call("validate", str(path), "--limit", "2", "--json").document

    total = whole["findings_total"]
    assert len(whole["findings"]) == total > 2
    assert (len(short["findings"]), short["findings_total"]) == (2, total)
    assert f"ほかに {total - 2} 件あります" in said.out


def test_a_file_that_is_not_there_and_an_unknown_format_end_in_64(call, tmp_path) -> None:
    said = call("validate", str(tmp_path / "none.csv"), "--json")
    assert (said.code, said.error["key"]) == (64, "offline.no_file")
    path = sample(call, tmp_path, rows=3)
    said = call("validate", str(path), "--format", "nothing", "--json")
    assert (said.code, said.error["key"]) == (64, "offline.no_format")


def test_the_same_seed_gives_the_same_file_and_another_one_another(call, tmp_path) -> None:
    contents = []
    for place, seed in enumerate((4, 4, 5)):
        path = tmp_path / f"{place}.csv"
        said = call("sample", FORM, "--seed", str(seed), "--rows", "9", "--output", str(path))
        assert said.code == 0
        assert path.stat().st_mode & 0o777 == 0o600
        contents.append(path.read_bytes())

    assert contents[0] == contents[1] != contents[2]


def test_a_sample_is_never_written_over_a_file(call, tmp_path) -> None:
    path = sample(call, tmp_path, rows=3)
    said = call("sample", FORM, "--output", str(path), "--json")

    assert (said.code, said.error["key"]) == (64, "cli.exists")


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["nothing"], "cli.no_format"),
        (["acknowledgement"], "cli.no_format"),
        ([FORM], "cli.missing"),
        ([FORM, "--fault", "R999"], "samples.fault"),
        ([FORM, "--fault", "torn", "--fault", "F104"], "cli.one_file_fault"),
        ([FORM, "--fault", "R401"], "samples.history"),
        ([FORM, "--sender", "nobody"], "samples.no_sender"),
        ([FORM, "--fault", "R204"], "samples.unfit"),
    ],
)
def test_what_cannot_be_sampled_is_said(call, tmp_path, arguments, key) -> None:
    target = [] if key == "cli.missing" else ["--output", str(tmp_path / "x.csv")]
    said = call("sample", *arguments, *target, "--json")

    assert (said.code, said.out, said.error["key"]) == (64, "", key)
    assert list(tmp_path.iterdir()) == []


def test_a_welfare_office_can_be_the_sender(call, tmp_path) -> None:
    path = tmp_path / "MR_fukushi_000001.csv"
    options = ("--rows", "30", "--sender", "fukushi", "--fault", "R204", "--output", str(path))
    assert call("sample", FORM, *options).code == 0
    found = call("validate", str(path), "--json").document["findings"]

    assert "R204" in {item["code"] for item in found}


def test_the_example_site_is_one(call) -> None:
    said = call("sample", "site")

    assert said.code == 0
    assert len(tomllib.loads(said.out)["insurer"]) == 11


def test_the_document_in_the_checkout_is_fresh(call) -> None:
    said = call("docs", "--check", "--json")

    assert (said.code, said.document["written"]) == (0, False)


def test_a_stale_document_is_told_by_check_and_mended_without(call, tmp_path, monkeypatch) -> None:
    for name in ("formats", "jobs"):
        source = shipped.formats_folder().parent / name
        (tmp_path / name).symlink_to(source) if name == "jobs" else _copy(source, tmp_path / name)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "src" / "koukan")
    path = tmp_path / "formats" / "README.md"
    path.write_text("old")

    said = call("docs", "--check", "--json")
    assert (said.code, said.error["key"], path.read_text()) == (40, "cli.stale", "old")
    assert call("docs").code == 0
    assert call("docs", "--check").out == "文書は定義と一致しています。\n"
    (tmp_path / "pyproject.toml").unlink()
    assert call("docs", "--json").error["key"] in ("cli.not_a_checkout", "shipped.missing")


def _copy(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source, target)


def test_documents_are_not_written_into_an_installed_package(call, tmp_path, monkeypatch) -> None:
    package = tmp_path / "koukan"
    _copy(shipped.formats_folder(), package / "_shared" / "formats")
    monkeypatch.setattr(shipped, "_PACKAGE", package)

    said = call("docs", "--json")
    assert (said.code, said.error["key"]) == (40, "cli.not_a_checkout")


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_code_is_explained(call, language) -> None:
    reasons = require_catalogue(shipped.formats_folder()).reasons
    said = call("explain", *reasons, "--json", "--lang", language)

    assert {item["code"] for item in said.document["codes"]} == set(reasons)
    for item in said.document["codes"]:
        assert all(item.values())
        assert "{" not in json.dumps(item["text"])


def test_exit_codes_are_explained_one_by_one_and_together(call) -> None:
    one = call("explain", "exit", "10").out
    assert "終了コード 10" in one
    assert "koukan release" in one
    assert call("explain", "3").out == call("explain", "exit", "3").out
    assert len(call("explain", "exit", "--json").document["codes"]) == 14
    assert call("explain", "r201").out.startswith("R201  個人番号の検査数字")


@pytest.mark.parametrize("code", ["X999", "7", "exit 9"])
def test_an_unknown_code_is_told_with_those_that_there_are(call, code) -> None:
    said = call("explain", *code.split(), "--json")

    assert (said.code, said.error["key"]) == (64, "cli.no_code")


def test_a_site_may_say_more_codes(call, tmp_path) -> None:
    text = (shipped.formats_folder() / "rejects.toml").read_text("utf-8")
    own = text[text.index("[R402]") : text.index("[R403]")].replace("R402", "R499")
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "rejects.toml").write_text(text + own, encoding="utf-8")

    assert call("explain", "R499", "--root", str(tmp_path)).code == 0


def test_a_sample_large_enough_is_written_in_pieces(call, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("koukan.samples.bulk.PIECE", 10)
    path = sample(call, tmp_path, rows=90)

    assert call("validate", str(path), "--json").document["counts"]["accepted"] == 90
    assert isinstance(pl.__version__, str)
