"""What a definition says about its fields."""

from __future__ import annotations

import pytest
from plain_files import shipped_format
from pydantic import ValidationError

from koukan.formats import Catalogue
from koukan.formats.model import Field, File


def field(**values: object) -> Field:
    return Field.model_validate({"name": "a", "label": "あ", "length": 8, **values})


@pytest.mark.parametrize(
    ("kind", "more", "ascii_only", "shortest", "slot"),
    [
        ("digits", {}, True, 8, 8),
        ("digits", {"min_length": 6}, True, 6, 8),
        ("ascii", {}, True, 1, 8),
        ("ascii", {"min_length": 2}, True, 2, 8),
        ("code", {"codes": "sex"}, True, 1, 8),
        ("date", {}, True, 8, 8),
        ("datetime", {}, True, 8, 8),
        ("text", {}, False, 1, 16),
        ("kana", {}, False, 1, 16),
    ],
)
def test_a_fields_lengths_follow_from_its_type(
    kind: str, more: dict[str, object], ascii_only: bool, shortest: int, slot: int
) -> None:
    item = field(type=kind, **more)
    assert (item.is_ascii, item.shortest, item.slot) == (ascii_only, shortest, slot)


@pytest.mark.parametrize("name", ["", "A", "1a", "a-b", "あ", "a b"])
def test_a_name_is_a_plain_identifier(name: str) -> None:
    with pytest.raises(ValidationError):
        field(type="text", name=name)


def test_a_definition_cannot_be_changed() -> None:
    item = field(type="text")
    with pytest.raises(ValidationError):
        item.length = 9  # type: ignore[misc]


def test_a_file_knows_its_names_and_its_line_end() -> None:
    file = File(pattern=r"^A_(?P<sequence>[0-9]{2})\.csv$", example="A_01.csv", newline="lf")
    assert file.line_end == b"\n"
    found = file.expression.fullmatch("A_17.csv")
    assert found is not None
    assert found["sequence"] == "17"
    assert shipped_format("csv").file.line_end == b"\r\n"


def test_records_are_found_by_code_and_by_section() -> None:
    form = shipped_format("csv")
    assert form.record("02") is form.section("qualification")
    assert form.fields(form.record("02"))[: len(form.common)] == form.common
    with pytest.raises(StopIteration):
        form.record("77")


def test_sensitive_fields_are_those_that_say_so() -> None:
    form = shipped_format("csv")
    assert {"my_number", "new_my_number", "name", "address", "birth_date"} <= form.sensitive
    assert not {"record_number", "insurer_code", "sender"} & form.sensitive


@pytest.mark.parametrize("form", ["member_registration", "member_registration_fixed"])
@pytest.mark.requirement("R023")
def test_who_may_register_and_through_which_door(catalogue: Catalogue, form: str) -> None:
    every = ("dedicated_terminal", "server_link", "nhi_aggregation", "pmh_link")
    for kind in catalogue.kinds:
        own = ("nhi_aggregation",) if kind == "municipal_nhi" else every[:2]
        for door in every:
            expected = None if door in own else "F202"
            assert catalogue.allowed(form, kind, door) == expected
    assert catalogue.allowed(form, "private_person", "server_link") == "F203"
    assert catalogue.allowed("acknowledgement", "association", "server_link") == "F203"
