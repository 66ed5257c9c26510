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
