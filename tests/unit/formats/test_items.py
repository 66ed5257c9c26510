"""Items of a documented file: each has one place or a reason, and the place exists."""

from __future__ import annotations

from pathlib import Path

import pytest
from told import told

from koukan.flows.disclosure import COLUMNS
from koukan.formats import Catalogue
from koukan.formats.docs import document
from koukan.formats.items import Items
from koukan.formats.load import load_items
from koukan.shipped import formats_folder

HEAD = (
    'title = "x"\nsource = "x"\nformat = "member_registration"\ntable = "qualification_history"\n'
    '[[sections]]\ntitle = "加入者基本情報"\n'
)


@pytest.fixture(scope="module")
def history(catalogue: Catalogue) -> Items:
    return shipped(catalogue)["qualification_history"]


def shipped(catalogue: Catalogue) -> dict[str, Items]:
    found, problems = load_items(catalogue, formats_folder())
    assert problems == []
    return {one.name: one for one in found}


def problems_of(text: str, folder: Path, catalogue: Catalogue) -> list[str]:
    (folder / "items").mkdir()
    (folder / "items" / "own.toml").write_text(text, "utf-8")
    return told(load_items(catalogue, folder)[1])


@pytest.mark.requirement("R031")
def test_the_history_has_168_items_in_11_sections_with_repeated_names(
    catalogue: Catalogue, history: Items
) -> None:
    """As 別添2 has them; each field of a registration's own sections is one of them, once.

    All that the ten sections of meaning name is kept. Of the 55 that stand last without any, each
    has a place or a reason why nothing here answers to it.
    """
    labels = [item.label for _, item in history.all()]
    assert (len(history.sections), len(labels), len(set(labels))) == (11, 168, 139)
    counts = [len(section.items) for section in history.sections]
    assert counts == [8, 3, 24, 14, 10, 35, 5, 7, 6, 1, 55]
    fields = [
        (section.record, field.name)
        for section, item in history.all()
        if (field := history.field_of(catalogue, section, item)) is not None
    ]
    form = catalogue.formats[history.format]
    own = [(record.section, field.name) for record in form.records for field in record.own]
    assert sorted(map(str, fields)) == sorted(map(str, own))
    assert all(item.kept for section in history.sections[:-1] for item in section.items)
    assert all(item.kept or (item.note and item.note_ja) for _, item in history.all())
    assert sum(not item.kept for _, item in history.all()) == 21


@pytest.mark.requirement("R112")
def test_a_record_of_provision_has_the_13_items_of_the_source_in_its_order(
    catalogue: Catalogue,
) -> None:
    """All of them are kept, each in a column of its own, and none is a 個人番号."""
    items = shipped(catalogue)["provision_records"]
    assert [item.label for _, item in items.all()] == [
        *("機関別符号", "処理通番", "処理通番の枝番", "事務名称", "事務手続名称"),
        *("情報照会者部署名称", "情報提供者部署名称", "提供の求めの日時", "提供の日時"),
        *("特定個人情報名称", "不開示コード", "過誤事由コード", "被保険者枝番"),
    ]
    names = {term.label: term.name for term in catalogue.terms}
    found = []
    for section, item in items.all():
        field = items.field_of(catalogue, section, item)
        column = field.name if field else str(item.column).removeprefix("provision_records.")
        assert column == names[item.label]
        found.append(column)
    assert list(COLUMNS)[:13] == found


def test_the_document_says_where_each_is(catalogue: Catalogue, history: Items) -> None:
    text = document(catalogue, [history])
    for row in (
        "| 住所 | `qualification_history` `address` (basic) |  |",
        "| PMH-ID | `pmh_issues` `pmh_id` |  |",
        "| 受付番号 | `qualification_history` `reception` |  |",
        "| ファイル名 | 台帳 ledger `reception.file_name` |  |",
        "| 制度 | `site.toml` `insurer.kind` |  |",
        "| 受付明細枝番 | – | 一行が一件で、枝番に分かれない。<br>A line is one entry",
    ):
        assert row in text


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ('record = "basic"\nitems = ["住所", { label = "x", field = "address" }]', ""),
        ('record = "basic"\nitems = ["住所２"]', "no field that the item 住所２ could be"),
        ('record = "basic"\nitems = [{ label = "x", field = "y" }]', "no field that the item x"),
        ('record = "basis"\nitems = []', "加入者基本情報.record: basis is not defined."),
        ('items = [{ label = "x" }]', "The item x has no place, or more than one."),
        ('items = [{ label = "x", note = "y" }]', "The item x has no place"),
        ('items = [{ label = "x", site = "a.b", ledger = "a.b" }]', "or more than one"),
        ('items = [{ label = "x", column = "nowhere" }]', "It is not"),
    ],
)
def test_an_item_without_a_place_is_told(
    catalogue: Catalogue, tmp_path: Path, section: str, wanted: str
) -> None:
    found = problems_of(HEAD + section, tmp_path, catalogue)
    assert len(found) == bool(wanted)
    assert all(wanted in one for one in found)


def test_a_file_of_a_format_that_is_not_there_is_told(catalogue: Catalogue, tmp_path: Path) -> None:
    text = HEAD.replace("member_registration", "member_list") + "items = []"
    assert "member_list is not defined" in "".join(problems_of(text, tmp_path, catalogue))


def test_a_file_that_is_no_toml_is_told(catalogue: Catalogue, tmp_path: Path) -> None:
    assert "own.toml" in "".join(problems_of("title =", tmp_path, catalogue))
