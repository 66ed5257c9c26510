"""Golden cases: every event, every code and every kind of insurer, from file to history.

`pytest tests/golden --update` writes expected files anew; whoever does so reads what changed.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from golden.cases import Case, cases
from golden.runner import Golden

from koukan.engine.offline import check_file
from koukan.formats import Catalogue
from koukan.rules.checkdigits import complete

CASES = cases()
Results = dict[str, str]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.prefix)
def test_a_case_comes_to_what_is_expected(
    case: Case, results: Results, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("update"):
        case.expected.write_text(results[case.prefix], encoding="utf-8")
    assert results[case.prefix] == case.expected.read_text(encoding="utf-8")


# --- nothing is left out

EVENTS = (
    "new",
    "new.known",
    "new.known_elsewhere",
    "reentry",
    "change",
    "change.new_number",
    "change.joins",
    "change.new_member_id",
    "change.new_insurer_code",
    "new.waiting",
    "loss",
    "loss.death",
    "correction",
    "cancellation",
    "withdrawal.coming",
    "withdrawal.household",
    "parting.stranger",
    "parting.undoes_change",
)
NOT_BY_A_FILE = {  # codes of files and lines that no registration file alone can get
    "F102": "more bytes than the format allows: eight gigabytes",
    "F203": "every kind of insurer may register",
    "F204": "questions only",
    "F205": "questions only",
    "F206": "questions only",
    "F901": "an operator refuses a held file",
    "H103": "an operator releases a file behind a gap, and then the missing one comes",
    "H104": "only where a policy holds what it would refuse",
    "H105": "only where a policy holds what it would refuse",
    "H201": "answers of 住基ネット only",
    "H202": "answers of 住基ネット only",
    "H203": "answers of 住基ネット only",
    "H204": "answers of 住基ネット only",
    "H205": "logs of OQS only",
    "F175": "logs of OQS only",
    "D501": "receipts only",
    "R109": "no field of a registration has a delimiter of its own",
    "R110": "receipts only",
    "R220": "answers of 住基ネット only",
    "R221": "questions only",
    "R306": "questions and receipts only",
    "R501": "receipts only",
    "R502": "receipts only",
    "R503": "answers of 住基ネット only",
    "W411": "the review behind the night tells it, in a notice",
    **dict.fromkeys(("F130", "F131", "F132"), "a marker beside the file brings it about"),
    **dict.fromkeys(("F171", "F172"), "of a request of PMH's, or of NWS's"),
    **dict.fromkeys(("R701", "R702", "R703"), "why PMH gets no PMH-ID, told to the operator"),
    **dict.fromkeys(
        ("R711", "R712", "R713", "R714"), "why a request for self-disclosure gets none"
    ),
    **dict.fromkeys(("R207", "R228", "R229", "R230", "R308"), "copies (副本) only"),
    **dict.fromkeys(("R506", "R507", "R508"), "copies (副本) only"),
    "W412": "the review behind the night tells it, in a notice",
    **dict.fromkeys(("R504", "R505", "W431", "W432"), "what an insurer asks codes for"),
    **dict.fromkeys(("H211", "H212", "H213", "H214", "H215"), "answers of NWS only"),
    **dict.fromkeys(("D502", "R227"), "answers of NWS only"),
    **dict.fromkeys(("F181", "F182", "F183", "F184"), "answers to our own pushes only"),
    **dict.fromkeys(("H301", "H302", "H303", "D601"), "answers to our own pushes only"),
    "W501": "only where a policy or an operator lets it pass",
    "W502": "depends on the day of its coming",
    "W503": "only where a policy or an operator lets it pass",
    "W504": "only where a policy or an operator lets it pass",
}
ORIGINAL = "F122"  # which receptions there are
KIND = "R222"  # the insurer's kind stands in site.toml
SITE = ("F2", "H1", "R4", "W401", "W411", "W412", "W422", "W5")  # what only the centre can tell
CODE = re.compile(r"^(?:11,[0-9],|13,[^,]*,|21,(?:[^,]*,){4})([A-Z][0-9]{3}),", re.MULTILINE)


def test_every_code_that_a_registration_file_can_get_has_a_case(catalogue: Catalogue) -> None:
    shown = {
        code for case in CASES for code in CODE.findall(case.expected.read_text(encoding="utf-8"))
    }
    assert sorted(set(catalogue.reasons) - shown - set(NOT_BY_A_FILE)) == []
    assert sorted(set(NOT_BY_A_FILE) & shown) == []


def test_a_case_named_after_a_code_shows_it() -> None:
    for case in CASES:
        if re.match(r"[fhdrw][0-9]{3}", case.name) and case.name != "d101-same-name":
            assert case.name[:4].upper() in case.expected.read_text(encoding="utf-8"), case.name


def test_every_event_and_every_process_type_has_a_case(catalogue: Catalogue) -> None:
    assert sorted({event for case in CASES for event in case.shows}) == sorted(EVENTS)
    accepted = {
        found
        for case in CASES
        for found in re.findall(
            r"process_type_code=([0-9])", case.expected.read_text(encoding="utf-8")
        )
    }
    assert sorted(accepted) == sorted(catalogue.codes["process_type"].values)


@pytest.mark.requirement("R001")
def test_every_kind_of_insurer_has_a_case_that_is_accepted(catalogue: Catalogue) -> None:
    for kind in catalogue.kinds:
        (case,) = [case for case in CASES if case.name == f"kind-{kind.replace('_', '-')}"]
        assert set(case.insurers.values()) == {kind}
        assert "\n11,1,,,,,,0000" in case.expected.read_text(encoding="utf-8")


def test_expected_files_hold_no_number_that_was_issued_or_given() -> None:
    """What is committed is the same whoever runs it, and names nobody."""
    for case in CASES:
        text = case.expected.read_text(encoding="utf-8")
        assert not re.findall(r"(?<![0-9])[0-9]{16}(?![0-9])", text), case.name
        for number in re.findall(r"(?<![0-9])[0-9]{12}(?![0-9])", text):
            body = np.array([int(number[:-1])])
            assert complete("my_number", body).item() != int(number), case.name


# --- what a sender can know beforehand


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.prefix)
def test_the_offline_checker_says_of_a_file_what_its_results_say(
    case: Case, golden: Golden, results: Results, catalogue: Catalogue, tmp_path: Path
) -> None:
    """In the same words; but for what only the centre knows: its rights, order and history."""
    name, laid = golden.told[case.prefix].sent[0]
    acknowledgement, *others = results[case.prefix].split("\n== ")[1:]
    outcome = re.compile(r"^11,[0-9],([A-Z][0-9]{3}),.*,([0-9]*),[0-9]*$", re.MULTILINE)
    refusal = outcome.search(acknowledgement)
    lines = re.findall(r"^21,(.*)$", others[0], re.MULTILINE) if others and not refusal else []
    told = {tuple(line.split(",")[number] for number in (0, 4, 5, 6, 7)) for line in lines}
    told = {one for one in told if one[1]}
    codes = {one[1] for one in told} | ({refusal[1]} if refusal else set())
    if any(code.startswith(SITE) or code in (KIND, ORIGINAL) for code in codes):
        pytest.skip("only the centre knows")
    (tmp_path / name).write_bytes(laid)
    report = check_file(tmp_path / name, catalogue, case.format)
    if refusal:
        assert (report.code, str(report.line or "")) == refusal.groups()
        return
    assert report.code is None
    found = {(str(one.line), one.code, one.label, one.text, one.action) for one in report.findings}
    assert found == told
