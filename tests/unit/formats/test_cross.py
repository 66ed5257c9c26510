"""Definitions held against each other: what no single file of them can know."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from told import told

from koukan.formats import gaps, load_catalogue, require_catalogue
from koukan.formats.cross import cross_check
from koukan.formats.model import Definition
from koukan.formats.problems import KINDS, found_by_pydantic, place_of
from koukan.shipped import formats_folder

REG, NEW = "member_registration.toml", "own_query.toml"
Edit = Callable[[str, str, str], list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped definitions."""
    return Path(shutil.copytree(formats_folder(), tmp_path / "formats"))


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replaces a text in a definition, everywhere; what is told then."""

    def change(name: str, old: str, new: str) -> list[str]:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        catalogue, problems = load_catalogue(folder)
        return told(problems if catalogue is None else gaps(catalogue))

    return change


WRONG: dict[str, tuple[str, str, str, str]] = {
    "a record type code that is in no list": (
        "codes/record_type.toml",
        '"02" = "加入者資格情報"\n',
        "",
        (
            "formats/member_registration.toml records[qualification].code: The code 02 "
            "is not in its code list. Add it to formats/codes/record_type.toml"
        ),
    ),
    "a record with the code of the end": (
        REG,
        'code = "03"',
        'code = "99"',
        "formats/member_registration.toml records[certificate].code: The record type code 99 is",
    ),
    "a kind whose history nobody runs": (
        "rights.toml",
        'history_of = ["municipal_nhi", ',
        "history_of = [",
        "runs the history of insurers of the kind municipal_nhi ().",
    ),
    "a kind whose history two run": (
        "rights.toml",
        'history_of = ["municipal_nhi", ',
        'history_of = ["municipal_nhi", "welfare", ',
        "of the kind welfare (payment_fund, nhi_central).",
    ),
    "an operator of histories without the duty": (
        "rights.toml",
        'duties = ["history"]',
        "duties = []",
        "formats/rights.toml operator[nhi_central].duties: An operator who runs histories",
    ),
    "an operator with an unknown duty": (
        "rights.toml",
        'duties = ["history"]',
        'duties = ["history", "tea"]',
        "formats/rights.toml operator[nhi_central].duties: tea is not defined",
    ),
    "a section of an unknown kind of insurer": (
        REG,
        'kinds = ["welfare"]',
        'kinds = ["club"]',
        "formats/member_registration.toml records[medical_ticket].kinds: ",
    ),
    "a sample that is no code": (
        REG,
        'sample = "00"',
        'sample = "09"',
        "formats/member_registration.toml record_type_code.sample: The code 09 is not in its",
    ),
    "a layout that no file could name": (
        REG,
        'sample = "MR202604"\n',
        "",
        "formats/member_registration.toml: The field layout_code of [[control]] has no sample",
    ),
    "a pattern without a number": (
        REG,
        "(?P<sequence>[0-9]{6})",
        "[0-9]{6}",
        "formats/member_registration.toml: The pattern has no part for the sequence number",
    ),
    "a name of two formats": (
        "my_number_query.toml",
        "^NQ_",
        "^[BN]Q_",
        (
            "formats/basic_four_query.toml file.pattern: A name of this format "
            "(BQ_kenpo-a_000001.csv) fits the pattern of the format my_number_query, too"
        ),
    ),
    "a format that nobody may send": (
        "rights.toml",
        'formats = ["package_receipt"]',
        'formats = ["my_number_query"]',
        "formats/rights.toml right: No kind of insurer may send the format package_receipt",
    ),
    "a right through no door": (
        "rights.toml",
        'doors = ["nhi_aggregation"]',
        "doors = []",
        "",  # the other right holds
    ),
    "a condition on a field that the control record has not": (
        "rights.toml",
        'when = { query_mode = ["2"] }',
        'when = { query_mood = ["2"] }',
        (
            "right[acquire_basic_four_bulk].when.query_mood: The control record of the format "
            "basic_four_query has no field query_mood"
        ),
    ),
    "a condition that no code fulfils": (
        "rights.toml",
        'when = { query_mode = ["2"] }',
        'when = { query_mode = ["3"] }',
        "when.query_mode: The code 3 is not in its code list. Add it to formats/codes/query_mode",
    ),
    "a condition on a field without codes": (
        "rights.toml",
        'when = { query_mode = ["2"] }',
        'when = { sender = ["kenpo-a"] }',
        "",
    ),
    "a base that has a base": (
        "member_registration_fixed.toml",
        'base = "member_registration"',
        'base = "query_acceptance"',
        "formats/member_registration_fixed.toml base: The format query_acceptance, on which",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_together_is_told(case: str, edit: Edit) -> None:
    name, old, new, expected = WRONG[case]
    found = edit(name, old, new)
    if expected:
        assert any(expected in line for line in found), found
    else:
        assert found == []


def test_a_file_that_cannot_be_read_is_told_once(folder: Path) -> None:
    (folder / REG).write_text('title = "never ends', encoding="utf-8")
    (folder / "rights.toml").write_text("right = [\n", encoding="utf-8")
    catalogue, problems = load_catalogue(folder)
    assert catalogue is None
    assert told(problems) == [  # and nothing of member_registration_fixed, whose base it is
        (
            "formats/member_registration.toml: It cannot be read as TOML (line 1). Look in "
            "that line for quotes, brackets, the equals sign, and a name that stands twice."
        ),
        (
            "formats/rights.toml: It cannot be read as TOML (line 2). Look in that line for "
            "quotes, brackets, the equals sign, and a name that stands twice."
        ),
    ]


def test_what_ships_fits_together() -> None:
    catalogue = require_catalogue(formats_folder())
    assert cross_check(catalogue) == gaps(catalogue) == []


def test_every_finding_of_pydantic_that_a_definition_can_have_has_its_sentence() -> None:
    class Odd(Definition):
        share: float
        kept: bool

    with pytest.raises(ValidationError) as caught:
        Odd.model_validate({"share": "x", "kept": [], "more": 1})
    problems = found_by_pydantic("site.toml", "odd", caught.value, {})
    assert [(item.place, item.key) for item in problems] == [
        ("odd.share", "definitions.number"),
        ("odd.kept", "definitions.truth"),
        ("odd.more", "definitions.extra"),
    ]
    with pytest.raises(ValidationError) as caught:
        Odd.model_validate({"share": 1.0, "kept": 2.5, "more": 1})
    assert "definitions.truth" in {
        item.key for item in found_by_pydantic("f", "", caught.value, {})
    }
    assert all(told(found_by_pydantic("f", "", caught.value, {})))


def test_a_finding_of_a_kind_that_is_not_known_is_told_in_general() -> None:
    class Odd(Definition):
        moment: frozenset[int]

    with pytest.raises(ValidationError) as caught:
        Odd.model_validate({"moment": 3})
    assert caught.value.errors()[0]["type"] not in KINDS
    (line,) = told(found_by_pydantic("f", "", caught.value, {"moment": 3}))
    assert line.startswith("f moment: The value is not right.")


@pytest.mark.parametrize(
    ("loc", "place"),
    [
        (("records", 0, "own", 1, "type"), "records[basic].own[sex].type"),
        (("records", 1, "own"), "records[2].own"),
        (("records", 7), "records[8]"),
        (("file", 0), "file[1]"),
        ((), ""),
    ],
)
def test_a_place_calls_entries_of_lists_by_their_names(loc: tuple[str | int, ...], place) -> None:
    values = {
        "records": [{"section": "basic", "own": [{}, {"name": "sex"}]}, {"section": 3}],
        "file": "a.csv",
    }
    assert place_of(loc, values) == place
