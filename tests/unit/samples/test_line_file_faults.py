"""Faults of whole files whose lines stand for themselves, and what the byte gate says to them."""

from __future__ import annotations

import io
from datetime import date

import numpy as np
import pytest

from koukan.codecs.gate import Gate
from koukan.codecs.records import decode_piece
from koukan.errors import UsageError
from koukan.formats import bundle
from koukan.formats.model import Catalogue, Format
from koukan.rules.shares import beyond
from koukan.rules.validate import BAD, validators
from koukan.samples.answers import answer_frames, invented_packages, receipt_frames
from koukan.samples.file_faults import FILE_FAULTS, QUESTION_FAULTS, file_faults
from koukan.samples.line_faults import LINE_FAULTS
from koukan.samples.national import CODES, DISCLOSURE, code_frames, disclosure_frames
from koukan.samples.offered import OWN
from koukan.samples.population import Population
from koukan.samples.questions import MOST_IMMEDIATE, question_frames
from koukan.samples.scenario import SCENARIO
from koukan.samples.usage import usage_frames
from koukan.samples.writing import write_file

DAY, LINES = date(2026, 4, 2), 120
INSURER = SCENARIO.insurers[1]
BEYOND_THE_GATE = {"F101", "F119", "F120", "F121", "F122", "F201", "F206"}
MISSING = {  # what files of a format cannot have, beside what the other syntax alone can
    "my_number_query": {"original"},
    "basic_four_query": {"original", "utf8", "undecodable"},
    "package_receipt": {"original", "utf8", "undecodable", "rejects", "immediate"},
    "pmh_receipt": {"original", "utf8", "undecodable", "rejects", "immediate", "stranger"},
    "nws_receipt": {"original", "utf8", "undecodable", "rejects", "immediate", "stranger"},
    "self_disclosure_request": {"original", "undecodable", "rejects", "immediate", "stranger"},
    "juki_net_answer": {"original", "stranger", "immediate"},
    "usage_log": {"original", "utf8", "undecodable", "stranger", "immediate"},
    "linkage_code_query": {"original", "utf8", "undecodable", "rejects", "immediate"},
    "linkage_code_answer": {"original", "undecodable", "stranger", "immediate"},
    "copy_registration": {"original", "undecodable", "rejects", "immediate"},
    "copy_query": {"original", "utf8", "undecodable", "rejects", "immediate"},
}
each = pytest.mark.parametrize("name", LINE_FAULTS)


def _good(form: Format) -> tuple[str, bytes]:
    persons = np.arange(LINES, dtype=np.int64)
    if form.name in ("package_receipt", "pmh_receipt", "nws_receipt"):
        frames = receipt_frames(form, invented_packages("kenpo-a", 5, persons), insurer=INSURER)
    elif form.name == "juki_net_answer":
        frames = answer_frames(form, Population(5), persons)
    elif form.name == "usage_log":
        payers = [one.number for one in SCENARIO.insurers if one.welfare]
        frames = usage_frames(form, 5, persons, payers=payers, as_of=DAY)
    elif form.name in OWN:
        frames = OWN[form.name](form, 5, persons, insurer=INSURER)
    elif form.name == DISCLOSURE:
        frames = disclosure_frames(form, 5, persons)
    elif form.name == CODES:
        frames = code_frames(form, 5, persons)
    else:
        frames = question_frames(form, Population(5), persons, insurer=INSURER)
    content = io.BytesIO()
    written = write_file(content, form, frames, sender="kenpo-a", sequence=8, creation_date=DAY)
    return written.name, content.getvalue()


@each
def test_a_format_has_the_faults_that_its_files_can_have(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    syntax = {
        key
        for key, fault in {**FILE_FAULTS, **QUESTION_FAULTS}.items()
        if form.file.syntax in fault.syntaxes
    }

    assert set(file_faults(form)) == syntax - MISSING[name]


@each
def test_the_gate_refuses_each_with_its_code(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    good = _good(form)
    assert Gate(form).read([good[1]]).code is None
    for key, fault in file_faults(form).items():
        _, content = fault(*good, form)
        found = Gate(form).read([content]).code
        assert found == (None if fault.code in BEYOND_THE_GATE else fault.code), key


@each
def test_what_the_gate_lets_pass_is_wrong_elsewhere(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    good, faults = _good(form), file_faults(form)
    assert form.file.expression.fullmatch(faults["name"](*good, form)[0]) is None
    verdict = Gate(form).read([faults["control_sequence"](*good, form)[1]])
    assert verdict.control["file_sequence"] == "000009"
    if "stranger" in faults:
        insurers = Gate(form).read([faults["stranger"](*good, form)[1]]).insurers
        assert len(insurers) == 2
    if "immediate" in faults:
        verdict = Gate(form).read([faults["immediate"](*good, form)[1]])
        assert verdict.control["query_mode"] == "1"
        assert verdict.rows > MOST_IMMEDIATE
    for key in {"undecodable", "rejects"} & set(faults):
        _, content = faults[key](*good, form)
        verdict = Gate(form).read([content])
        (decoded,) = decode_piece(form, content[verdict.cuts[0].offset : verdict.cuts[-1].offset])
        (validator,) = validators(bundle(catalogue, name)).values()
        bad = validator.check(decoded.frame, suspicious=decoded.suspicious).columns[BAD]
        unreadable = int(validator.undecodable(decoded.frame).sum())
        assert beyond(form, verdict.rows, unreadable, int(bad.sum())) == faults[key].code


def test_a_fault_that_a_format_cannot_have_is_refused(catalogue: Catalogue) -> None:
    form = catalogue.formats["basic_four_query"]
    with pytest.raises(UsageError) as caught:
        FILE_FAULTS["undecodable"](*_good(form), form)

    assert caught.value.key == "samples.syntax"
