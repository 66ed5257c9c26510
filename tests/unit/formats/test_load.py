"""Reading definitions: a wrong one is told with its place and the names that would be known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from told import told

from koukan.errors import DefinitionError, Exit
from koukan.formats import bundle, load_catalogue, require_catalogue, thaw
from koukan.formats.load import definition_files, merged
from koukan.shipped import formats_folder

Edit = Callable[[str, str, str], list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped definitions."""
    return Path(shutil.copytree(formats_folder(), tmp_path / "formats"))


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replaces a text in a definition (all of it: old is empty); the problems that follow."""

    def change(name: str, old: str, new: str) -> list[str]:
        path = folder / name
        if old:
            text = path.read_text(encoding="utf-8")
            assert old in text
            new = text.replace(old, new, 1)
        path.write_text(new, encoding="utf-8")
        catalogue, problems = load_catalogue(folder)
        assert (catalogue is None) == bool(problems)
        return told(problems)

    return change


def test_the_shipped_definitions_are_right(folder: Path) -> None:
    catalogue, problems = load_catalogue(folder)
    assert catalogue is not None
    assert problems == []
    assert require_catalogue(folder) == catalogue


REG = "member_registration.toml"
WRONG: dict[str, tuple[str, str, str, str]] = {
    "no TOML": (
        REG,
        'syntax = "csv"',
        'syntax = "csv',
        "TOML (line 18)",
    ),
    "unknown key": (
        REG,
        'syntax = "csv"',
        'syntaxx = "csv"',
        "file.syntaxx: There is no entry of this name",
    ),
    "unknown type": (
        REG,
        'type = "kana"',
        'type = "hiragana"',
        "It is none of the values that are possible. Write one of: digits, ascii",
    ),
    "unknown syntax": (
        REG,
        'syntax = "csv"',
        'syntax = "xml"',
        "file.syntax: It is none of the values that are possible. Write one of: csv, fixed",
    ),
    "unknown encoding": (REG, '"cp932"', '"sjis"', "Write one of: cp932, utf-8"),
    "unknown direction": (
        REG,
        '"inbound"',
        '"in"',
        "Write one of: inbound, outbound",
    ),
    "no version": (
        REG,
        '"20260401"',
        '"2026-04"',
        "version: It is not written as it must be",
    ),
    "length is no number": (
        REG,
        "length = 10",
        'length = "ten"',
        "control[record_number].length: It is no whole number.",
    ),
    "pattern is no expression": (
        REG,
        "(?P<sender>",
        "(?P<sender",
        "file: The pattern cannot be read as an expression.",
    ),
    "example is none": (
        REG,
        "MR_kenpo-a_000001.csv",
        "MR.csv",
        "The name in `example` does",
    ),
    "codes without the type": (
        REG,
        'type = "code"',
        'type = "digits"',
        "`codes` belongs to type code",
    ),
    "the type without codes": (REG, 'codes = "process_type"\n', "", "`codes` belongs to type code"),
    "minimum of a text": (
        REG,
        'label = "住所"',
        'label = "住所"\nmin_length = 2',
        "`min_length` belongs to",
    ),
    "date of six digits": (
        REG,
        "length = 8\nrequired = true\nuncertain",
        "length = 6\nuncertain",
        "Field birth_date: a date has eight digits",
    ),
    "uncertain text": (
        REG,
        'label = "住所"',
        'label = "住所"\nuncertain = true',
        "only a date can be uncertain",
    ),
    "field twice": (
        REG,
        'name = "post_number"\nlabel = "郵便番号"',
        'name = "address"\nlabel = "住所"',
        "The record basic has two fields of one name (address)",
    ),
    "type code twice": (
        REG,
        'code = "02"',
        'code = "01"',
        "Two records have the same",
    ),
    "check of an unknown field": (
        REG,
        'fields = ["member_id"]',
        'fields = ["memberid"]',
        "names fields that it has not (memberid)",
    ),
    "condition on an unknown field": (
        REG,
        "when = { process_type_code",
        "when = { process_code",
        "names fields that it has not (process_code)",
    ),
    "key of an unknown field": (
        REG,
        'key = ["qualification_date"]',
        'key = ["day"]',
        "The key of the record qualification names fields that it has not (day)",
    ),
    "unknown code": (
        REG,
        'code = "R218"',
        'code = "R299"',
        "records[qualification].checks: The reject code R299 is not defined",
    ),
    "unknown code of every record": (
        REG,
        'code = "R215"',
        'code = "R299"',
        "member_registration.toml checks: The reject code R299 is not defined",
    ),
    "unknown code list": (
        REG,
        'codes = "sex"',
        'codes = "gender"',
        "sex_1.codes: gender is not defined. Mend its spelling or define it first. ",
    ),
    "unknown label": (
        REG,
        'label = "性別2"',
        'label = "性別二"',
        'The label 性別二 is not in the glossary. Add "性別二" = "sex_2" to',
    ),
    "another name for a label": (
        REG,
        'name = "sex_2"',
        'name = "second_sex"',
        "The glossary's name for the label 性別2 is sex_2",
    ),
    "leading fields": (
        REG,
        'label = "保険者コード"\ntype = "digits"\nlength = 8',
        'label = "保険者コード"\ntype = "digits"\nlength = 9',
        "begin with the fields record_number (10), record_type_code (2), insurer_code (8)",
    ),
    "leading field that may be empty": (
        REG,
        'label = "処理種別コード"\ntype = "code"\nlength = 1\nrequired = true',
        'label = "処理種別コード"\ntype = "code"\nlength = 1',
        "All fields up to insurer_code must be required",
    ),
    "leading field of any length": (
        REG,
        'label = "保険者コード"\ntype = "digits"\nlength = 8',
        'label = "保険者コード"\ntype = "digits"\nlength = 8\nmin_length = 6',
        "All fields up to insurer_code must be required",
    ),
    "no total": (
        REG,
        'name = "control_total"\nlabel = "照合合計"',
        'name = "finding_count"\nlabel = "件数"',
        "[[end]] has no required field control_total",
    ),
    "no layout": (
        REG,
        'name = "layout_code"\nlabel = "様式識別子"',
        'name = "finding_count"\nlabel = "件数"',
        "[[control]] has no required field layout_code",
    ),
    "name in the file": (
        REG,
        'title = "加入者情報登録ファイル"',
        'name = "x"\ntitle = "x"',
        "name follows from the name of the file",
    ),
    "unknown base": (
        "member_registration_fixed.toml",
        '"member_registration"',
        '"nothing"',
        "base: nothing is not defined",
    ),
    "base of itself": (
        "member_registration_fixed.toml",
        '"member_registration"',
        '"member_registration_fixed"',
        "base: The format member_registration_fixed, on which this one is based",
    ),
    "list without values": (
        "codes/sex.toml",
        "[values]",
        "[entries]",
        "codes/sex.toml values: This entry is missing",
    ),
    "file that is no format": (
        "notes.toml",
        "",
        'title = "x"',
        "notes.toml purpose: This entry is missing",
    ),
    "reason without text": (
        "rejects.toml",
        "[F103]\ntitle",
        "[F103]\nname",
        "rejects.toml F103.title: This entry is missing",
    ),
    "reason of no kind": (
        "rejects.toml",
        "[F103]",
        "[X103]",
        "rejects.toml X103.code: It is not written as it must be",
    ),
    "reason that is no table": (
        "rejects.toml",
        "",
        'F101 = "no"',
        "rejects.toml F101: It is no table",
    ),
    "term that is a number": (
        "glossary.toml",
        "",
        '"受付" = 3',
        "glossary.toml 受付: It is no table",
    ),
    "name of two labels": (
        "glossary.toml",
        '"address"',
        '"name"',
        "The name name belongs to two labels (住所, 氏名（券面記載）)",
    ),
    "right to an unknown format": (
        "rights.toml",
        '"member_registration",',
        '"registration",',
        "rights.toml right[register_qualifications].formats: registration is not defined",
    ),
    "right of an unknown kind": (
        "rights.toml",
        '"association",',
        '"club",',
        "kinds: club is not defined",
    ),
    "right through an unknown door": (
        "rights.toml",
        '"server_link"]',
        '"window"]',
        "doors: window is not defined",
    ),
    "rights that are no list": (
        "rights.toml",
        "",
        "right = 3",
        "rights.toml right: It is no list",
    ),
    "check of sets of unknown fields": (
        REG,
        'use = "empty_when"',
        'use = "search_items"\nsets = [["address"], ["address", "birthday"]]',
        "names fields that it has not (birthday)",
    ),
    "sets of another check": (
        REG,
        'use = "empty_when"',
        'use = "empty_when"\nsets = [["address"]]',
        "`sets` belongs to the check search_items, and only to it",
    ),
    "variant of two characters": (
        "variants.toml",
        '"髙" = "高"',
        '"髙高" = "高"',
        "variants.toml variants.髙高.[key]: It is too long. Write at most 1 characters",
    ),
    "variant of nothing": (
        "variants.toml",
        '"髙" = "高"',
        '"髙" = ""',
        "variants.toml variants.髙: It is too short. Write at least 1 characters",
    ),
    "variant that is no text": (
        "variants.toml",
        '"髙" = "高"',
        '"髙" = 3',
        "variants.toml variants.髙: It is no text",
    ),
    "variant that is no kanji": (
        "variants.toml",
        '"髙" = "高"',
        '"ア" = "亜"',
        "variants.toml: ア is no kanji",
    ),
    "variant of what is no kanji": (
        "variants.toml",
        '"髙" = "高"',
        '"髙" = "タ"',
        "タ is no kanji",
    ),
    "variant of itself": (
        "variants.toml",
        '"髙" = "高"',
        '"髙" = "髙"',
        "髙, for which 髙 stands, stands on the left as a variant itself",
    ),
    "chain of variants": (
        "variants.toml",
        '"髙" = "高"',
        '"髙" = "邊"',
        "邊, for which 髙 stands, stands on the left as a variant itself",
    ),
    "circle of variants": (
        "variants.toml",
        '"髙" = "高"',
        '"髙" = "高"\n"高" = "髙"',
        "高, for which 髙 stands, stands on the left as a variant itself",
    ),
    "kinds that are no table": (
        "rights.toml",
        "",
        'kinds = "all"',
        "rights.toml kinds: It is no table",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_definition_is_told(case: str, edit: Edit) -> None:
    name, old, new, told = WRONG[case]
    problems = edit(name, old, new)
    assert any(told in problem for problem in problems), problems
    assert all(problem.split(":")[0].split(" ")[0].endswith(".toml") for problem in problems)


def test_every_problem_is_told_not_only_the_first(edit: Edit) -> None:
    edit("codes/sex.toml", "[values]", "[entries]")
    edit("rejects.toml", "[F103]", "[X103]")
    problems = edit(REG, 'syntax = "csv"', 'syntax = "xml"')
    for name in ("codes/sex.toml", "rejects.toml X103", REG):
        assert any(problem.startswith(f"formats/{name}") for problem in problems)


def test_bytes_that_are_no_text_are_told(folder: Path) -> None:
    (folder / "codes/sex.toml").write_bytes("title = 性別".encode("cp932"))
    catalogue, problems = load_catalogue(folder)
    assert catalogue is None
    assert told(problems)[0].startswith("formats/codes/sex.toml: It is not in UTF-8 (line 1).")


def test_a_term_may_carry_a_note(edit: Edit, folder: Path) -> None:
    told = '"受付" = { name = "reception", note = "whole" }'
    assert edit("glossary.toml", '"受付" = "reception"', told) == []
    (term,) = [term for term in require_catalogue(folder).terms if term.label == "受付"]
    assert (term.name, term.note) == ("reception", "whole")


def test_a_folder_that_is_not_there_holds_no_definition(tmp_path: Path) -> None:
    catalogue, problems = load_catalogue(tmp_path / "nowhere")
    assert problems == [] and catalogue is not None
    assert not catalogue.formats


def test_the_error_names_the_first_problems_and_the_exit(edit: Edit, folder: Path) -> None:
    edit(REG, 'syntax = "csv"', 'syntax = "xml"')
    with pytest.raises(DefinitionError) as found:
        require_catalogue(folder)
    assert found.value.key == "formats.wrong"
    known = "formats/member_registration.toml file.syntax"
    assert found.value.where["known"] == known
    assert found.value.exit_code == Exit.CONFIGURATION


# --- a site's own folder


def test_a_site_overrides_file_by_file(tmp_path: Path) -> None:
    own = tmp_path / "formats"
    (own / "codes").mkdir(parents=True)
    shipped = formats_folder()
    text = (shipped / REG).read_text(encoding="utf-8")
    (own / REG).write_text(text.replace('version = "20260401"', 'version = "20270401"'))
    values = '[values]\n"1" = "男"\n"2" = "女"\n"9" = "別"\n'
    (own / "codes/sex.toml").write_text('title = "性別"\nsource = "site"\n' + values)
    catalogue = require_catalogue(shipped, own)
    assert catalogue.formats["member_registration"].version == "20270401"
    assert catalogue.formats["member_registration_fixed"].version == "20270401"  # by its base
    assert set(catalogue.codes["sex"].values) == {"1", "2", "9"}
    assert catalogue.formats["acknowledgement"].version == "20260401"
    assert definition_files([shipped, own])[REG] == own / REG
    assert definition_files([own, shipped])[REG] == shipped / REG


def test_a_base_is_taken_over_key_by_key() -> None:
    base = {"title": "a", "file": {"syntax": "csv", "encoding": "cp932"}, "control": [1, 2]}
    over = {"file": {"syntax": "fixed"}, "control": [3], "note": "n"}
    assert merged(over, base) == {
        "title": "a",
        "file": {"syntax": "fixed", "encoding": "cp932"},
        "control": [3],
        "note": "n",
    }
    assert merged({"file": 3}, base)["file"] == 3
    assert base["control"] == [1, 2]


def test_the_fixed_format_differs_from_its_base_in_how_it_is_written(folder: Path) -> None:
    formats = require_catalogue(folder).formats
    csv, fixed = formats["member_registration"], formats["member_registration_fixed"]
    assert fixed.records == csv.records
    assert (fixed.control, fixed.common, fixed.end) == (csv.control, csv.common, csv.end)
    assert (fixed.file.syntax, fixed.file.encoding) == ("fixed", csv.file.encoding)


def test_a_site_has_its_own_variants(tmp_path: Path) -> None:
    own = tmp_path / "formats"
    own.mkdir()
    (own / "variants.toml").write_text('"甲" = "乙"\n', encoding="utf-8")
    assert require_catalogue(formats_folder(), own).variants == {"甲": "乙"}
    assert require_catalogue(formats_folder()).variants["髙"] == "高"
    assert require_catalogue(tmp_path / "nowhere").variants == {}


# --- frozen with what it uses


def test_a_frozen_format_thaws_to_the_same(folder: Path) -> None:
    catalogue = require_catalogue(folder)
    for name in catalogue.formats:
        frozen = bundle(catalogue, name)
        again = thaw(frozen.content)
        assert again == frozen
        assert again.form == catalogue.formats[name]
        used = {item.codes for item in again.form.all_fields if item.codes}
        assert set(again.codes) == used
        assert again.digest == bundle(require_catalogue(folder), name).digest


def test_a_changed_definition_or_code_list_has_another_digest(folder: Path) -> None:
    digests = {bundle(require_catalogue(folder), "member_registration").digest}
    for name, old, new in (
        (REG, "length = 50", "length = 51"),
        ("codes/sex.toml", '"3" = "', '"4" = "'),
        ("codes/outcome.toml", '"4" = "', '"6" = "'),  # of another format
    ):
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        digests.add(bundle(require_catalogue(folder), "member_registration").digest)
    assert len(digests) == 3
