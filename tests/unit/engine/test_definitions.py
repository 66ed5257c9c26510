"""What `koukan check` says of definitions that fit by themselves and not together."""

from __future__ import annotations

from pathlib import Path

from koukan.engine.definitions import definition_problems
from koukan.shipped import formats_folder


def test_a_result_that_is_narrower_than_its_answer_is_told(tmp_path: Path) -> None:
    shipped = (formats_folder() / "my_number_result.toml").read_text(encoding="utf-8")
    name = 'label = "住所"\ntype = "text"\nlength = 100'
    assert name in shipped
    (tmp_path / "formats").mkdir()
    changed = shipped.replace(name, name.replace("100", "99"))
    (tmp_path / "formats" / "my_number_result.toml").write_text(changed, encoding="utf-8")
    found = [(item.file, item.place, item.key) for item in definition_problems(tmp_path)]
    assert ("formats/my_number_result.toml", "address", "definitions.narrower") in found


def test_places_of_items_that_do_not_exist_are_told(tmp_path: Path) -> None:
    name = "qualification_history.toml"
    text = (formats_folder() / "items" / name).read_text(encoding="utf-8")
    (tmp_path / "formats" / "items").mkdir(parents=True)
    for place in ("pmh_issues.pmh_id", "reception.file_name", "insurer.kind", "vault.token_hi"):
        assert f'"{place}"' in text
        text = text.replace(f'"{place}"', f'"{place}_x"')
    (tmp_path / "formats" / "items" / name).write_text(text, encoding="utf-8")
    found = [item.where for item in definition_problems(tmp_path) if "items" in item.file]
    assert {one["field"] for one in found} == {"PMH-ID", "ファイル名", "制度", "個人番号"}


def test_a_field_whose_column_is_not_in_the_table_is_told(tmp_path: Path) -> None:
    name = "qualification_history.toml"
    text = (formats_folder() / "items" / name).read_text(encoding="utf-8")
    (tmp_path / "formats" / "items").mkdir(parents=True)
    text = text.replace('table = "qualification_history"', 'table = "vault"')
    (tmp_path / "formats" / "items" / name).write_text(text, encoding="utf-8")
    found = [item for item in definition_problems(tmp_path) if "items" in item.file]
    assert len(found) == 104 and {item.key for item in found} == {"definitions.item_nowhere"}
