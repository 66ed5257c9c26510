"""`koukan sample` of questions, receipts and answers; registrations are shown in test_files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from package_support import pair

from koukan.codecs.gate import Gate, Verdict
from koukan.formats import Catalogue
from koukan.samples.file_faults import QUESTION_FAULTS
from koukan.samples.line_faults import LINE_FAULTS
from koukan.samples.offered import formats_offered
from koukan.sites import PublicKey

NAMES = {
    "my_number_query": "NQ_kenpo-a_000001.csv",
    "basic_four_query": "BQ_kenpo-a_000001.csv",
    "package_receipt": "PR_kenpo-a_000001.csv",
    "juki_net_answer": "JA_juki-net_000001.dat",
    "linkage_code_query": "CQ_kenpo-a_000001.csv",
    "copy_registration": "CP_kenpo-a_000001.csv",
    "copy_query": "CV_kenpo-a_000001.csv",
    "linkage_code_answer": "NC_nws_000001.csv",
}
each = pytest.mark.parametrize("name", NAMES)


def sample(call, folder: Path, name: str, *options: str) -> bytes:
    said = call("sample", name, "--output", str(folder), *options, "--json")
    assert said.code == 0, said.err
    path = Path(said.document["path"])
    content = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    return content


def verdict(catalogue: Catalogue, name: str, content: bytes) -> Verdict:
    return Gate(catalogue.formats[name]).read([content])


@each
def test_a_sample_has_its_agreed_name_and_passes_the_gate(
    call, tmp_path, catalogue: Catalogue, name: str
) -> None:
    said = call("sample", name, "--output", str(tmp_path), "--rows", "31")
    path = tmp_path / NAMES[name]
    found = verdict(catalogue, name, path.read_bytes())

    assert said.code == 0
    assert (found.code, found.rows) == (None, 31)
    assert path.read_bytes().count(b"\r\n") == 31 + 2
    assert f"{path.name}：31 行" in said.out
    assert f"koukan validate --format {name} {path}\n" in said.err  # as it stands, it can be typed
    assert call("validate", "--format", name, str(path)).code == 0


def test_a_whole_record_has_lines_that_not_everybody_has(call, tmp_path, catalogue) -> None:
    form = catalogue.formats["member_registration"]
    content = sample(call, tmp_path, form.name, "--whole-record", "--rows", "3000")
    types = {line[11:13].decode() for line in content.split(b"\r\n")[1:-2]}
    options = ("--whole-record", "--output", str(tmp_path), "--json")
    missing = call("sample", "my_number_query", *options)

    # A health society issues no 医療券.
    assert types == {record.code for record in form.records} - {"05"}
    assert verdict(catalogue, form.name, content).code is None
    assert (missing.code, missing.error["key"]) == (64, "samples.no_whole_record")


@each
def test_the_same_seed_gives_the_same_file_and_another_one_another(
    call, tmp_path, name: str
) -> None:
    contents = [sample(call, tmp_path, name, "--seed", str(seed)) for seed in (4, 4, 5)]

    assert contents[0] == contents[1] != contents[2]


@each
def test_all_faults_of_lines_fit_into_one_file(
    call, tmp_path, catalogue: Catalogue, name: str
) -> None:
    codes = LINE_FAULTS[name]
    options = [part for code in codes for part in ("--fault", code)]
    added = sum(fault.added for fault in codes.values())
    content = sample(call, tmp_path, name, "--rows", "60", *options)

    assert content != sample(call, tmp_path, name, "--rows", "60")
    assert verdict(catalogue, name, content).rows == 60 + added


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("", ("2", 300)),
        ("--mode 2", ("2", 300)),
        ("--mode 1", ("1", 10)),
        ("--mode 1 --rows 11", ("1", 11)),
        ("--fault F206", ("1", 300)),
    ],
)
@pytest.mark.parametrize("name", ["my_number_query", "basic_four_query"])
def test_the_mode_stands_in_the_control_record(
    call, tmp_path, name: str, options: str, wanted: tuple[str, int]
) -> None:
    content = sample(call, tmp_path, name, *options.split()).decode("cp932")
    control, *lines, _ = content.splitlines()

    assert (control[-1], len(lines)) == wanted


@each
def test_a_spoilt_file_is_refused_by_the_gate(
    call, tmp_path, catalogue: Catalogue, name: str
) -> None:
    of_syntax = "F117" if name == "juki_net_answer" else "F110"
    for fault, code in (("torn", "F106"), ("count", "F114"), (of_syntax, of_syntax)):
        content = sample(call, tmp_path, name, "--fault", fault)
        assert verdict(catalogue, name, content).code == code


@pytest.mark.parametrize(
    ("options", "name", "control"),
    [
        (["--sender", "kyokai", "--sequence", "7"], "MR_kyokai_000007.csv", ("kyokai", "000007")),
        ([], "MR_kyokai_000002.csv", ("kyokai", "000002")),  # as the name says
        ([], "own.csv", ("kenpo-a", "000001")),
    ],
)
def test_sender_and_number_are_those_that_were_asked_for(
    call, tmp_path, catalogue: Catalogue, *, options, name: str, control
) -> None:
    target = tmp_path if options else tmp_path / name
    options = [*options, "--rows", "3"]
    said = call("sample", "member_registration", "--output", str(target), *options)
    found = verdict(catalogue, "member_registration", (tmp_path / name).read_bytes())

    assert (found.control["sender"], found.control["file_sequence"]) == control
    number = int(control[1])
    assert f"exchange/{control[0]}/inbox/" in said.err
    assert f"--sender {control[0]} --sequence {number + 1} --seed 2" in said.err


SATO = PublicKey(bytes(range(32)))
NOTE = re.compile(r"^# ?", re.MULTILINE)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_example_site_shows_how_to_add_somebody(
    call, tmp_path, catalogue: Catalogue, language: str
) -> None:
    text = call("sample", "site", "--lang", language).out
    path = tmp_path / "site.toml"
    path.write_text(text, "utf-8")
    assert call("check", "--root", str(tmp_path)).code == 0
    lines = [line for line in text.splitlines() if not line.startswith("##")]
    more = NOTE.sub("", "\n".join(lines))
    more = more.replace("age1…", pair().public).replace("ssh-ed25519 AAAA…", str(SATO))
    path.write_text(more, "utf-8")

    assert call("check", "--root", str(tmp_path)).code == 0
    # and its sender can be given a sample at once
    options = ("--root", str(tmp_path), "--sender", "kenpo-c", "--rows", "6")
    for name in ("member_registration", "my_number_query"):
        said = call("sample", name, "--output", str(tmp_path), *options, "--json")
        found = Path(said.document["path"])
        verdict_of_it = verdict(catalogue, name, found.read_bytes())
        assert (verdict_of_it.code, list(verdict_of_it.insurers)) == (None, ["06990030"])
        assert call("validate", str(found)).code == 0
    said = call("sample", "member_registration_fixed", "--output", str(tmp_path), *options[:2])
    assert (tmp_path / "MF_kenpo-a_000001.dat").is_file()


def test_a_welfare_office_can_ask_in_bulk(call, tmp_path, catalogue: Catalogue) -> None:
    content = sample(call, tmp_path, "basic_four_query", "--sender", "fukushi", "--rows", "3")

    assert verdict(catalogue, "basic_four_query", content).control["sender"] == "fukushi"


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["juki_net_request"], "cli.no_format"),
        (["my_number_query", "--fault", "R201"], "samples.fault"),
        (["basic_four_query", "--fault", "undecodable"], "samples.syntax"),
        (["member_registration", "--fault", "immediate"], "samples.syntax"),
        (["member_registration", "--mode", "2"], "samples.no_mode"),
        (["package_receipt", "--mode", "1"], "samples.no_mode"),
        (["my_number_query", "--mode", "3"], "cli.bad_choice"),
        (["my_number_query", "--sender", "nhi-aggregation"], "samples.no_sender"),
        (["juki_net_answer", "--sender", "kenpo-a"], "samples.no_sender"),
        (["member_registration", "--sequence", "0"], "cli.bad_value"),
        (["basic_four_query", "--fault", "torn", "--fault", "F114"], "cli.one_file_fault"),
    ],
)
def test_what_cannot_be_sampled_is_said(call, tmp_path, arguments, key) -> None:
    said = call("sample", *arguments, "--output", str(tmp_path / "x"), "--json")

    assert (said.code, said.out, said.error["key"]) == (64, "", key)
    assert list(tmp_path.iterdir()) == []


def test_more_faults_than_lines_make_the_file_longer(call, tmp_path, catalogue: Catalogue) -> None:
    options = ("--rows", "1", "--fault", "R306", "--fault", "R201", "--fault", "D301")
    found = verdict(
        catalogue, "basic_four_query", sample(call, tmp_path, "basic_four_query", *options)
    )

    assert (found.code, found.rows) == (None, 5)


def test_answers_with_more_faults_than_found_persons_are_not_made(call, tmp_path) -> None:
    options = [part for _ in range(40) for part in ("--fault", "R220")]
    said = call(
        "sample", "juki_net_answer", "--output", str(tmp_path), "--rows", "1", *options, "--json"
    )

    assert (said.code, said.error["key"]) == (64, "samples.too_small")
    assert list(tmp_path.iterdir()) == []


def test_a_question_file_has_a_fault_of_its_own() -> None:
    assert {fault.code for fault in QUESTION_FAULTS.values()} == {"F206"}


@pytest.mark.parametrize("options", [(), ("--rows", "12", "--sequence", "2")])
def test_a_request_of_pmh_is_one_number_a_line(
    call, catalogue: Catalogue, tmp_path: Path, options: tuple[str, ...]
) -> None:
    found = verdict(catalogue, "pmh_request", sample(call, tmp_path, "pmh_request", *options))
    assert found.code is None and found.rows == (12 if options else 300)


def test_an_answer_to_a_push_tells_of_each_person(call, tmp_path, catalogue: Catalogue) -> None:
    """The second one is to the second push; some are refused."""
    options = ("--rows", "500", "--sequence", "2")
    content = sample(call, tmp_path, "online_response", *options)
    found = verdict(catalogue, "online_response", content)
    assert (found.code, found.rows) == (None, 500)
    assert (found.control["push_sequence"], found.control["person_count"]) == (
        "000002",
        f"{500:010d}",
    )
    types = [line[11:13] for line in content.split(b"\r\n")[1:-2]]
    assert 0 < types.count(b"67") < 30 and types.count(b"66") + types.count(b"67") == 500
    path = tmp_path / "OA_oqs_000001.csv"
    assert call("sample", "online_response", "--output", str(path)).code == 0
    assert call("validate", str(path)).code == 0


@pytest.mark.parametrize("name", ["pmh_request", "online_response"])
def test_formats_without_faults_in_lines_say_so(call, tmp_path, name: str) -> None:
    said = call("sample", name, "--output", str(tmp_path), "--fault", "R101", "--json")
    assert (said.code, said.error["key"]) == (64, "samples.fault")


def test_every_format_that_comes_in_can_be_sampled(catalogue: Catalogue) -> None:
    coming = {name for name, form in catalogue.formats.items() if form.direction == "inbound"}
    assert coming == set(formats_offered())
