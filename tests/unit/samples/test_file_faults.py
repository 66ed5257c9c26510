"""Faults of whole files: every F1 code, and what the byte gate says to them."""

from __future__ import annotations

import gzip
import io
from datetime import date

import pytest

from koukan.codecs.gate import Gate
from koukan.errors import UsageError
from koukan.formats.model import Catalogue, Format
from koukan.samples.faults import FILE_FAULTS
from koukan.samples.population import Population
from koukan.samples.registration import registration_frames, write_file
from koukan.samples.scenario import SCENARIO

DAY = date(2026, 4, 2)
BEYOND_THE_GATE = {"F101", "F119", "F120", "F121", "F122", "F201"}


def _good(form: Format) -> tuple[str, bytes]:
    people = Population(5).people(0, 40)
    frames = registration_frames(form, people, insurer=SCENARIO.insurers[1], as_of=DAY)
    content = io.BytesIO()
    written = write_file(content, form, frames, sender="kenpo-a", sequence=8, creation_date=DAY)
    return written.name, content.getvalue()


def _cases(form: Format) -> dict[str, tuple[str, bytes]]:
    good = _good(form)
    return {
        key: fault(*good, form)
        for key, fault in FILE_FAULTS.items()
        if form.file.syntax in fault.syntaxes
    }


def test_every_code_that_bytes_can_bring_about_is_there(catalogue: Catalogue) -> None:
    # Of a file's own bytes; F13 needs a marker beside it, F17 are requests of PMH and logs of OQS.
    codes = {code for code in catalogue.reasons if code.startswith(("F10", "F11", "F12"))}
    codes.remove("F102")

    assert {fault.code for fault in FILE_FAULTS.values()} == codes | {"F201"}


def test_the_gate_refuses_each_with_its_code(form: Format) -> None:
    for key, (_, content) in _cases(form).items():
        code = FILE_FAULTS[key].code
        found = Gate(form).read([content]).code
        assert found == (None if code in BEYOND_THE_GATE else code), key


def test_what_the_gate_lets_pass_is_wrong_elsewhere(form: Format) -> None:
    name, good = _good(form)
    cases = _cases(form)

    assert form.file.expression.fullmatch(cases["name"][0]) is None
    assert cases["name"][1] == good
    control = Gate(form).read([cases["control_sequence"][1]]).control
    assert (control["file_sequence"], name[-10:-4]) == ("000009", "000008")
    undecodable = cases["undecodable"][1].split(b"\r\n")
    assert sum(b"\xff" in line for line in undecodable) == 40
    insurers = Gate(form).read([cases["stranger"][1]]).insurers
    assert len(insurers) == 2
    assert not set(insurers) <= {insurer.code for insurer in SCENARIO.insurers}
    head = 14 if form.file.syntax == "csv" else 12
    lines = cases["rejects"][1].split(b"\r\n")[1:-2]
    assert {line[head : head + 1] for line in lines} == {b"3"}


def test_a_gzip_is_the_same_every_time(csv_form: Format) -> None:
    name, good = _good(csv_form)
    spoilt = FILE_FAULTS["gzip"](name, good, csv_form)

    assert spoilt == FILE_FAULTS["gzip"](name, good, csv_form)
    assert spoilt[0] == name
    assert gzip.decompress(spoilt[1]) == good


def test_a_mistake_of_the_other_syntax_is_refused(csv_form: Format) -> None:
    with pytest.raises(UsageError) as caught:
        FILE_FAULTS["record_length"](*_good(csv_form), csv_form)

    assert caught.value.key == "samples.syntax"
