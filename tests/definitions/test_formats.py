"""The definitions that come with koukan hold together: samples, labels, codes, rights."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from datetime import date
from itertools import accumulate, product
from pathlib import Path

import polars as pl
import pytest
from plain_files import persons, samples

from koukan import words
from koukan.codecs import render
from koukan.codecs.gate import ARCHIVES, CUT, MARKS, TOTAL_MODULUS, Gate
from koukan.codecs.records import decode_piece
from koukan.codecs.text import encode
from koukan.engine.initialise import FURTHER_ACTORS
from koukan.exchange.folder import safe_name
from koukan.flows.copies import REPLICA
from koukan.flows.registration import EVENT, HISTORY, PARTITION
from koukan.flows.tables import definitions
from koukan.formats import Catalogue, Format, bundle
from koukan.formats.docs import USES
from koukan.formats.model import Field
from koukan.keys.keyring import SCOPES
from koukan.rules.acknowledge import explanations, sentence
from koukan.rules.checks import CROSS_CHECKS, well_formed
from koukan.rules.validate import validators
from koukan.shipped import formats_folder, jobs_folder

INBOUND = [
    "basic_four_query",
    "copy_query",
    "copy_registration",
    "juki_net_answer",
    "linkage_code_answer",
    "linkage_code_query",
    "member_registration",
    "member_registration_fixed",
    "my_number_query",
    "nws_receipt",
    "online_response",
    "package_receipt",
    "pmh_receipt",
    "pmh_request",
    "self_disclosure_request",
    "usage_log",
]
OUTBOUND = [
    "online_export",
    "acknowledgement",
    "basic_four_result",
    "copy_extract",
    "copy_result",
    "juki_net_request",
    "linkage_code_request",
    "linkage_code_states",
    "my_number_result",
    "pmh_answer",
    "query_acceptance",
    "registration_result",
    "self_disclosure_answer",
    "spell_notice",
    "usage_extract",
]
NAMES = sorted([*INBOUND, *OUTBOUND])
# The rest of them is their base's.
DERIVED = {
    "member_registration_fixed",
    "query_acceptance",
    "copy_result",
}
SOURCE = Path(__file__).parents[2] / "src/koukan"
each = pytest.mark.parametrize("name", NAMES)
inbound = pytest.mark.parametrize("name", INBOUND)
outbound = pytest.mark.parametrize("name", OUTBOUND)


def test_the_formats_are_these(catalogue: Catalogue) -> None:
    assert sorted(catalogue.formats) == NAMES


OWN_DOORS = ("dedicated_terminal", "server_link")
PAYERS = {"公費負担者番号"}
JAPANESE = re.compile("[ぁ-ん]|[一-龠]")


@each
def test_purpose_and_notes_are_told_in_japanese_too(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    assert JAPANESE.search(form.purpose_ja)
    assert bool(form.note) == bool(JAPANESE.search(form.note_ja))
    for item in form.all_fields:
        assert JAPANESE.search(item.note_ja) or not item.note, item.name


@pytest.mark.parametrize("name", [*INBOUND, "acknowledgement", "registration_result"])
def test_every_field_is_explained_here_or_in_the_glossary(catalogue: Catalogue, name: str) -> None:
    notes = {term.label: term.note for term in catalogue.terms}
    for item in catalogue.formats[name].all_fields:
        assert JAPANESE.search(item.note_ja or notes[item.label]), item.label


def test_every_check_has_a_japanese_name_in_the_document() -> None:
    assert set(USES) == set(CROSS_CHECKS)


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_what_is_derived_tells_its_own_purpose(catalogue: Catalogue, name: str) -> None:
    purposes = [form.purpose_ja for form in catalogue.formats.values()]
    assert purposes.count(catalogue.formats[name].purpose_ja) == 1


# --- samples


@each
def test_every_sample_satisfies_its_own_field(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    for item in form.all_fields:
        if not item.sample:
            assert not item.required, item.name
            continue
        frame = pl.DataFrame({item.name: [item.sample]})
        assert frame.select(well_formed(item, catalogue.codes)).item() is True, item.name
        encode(item.sample, form.file.encoding)


@inbound
def test_a_file_of_samples_passes_gate_decoder_and_rules(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    content = persons(form, 3, whole=True).content()
    verdict = Gate(form).read([content])
    assert verdict.code is None
    data = content[verdict.cuts[0].offset : verdict.cuts[-1].offset]
    rules = validators(bundle(catalogue, name))
    for decoded in decode_piece(form, data):
        check = rules[decoded.record.section]
        assert check.details(decoded.frame).is_empty()
        assert not check.check(decoded.frame, suspicious=decoded.suspicious).columns["__bad"].any()


def parts(form: Format, fields: tuple[Field, ...], line: bytes) -> list[str]:
    """The values of a written line."""
    content = line.removesuffix(form.file.line_end)
    if form.file.syntax == "csv":
        return content.decode(form.file.encoding).split(",")
    ends = list(accumulate(item.slot for item in fields))
    assert len(content) == ends[-1]
    found = [content[end - item.slot : end] for end, item in zip(ends, fields, strict=True)]
    return [part.decode("cp932").rstrip(" ") for part in found]


@outbound
def test_a_file_of_samples_can_be_written_and_read_back(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    control = {item.name: item.sample for item in form.control}
    if name == "pmh_answer":
        assert not control  # two items and no other, also not in a record of ours
    else:
        written = render.control(form, control)
        assert len(parts(form, form.control, written)) == len(form.control)
    for record in form.records:
        row = {item.name: item.sample or None for item in form.fields(record)}
        content = render.records(form, record.section, pl.DataFrame([row]))
        assert parts(form, form.fields(record), content) == [
            record.code if item.name == "record_type_code" else item.sample
            for item in form.fields(record)
        ]


@inbound
def test_the_example_name_carries_sender_and_sequence(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    found = form.file.expression.fullmatch(form.file.example)
    assert found is not None
    assert re.fullmatch(r"[a-z0-9-]+", found["sender"])
    assert len(found["sequence"]) == next(
        item.length for item in form.control if item.name == "file_sequence"
    )


def test_no_name_belongs_to_two_formats(catalogue: Catalogue) -> None:
    for one, other in product(catalogue.formats.values(), repeat=2):
        taken = one.file.expression.fullmatch(other.file.example)
        assert (taken is not None) == (one is other)


@inbound
def test_a_good_file_never_looks_like_an_archive(catalogue: Catalogue, name: str) -> None:
    line = persons(catalogue.formats[name], 1).control_line()
    assert not line.startswith(ARCHIVES + MARKS)


@inbound
def test_the_longest_line_stays_within_the_limit(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    for record in form.records:
        fields = form.fields(record)
        assert sum(item.slot for item in fields) + len(fields) + 2 <= form.file.max_line_bytes
    assert form.file.max_line_bytes < CUT


@inbound
def test_the_control_total_is_counted_as_far_as_its_field_goes(
    catalogue: Catalogue, name: str
) -> None:
    (item,) = [item for item in catalogue.formats[name].end if item.name == "control_total"]
    assert 10**item.length == TOTAL_MODULUS


# --- labels and names

SUFFIXES = {  # style guide, naming glossary: a label that ends so has a name that ends so
    "年月日": "_date",
    "日時": "_at",
    "年月": "_month",
    "フラグ": "_flag",
    "氏名": "_name",
    "名称": "_name",
    "カナ": "_kana",
    "かな": "_kana",
    "事由": "_reason",
    "状況": "_status",
    "ステータス": "_status",
    "番号": "_number",
    "コード": "_code",
    "区分": "_class",
    "種別": "_type",
    "別": "_type",
    "通番": "_sequence",
    "件数": "_count",
    "割合": "_ratio",
    "限度額": "_amount",
    "額": "_amount",
    "日": "_date",
}
# Names of the official layout or of the glossary itself that the suffix rule does not reach.
EXCEPTIONS = {
    "件数": "finding_count",  # the whole label, not only its end
    "性別": "sex",
    "性別1": "sex_1",
    "性別2": "sex_2",
    "氏名（券面記載）": "name",
    "氏名（券面記載）（カナ）": "name_kana",
}


def bare(label: str) -> str:
    """A label without what it says in brackets, but for カナ, which is its end."""
    return re.sub(r"（(?!カナ）)[^）]*）", "", label).replace("（カナ）", "カナ")


def test_labels_and_names_follow_the_suffix_table(catalogue: Catalogue) -> None:
    fields = {item.label: item for form in catalogue.formats.values() for item in form.all_fields}
    for label, item in fields.items():
        if label in EXCEPTIONS:
            assert item.name == EXCEPTIONS[label]
            continue
        ends = [suffix for end, suffix in SUFFIXES.items() if bare(label).endswith(end)]
        if ends:
            assert item.name.endswith(ends[0]), (label, item.name)


def test_every_term_of_the_glossary_keeps_to_the_suffix_table_too(catalogue: Catalogue) -> None:
    for term in catalogue.terms:
        ends = [suffix for end, suffix in SUFFIXES.items() if bare(term.label).endswith(end)]
        if ends and term.label not in EXCEPTIONS:
            assert term.name.endswith(ends[0]), (term.label, term.name)


def test_one_label_has_one_name_and_one_name_one_label(catalogue: Catalogue) -> None:
    labels = [term.label for term in catalogue.terms]
    names = [term.name for term in catalogue.terms]
    assert len(set(labels)) == len(labels)
    assert len(set(names)) == len(names)
    for form in catalogue.formats.values():
        for item in form.all_fields:
            assert (item.label, item.name) in set(zip(labels, names, strict=True))


def test_one_name_means_one_kind_of_field_everywhere(catalogue: Catalogue) -> None:
    kinds: dict[str, set[tuple[object, ...]]] = {}
    for form in catalogue.formats.values():
        for item in form.all_fields:
            kinds.setdefault(item.name, set()).add((item.type, item.length, item.codes))
    assert {name for name, found in kinds.items() if len(found) > 1} == set()


def test_the_three_branch_numbers_are_told_apart(catalogue: Catalogue) -> None:
    names = {term.label: term.name for term in catalogue.terms}
    assert names["被保険者枝番"] == "member_id"
    assert names["枝番"] == "insured_branch_number"
    assert names["被保険者枝番（医療券・調剤券）"] == "ticket_branch_number"


@pytest.mark.requirement("R033")
def test_each_basic_item_carries_its_date_of_change(catalogue: Catalogue) -> None:
    form = catalogue.formats["member_registration"]
    names = {item.name for item in form.all_fields}
    items = ["name", "name_kana", "sex_1", "birth_date", "address", "post_number", "standing"]
    items += ["personal_family_type", "insured_name"]
    assert {f"{name}_change_date" for name in items} <= names


@pytest.mark.requirement("R036")
def test_a_welfare_qualification_has_its_office_and_numbers(catalogue: Catalogue) -> None:
    names = {
        item.name for item in catalogue.formats["member_registration"].section("qualification").own
    }
    assert {"welfare_office_name", "public_payer_number", "recipient_number"} <= names


SECTIONS = {  # of the 資格履歴ファイル that insurers register, in the source's words
    "information_control": (
        "オプトアウト 自己情報提供不可フラグ 特定健診情報提供に係る本人同意フラグ"
    ),
    "elderly_certificate": "交付年月日 有効開始年月日 有効終了年月日 一部負担金割合 回収年月日",
    "limit_certificate": (
        "証区分（限度額適用認定証関連） 交付年月日 有効開始年月日 有効終了年月日 適用区分 "
        "長期入院該当年月日 回収年月日"
    ),
    "specific_disease_certificate": (
        "交付年月日 有効開始年月日 有効終了年月日 認定疾病区分 自己負担限度額 回収年月日"
    ),
}


@pytest.mark.requirement("R032", "R034")
@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_a_section_has_the_items_of_the_source_in_its_order(
    catalogue: Catalogue, section: str
) -> None:
    record = catalogue.formats["member_registration"].section(section)
    assert [item.label for item in record.own] == SECTIONS[section].split()
    assert not record.required


@pytest.mark.requirement("R037")
def test_a_medical_ticket_has_35_items_of_one_month_and_is_for_welfare_alone(
    catalogue: Catalogue,
) -> None:
    record = catalogue.formats["member_registration"].section("medical_ticket")
    assert len(record.own) == 35
    assert "treatment_month" in {item.name for item in record.own if item.required}
    assert record.kinds == ("welfare",)


def test_what_tells_about_a_person_is_marked_sensitive(catalogue: Catalogue) -> None:
    open_fields = {
        "record_number", "record_type_code", "process_type_code", "insurer_code", "member_id",
        "access_group_code", "new_member_id", "new_insurer_code",
        "member_class_code", "insurer_number", "welfare_office_name",
        "public_payer_number", "certificate_class", "limit_certificate_class",
    }  # fmt: skip
    form = catalogue.formats["member_registration"]
    for record in form.records:
        for item in form.fields(record):
            assert item.sensitive != (item.name in open_fields), item.name
    for name in ("acknowledgement", "registration_result"):
        assert not catalogue.formats[name].sensitive  # nothing of a line is repeated in them


# --- codes


def test_every_code_list_is_used_and_says_where_it_comes_from(catalogue: Catalogue) -> None:
    used = {item.codes for form in catalogue.formats.values() for item in form.all_fields}
    assert set(catalogue.codes) == used - {None}
    for codes in catalogue.codes.values():
        assert codes.source and codes.title and codes.values


@each
def test_codes_are_as_long_as_their_fields(catalogue: Catalogue, name: str) -> None:
    for item in catalogue.formats[name].all_fields:
        if item.codes:
            assert {len(value) for value in catalogue.codes[item.codes].values} == {item.length}


@each
def test_every_record_type_stands_in_the_code_list(catalogue: Catalogue, name: str) -> None:
    titles = catalogue.codes["record_type"].values
    for record in catalogue.formats[name].records:
        assert titles[record.code] == record.title
    assert titles["00"] and titles["99"]


def codes_in_source() -> set[str]:
    found = set()
    for path in SOURCE.rglob("*.py"):
        if "samples" not in path.parts:
            found |= set(re.findall(r'"([FHDRW][0-9]{3})"', path.read_text(encoding="utf-8")))
    return found


def test_every_code_is_used_and_every_used_code_has_its_sentences(catalogue: Catalogue) -> None:
    checks = {
        check.code
        for form in catalogue.formats.values()
        for record in form.records
        for check in form.checks_of(record)
    }
    assert codes_in_source() | checks == set(catalogue.reasons)


def test_reasons_are_for_people(catalogue: Catalogue) -> None:
    form = catalogue.formats["acknowledgement"].section("outcome")
    limits = {item.name: item.length for item in form.own}
    for code, reason in catalogue.reasons.items():
        words = {
            "processing_result_name": reason.title,
            "processing_result_text": sentence(reason, line=9_999_999_999, length=9_999),
            "action_text": reason.action,
        }
        for name, text in words.items():
            assert text.strip() == text and text, code
            assert len(text) <= limits[name], (code, name)
            assert not re.search(r'[,"\r\n{}]', text), (code, name)
            encode(text, "cp932")
        assert reason.text.endswith("。") and reason.action.endswith("。"), code
        assert reason.title_en and reason.text_en.endswith(".") and reason.action_en.endswith(".")
        assert re.findall(r"\{\w+\}", reason.text) == re.findall(r"\{\w+\}", reason.text_en), code


@inbound
def test_every_reason_fits_for_every_field_that_it_may_be_told_of(
    catalogue: Catalogue, name: str
) -> None:
    told = explanations(catalogue.formats[name], catalogue.reasons)
    record = catalogue.formats["registration_result"].section("line_result")
    for item in record.own:
        if item.name in told.columns:
            assert int(told[item.name].str.len_chars().max()) <= item.length  # type: ignore[call-overload]
            assert not told[item.name].str.contains(r'[,"\r\n{}]').any()


@outbound
def test_any_received_name_fits_its_answer(catalogue: Catalogue, name: str) -> None:
    form = catalogue.formats[name]
    if "received_file_name" not in {item.name for item in form.control}:
        return  # it answers no file
    for received in ("長" * 90, "a" * 300, "a,b\n.csv", "MR_kenpo-a_000001.csv"):
        values = {
            "reception_number": "0000000001",
            "received_file_name": safe_name(received),
            "received_at": "20260401013000",
        }
        render.control(form, values)


# --- rights

KINDS = {  # 特定個人情報保護評価書: the nine kinds of 医療保険者等
    "association", "health_society", "municipal_nhi", "nhi_society", "elderly_union",
    "national_mutual", "local_mutual", "private_school", "welfare",
}  # fmt: skip
REGISTER = ("member_registration", "member_registration_fixed")
DOORS = {"dedicated_terminal", "server_link", "nhi_aggregation"} | {
    *("pmh_link", "juki_net", "oqs", "nws"),
}
MAY = {  # who may register qualifications, and through which doors
    "association": {"dedicated_terminal", "server_link"},
    "health_society": {"dedicated_terminal", "server_link"},
    "nhi_society": {"dedicated_terminal", "server_link"},
    "elderly_union": {"dedicated_terminal", "server_link"},
    "national_mutual": {"dedicated_terminal", "server_link"},
    "local_mutual": {"dedicated_terminal", "server_link"},
    "private_school": {"dedicated_terminal", "server_link"},
    "welfare": {"dedicated_terminal", "server_link"},
    "municipal_nhi": {"nhi_aggregation"},
}


@pytest.mark.requirement("R001")
def test_the_nine_kinds_of_insurers_are_served(catalogue: Catalogue) -> None:
    assert set(catalogue.kinds) == KINDS
    assert set(catalogue.doors) == DOORS
    for kind in KINDS:
        assert any(catalogue.allowed(REGISTER[0], kind, door) is None for door in DOORS)


IMMEDIATE, BULK = {"query_mode": "1"}, {"query_mode": "2"}
ASK = KINDS - {"municipal_nhi", "welfare"}
ASKING = {  # who may ask what, in which mode; by the dedicated terminal only
    ("my_number_query", "1"): ASK,
    ("my_number_query", "2"): ASK,
    ("basic_four_query", "1"): ASK,
    ("basic_four_query", "2"): {*ASK, "welfare"},
}


COPIES = {  # whose copies are theirs alone, by which doors
    "copy_registration": {"dedicated_terminal", "server_link"},
    "copy_query": {"dedicated_terminal"},
}


@pytest.mark.requirement("R010", "R022", "R023", "R090", "R122", "R123", "R124", "R125", "R126")
def test_rights_are_those_of_the_documented_table(catalogue: Catalogue) -> None:
    for form, kind, door, mode in product(catalogue.formats, KINDS, DOORS, "12"):
        terminal = door == "dedicated_terminal"
        if form in (*REGISTER, "linkage_code_query"):  # every kind may do both, by the same doors
            allowed = door in MAY[kind]
        elif form == "package_receipt":
            allowed = terminal and kind != "municipal_nhi"
        elif form in COPIES:
            allowed = kind in ASK and door in COPIES[form]
        else:
            allowed = terminal and kind in ASKING.get((form, mode), ())
        found = catalogue.allowed(form, kind, door, {"query_mode": mode})
        assert (found is None) == allowed, (form, kind, door, mode)


def test_a_question_without_a_known_mode_is_nobodys_right(catalogue: Catalogue) -> None:
    assert catalogue.allowed("basic_four_query", "welfare", "dedicated_terminal") == "F203"
    other = {"query_mode": "3"}
    assert catalogue.allowed("basic_four_query", "welfare", "dedicated_terminal", other) == "F203"


def test_national_systems_answer_and_do_nothing_else(catalogue: Catalogue) -> None:
    for form, system, door in product(catalogue.formats, catalogue.systems, DOORS):
        allowed = (form, system, door) in (
            ("juki_net_answer", "juki_net", "juki_net"),
            ("pmh_request", "pmh", "pmh_link"),
            ("pmh_receipt", "pmh", "pmh_link"),
            ("usage_log", "oqs", "oqs"),
            ("online_response", "oqs", "oqs"),
            ("linkage_code_answer", "nws", "nws"),
            ("self_disclosure_request", "nws", "nws"),
            ("nws_receipt", "nws", "nws"),
        )
        assert (catalogue.allowed(form, system, door) is None) == allowed


@pytest.mark.requirement("R137")
def test_request_and_answer_have_the_27_items_of_the_identity_file(catalogue: Catalogue) -> None:
    items = [
        "その他条件　履歴情報", "その他条件　消除者", "その他条件　異動事由", "主たる照会条件",
        "事務区分（住基法）", "事務区分（番号利用法）", "住所", "住所（大字以降）", "住民区分",
        "個人番号", "利用事由", "変更状況", "市町村コード", "市町村名", "性別", "情報表示", "氏名",
        "氏名かな", "照会対象期間終了　年月日", "照会対象期間開始　年月日",
        "照会対象期間（照会基準日）", "生存状況", "生年月日", "異動事由", "異動年月日", "異動有無",
        "要求レコード番号",
    ]  # fmt: skip
    own = {
        item.label
        for name, section in (("juki_net_request", "request"), ("juki_net_answer", "answer"))
        for item in catalogue.formats[name].section(section).own
    }
    assert len(items) == 27
    assert own == {*items, "照会応答区分"}  # one of our own: what the answer is


@pytest.mark.requirement("R136")
def test_a_number_is_asked_for_by_the_basic_four_and_they_by_the_number(
    catalogue: Catalogue,
) -> None:
    asked = {
        name: [item.name for item in catalogue.formats[name].section("question").own]
        for name in ("my_number_query", "basic_four_query")
    }
    four = ["resident_name", "resident_name_kana", "birth_date", "sex", "address"]
    assert asked == {"my_number_query": four, "basic_four_query": ["my_number"]}
    result = catalogue.formats["basic_four_result"]
    assert "my_number" not in {item.name for item in result.all_fields}


# --- 異体字


def test_no_variant_would_be_another_character_after_normalisation(catalogue: Catalogue) -> None:
    """A compatibility ideograph stands for what Unicode says; no other one changes at all."""
    for variant, stands_for in catalogue.variants.items():
        normal = unicodedata.normalize("NFC", variant)
        assert normal in (variant, stands_for)
        assert unicodedata.normalize("NFC", stands_for) == stands_for


def test_the_file_itself_survives_normalisation() -> None:
    text = (formats_folder() / "variants.toml").read_text(encoding="utf-8")
    assert unicodedata.normalize("NFC", text) == text
    assert "our own choice" in text.lower()


# --- words of the definitions themselves


@each
def test_a_format_says_what_it_is_for_and_where_it_comes_from(
    catalogue: Catalogue, name: str
) -> None:
    form: Format = catalogue.formats[name]
    assert form.title and form.purpose and form.owner and form.source
    assert date(int(form.version[:4]), int(form.version[4:6]), int(form.version[6:]))
    assert {term.label: term.name for term in catalogue.terms}[form.title] == name


def test_every_definition_file_is_read() -> None:
    stems = {path.stem for path in formats_folder().glob("*.toml")}
    assert stems == {*NAMES, "glossary", "policies", "rejects", "rights", "variants"}


def test_a_definition_uses_no_default_silently_for_what_is_agreed() -> None:
    for name in NAMES:
        if name in DERIVED:
            continue
        file = tomllib.loads((formats_folder() / f"{name}.toml").read_text(encoding="utf-8"))[
            "file"
        ]
        assert {"pattern", "example", "syntax", "encoding", "newline"} <= set(file)


def test_the_samples_of_these_tests_are_whole(catalogue: Catalogue) -> None:
    form = catalogue.formats["member_registration"]
    for record in form.records:
        names = [item.name for item in form.fields(record)]
        assert list(samples(form, record.section))[: len(names)] == names
        required: list[Field] = [item for item in form.fields(record) if item.required]
        assert all(samples(form, record.section)[item.name] for item in required)


# --- who may do what


@pytest.mark.requirement("R006")
def test_each_history_is_run_by_the_operator_that_the_source_names(catalogue: Catalogue) -> None:
    """That a kind has exactly one is `koukan check`'s to say, see tests/unit/formats."""
    run = {
        kind: [one.name for one in catalogue.operators.values() if kind in one.history_of]
        for kind in catalogue.kinds
    }
    central = {"municipal_nhi", "nhi_society", "elderly_union"}
    assert {kind for kind, found in run.items() if found == ["nhi_central"]} == central
    rest = set(catalogue.kinds) - central
    assert {kind for kind, found in run.items() if found == ["payment_fund"]} == rest


@pytest.mark.requirement("R003", "R004")
@inbound
def test_municipal_nhi_and_welfare_are_refused_what_is_not_theirs(
    catalogue: Catalogue, name: str
) -> None:
    """Upper limits of R003 and R004: who is served with little sends little."""
    codes = catalogue.codes["query_mode"].values
    for kind, mode, door in product(("municipal_nhi", "welfare"), codes, catalogue.doors):
        code = catalogue.allowed(name, kind, door, {"query_mode": mode})
        if name.startswith("member_registration") or name == "linkage_code_query":
            own = door == "nhi_aggregation" if kind == "municipal_nhi" else door in OWN_DOORS
            assert (code is None) == own
        elif kind == "municipal_nhi" or name in (
            *("my_number_query", "juki_net_answer", "pmh_request", "online_response", "usage_log"),
            *("linkage_code_answer", "pmh_receipt", "self_disclosure_request", "nws_receipt"),
            *("copy_registration", "copy_query"),
        ):
            assert code == "F203"
        elif name == "basic_four_query":
            assert (code == "F203") == (mode != "2")


@pytest.mark.requirement("R011")
def test_benefits_and_premiums_are_in_the_partitions_of_copies_alone(catalogue: Catalogue) -> None:
    """No other table has an item of a copy, and no other format an item of that meaning."""
    allowed = {"一部負担金割合", "自己負担限度額", "本人支払額（自己負担額）"}  # of certificates
    meant = set(catalogue.codes["specific_information"].values.values())
    assert {"給付", "保険料"} <= {label.partition("（")[0] for label in meant}
    for form in catalogue.formats.values():
        for item in form.all_fields:
            assert not re.search("給付|保険料|医療費|支給|診療報酬", item.label), item.label
            assert "負担" not in item.label or item.label in allowed | PAYERS, item.label
            if item.codes == "specific_information" or item.name.startswith("content_"):
                assert form.name in ("copy_registration", "copy_extract")
    tables = definitions(catalogue.formats, 16)
    copies = {item.name for item in catalogue.formats["copy_registration"].section("copy").own}
    others = {
        name: {column for section in table.sections.values() for column in section}
        for name, table in tables.items()
        if name != REPLICA
    }
    said = copies - {"member_id", "nondisclosure_code"}  # which records of what was provided have
    assert {name for name, own in others.items() if own & said} == set()
    assert tables[REPLICA].partition_by == ("insurer",) and SCOPES[REPLICA] == "copy"
    assert all("copy" not in purposes for purposes in FURTHER_ACTORS.values())
    form = catalogue.formats["member_registration"]
    own = {item.name for record in form.records for item in record.own}
    for name, section in product((PARTITION, HISTORY), (one.section for one in form.records)):
        assert set(tables[name].sections[section]) <= own | set(EVENT) | {"insurer_code"}


def test_every_step_of_a_job_has_a_name_in_both_languages() -> None:
    """A step without one is shown to operators by its identifier."""
    steps: set[str] = set()
    for path in jobs_folder().glob("*.toml"):
        job = tomllib.loads(path.read_text(encoding="utf-8"))
        steps |= {*job["steps"], *job.get("every_tick", [])}
    assert len(steps) > 30
    assert {step for step in steps if f"reports.step.{step}" not in words.catalogue()} == set()
