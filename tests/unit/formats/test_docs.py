"""The document says everything that the definitions say, and nothing else."""

from __future__ import annotations

import re

import pytest

from koukan.formats import Catalogue, require_catalogue
from koukan.formats.docs import document
from koukan.shipped import formats_folder


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return require_catalogue(formats_folder())


@pytest.fixture(scope="module")
def text(catalogue: Catalogue) -> str:
    return document(catalogue)


def test_every_field_stands_in_its_format_with_label_name_and_length(
    catalogue: Catalogue, text: str
) -> None:
    notes = {term.label: term.note for term in catalogue.terms}
    for form in catalogue.formats.values():
        start = text.index(f'<a id="{form.name}">')
        chapter = text[start : text.find("<a id=", start + 1)]
        for item in form.all_fields:
            row = next(
                line for line in chapter.splitlines() if line.startswith(f"| {item.label} |")
            )
            assert f"`{item.name}`" in row
            assert str(item.length) in row
            assert item.note in chapter and (item.note_ja or notes[item.label]) in chapter
        assert form.purpose_ja in chapter and form.note_ja in chapter


def test_codes_reject_codes_rights_and_terms_are_all_told(catalogue: Catalogue, text: str) -> None:
    for codes in catalogue.codes.values():
        assert all(f"| `{value}` | {name} |" in text for value, name in codes.values.items())
    for code, reason in catalogue.reasons.items():
        assert f"| {code} | {reason.title}<br>{reason.title_en} |" in text
        assert reason.action in text and reason.action_en in text
    for right in catalogue.rights:
        assert right.title in text
        assert all(catalogue.doors[door] in text for door in right.doors)
    assert all(f"| {term.label} | `{term.name}` |" in text for term in catalogue.terms)


def test_checks_over_several_fields_are_told_where_they_belong(
    catalogue: Catalogue, text: str
) -> None:
    form = catalogue.formats["member_registration"]
    start = text.index('<a id="member_registration">')
    chapter = text[start : text.index("<a id=", start + 1)]
    common, *records = re.split(r"\n### [0-9]{2} ", chapter)
    for told, checks in zip(
        (common, *records), (form.checks, *(one.checks for one in form.records)), strict=True
    ):
        rows = [line for line in told.splitlines() if re.match(r"\| R[0-9]{3} ", line)]
        assert [row[2:6] for row in rows] == [check.code for check in checks]
        assert all(f" `{check.use}` |" in row for row, check in zip(rows, checks, strict=True))


def test_variants_are_told_with_their_numbers(text: str) -> None:
    assert "| 辺 | 邊（U+908A）、邉（U+9089） |" in text
    assert "| 神 | \ufa19（U+FA19） |" in text


def test_it_says_that_the_layouts_are_our_own_choice(text: str) -> None:
    assert "our own documented choice" in text


def test_every_link_inside_has_its_place(text: str) -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(re.findall(r'<a id="([^"]+)">', text))


def test_rows_of_a_table_have_as_many_cells_as_its_head(text: str) -> None:
    width = 0
    for line in text.splitlines():
        cells = len(re.split(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert cells in (width, 0) or not width
        width = cells


def test_fixed_width_tells_the_bytes_of_each_field(text: str) -> None:
    assert "（100 bytes）" in text[text.index('<a id="member_registration_fixed">') :]


def test_a_format_without_note_or_common_fields_has_no_such_chapter(catalogue: Catalogue) -> None:
    form = catalogue.formats["acknowledgement"]
    bare = form.model_copy(update={"name": "bare", "note": "", "note_ja": "", "common": ()})
    told = document(catalogue.model_copy(update={"formats": {"bare": bare}}))
    assert form.purpose in told
    assert "First fields of every record" not in told
    assert form.note not in told


def test_a_site_may_explain_itself_in_one_language(catalogue: Catalogue) -> None:
    form = catalogue.formats["acknowledgement"]
    for part, other in (("purpose_ja", "purpose"), ("note_ja", "note")):
        spoken = form.model_copy(update={part: ""})
        told = document(catalogue.model_copy(update={"formats": {spoken.name: spoken}}))
        assert f"\n{getattr(form, other)}\n" in told
