"""What golden cases show of the requirements, read from what they came to."""

from __future__ import annotations

import re

import pytest

Results = dict[str, str]
TABLES = ("== entrusted_partition", "== qualification_history", "== spells")


def events(text: str, section: str) -> list[str]:
    """Lines of the history that tell of a section."""
    history = text.partition("== qualification_history\n")[2]
    return [line for line in history.splitlines() if f" {section} P" in line]


@pytest.mark.requirement("R002")
def test_every_class_of_person_gets_into_the_history_whatever_the_name(results: Results) -> None:
    cases = {"1": "new", "2": "person-coming", "3": "person-household", "4": "kind-welfare"}
    for code, name in cases.items():
        (event,) = events(results[name], "basic")
        assert f"member_class_code={code}" in event
    (foreigner,) = events(results["person-foreign"], "basic")
    assert "name=ＫＡＫＵ　ＴＡＲＯ" in foreigner and "other_name=架空　太郎" in foreigner


@pytest.mark.requirement("R014")
@pytest.mark.parametrize("name", ["f101", "f110", "f111", "f112-layout", "f-f117"])
def test_what_is_outside_the_layout_is_not_taken_in(results: Results, name: str) -> None:
    """An item more, another section, another layout, a longer record, another file."""
    assert re.search("^11,2,F", results[name], re.MULTILINE)
    assert not any(table in results[name] for table in TABLES)


@pytest.mark.requirement("R021")
@pytest.mark.parametrize("kind", ["change", "loss"])
def test_a_change_or_loss_tells_the_person_whole_or_is_rejected(
    results: Results, kind: str
) -> None:
    for name, code in ((f"{kind}-incomplete", "R304"), (f"{kind}-without-address", "R101")):
        assert code in results[name]
        for section in ("basic", "qualification", "certificate"):
            (event,) = events(results[name], section)  # the registration's alone
            assert event.startswith("#1 ")
    good = results["change" if kind == "change" else "reentry"]
    for section in ("basic", "qualification", "certificate"):
        assert any(line.startswith("#2 ") for line in events(good, section))


@pytest.mark.requirement("R035")
def test_spells_of_welfare_go_from_its_beginning_to_its_suspension_or_end(
    results: Results,
) -> None:
    told = results["welfare-spells"].partition("== spells\n")[2].splitlines()
    assert [re.sub(" told.*", "", line) for line in told] == [
        "P1 a M1 2026-04-01–2026-06-01 loss_reason=06",
        "P1 a M1 2026-09-01–2026-12-01 loss_reason=07",
    ]


@pytest.mark.requirement("R041")
def test_the_dead_are_kept_like_the_living(results: Results) -> None:
    """The same files, once with a death and once without: nothing else differs."""
    dead, living = (
        results[name].partition("== AK")[2].replace(name, "who")
        for name in ("loss-of-the-dead", "loss-of-the-living")
    )
    assert dead != living
    assert dead.count("death_flag=1") == 2
    alike = dead.replace("death_flag=1", "death_flag=0").replace("loss_reason=01", "loss_reason=99")
    assert alike == living


@pytest.mark.requirement("R028")
def test_who_has_no_number_is_in_the_partition_and_not_in_the_history(results: Results) -> None:
    told = results["waiting"]
    for section in ("basic", "qualification", "certificate"):
        for reception in ("#1", "#2"):
            assert re.search(f"^{reception} line . {section} M1 -$", told, re.MULTILINE)
        (event,) = events(told, section)  # from the number's coming on
        assert event.startswith("#3 ")


@pytest.mark.requirement("R039")
def test_a_replaced_member_id_or_insurer_is_kept_beside_what_replaces_it(results: Results) -> None:
    told = results["change-member-id"]
    assert re.search(r"^#. renumbered a M1 .* M2$", told, re.MULTILINE)
    members = {line.split()[6] for line in events(told, "qualification")}
    assert {"M1", "M2"} <= members
    moved = [line for line in events(results["change-insurer-code"], "qualification")
             if "former_insurer_code=a" in line]  # fmt: skip
    assert moved and all(" b M" in line for line in moved)
