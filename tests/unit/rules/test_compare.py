"""Compare: each rung of evidence by real examples, and what must stay different."""

from __future__ import annotations

from collections.abc import Mapping

import jaconv
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spellings import TABLE, folded, spellings, texts

from koukan.formats import Catalogue
from koukan.rules.compare import ADDRESS, EXACT, LADDERS, NAME, NAME_KANA, Ladder, compare, evidence
from koukan.rules.folds import HIRAGANA, WIDTHS

NAMES: list[tuple[str, str, str]] = [
    ("1", "架空　太郎", "架空　太郎"),
    ("2", "架空　太郎", "架空 太郎"),
    ("2", "ジョン　Ｓｍｉｔｈ", "ｼﾞｮﾝ Smith"),
    ("3", "架空　太郎", "架空太郎"),
    ("3", "架空　太郎", " 架 空太郎　"),
    ("4", "架空　さくら", "架空　サクラ"),
    ("4", "架空　すゞ", "架空スヾ"),
    ("5", "髙橋　太郎", "高橋太郎"),
    ("5", "﨑山　花子", "崎山　花子"),
    ("5", "渡邉　花子", "渡邊　花子"),
    ("5", "渡邉　花子", "渡辺　花子"),
    ("5", "齋藤　はな", "斎藤ハナ"),
    ("5", "齊藤　一", "斉藤　一"),
    ("5", "\ufa19田　\ufa1a子", "神田　祥子"),
    ("5", "辻\U000e0100　一郎", "辻　一郎"),
    ("5", "𠮷田　一郎", "吉田　一郎"),
    ("6", "マリー", "マリ－"),
    ("6", "アン・マリー髙田", "あん・まり-高田"),
    ("8", "架空　太郎", "架空　次郎"),
    ("8", "大田　一郎", "太田　一郎"),
    ("8", "斎藤　一", "斉藤　一"),
    ("8", "山崎　一", "山碕　一"),
    ("8", "畑　一", "畠　一"),
    ("8", "小島　一", "小鳥　一"),
    ("8", "菅　直", "管　直"),
    ("8", "伊藤　一", "伊東　一"),
    ("8", "大坂　一", "大阪　一"),
    ("8", "架空　二", "架空　ニ"),  # the numeral and the kana
    ("8", "架空　一", "架空　ー"),
    ("8", "架空　力", "架空　カ"),
    ("8", "架空　博", "架空　溥"),
    ("8", "架空　祐", "架空　裕"),
    ("8", "架空　二十", "架空　20"),  # numerals are text in a name
    ("8", "Smith", "SMITH"),
]
NAMES_KANA: list[tuple[str, str, str]] = [
    ("1", "カクウ　タロウ", "カクウ　タロウ"),
    ("2", "ガクウ　パトロウ", "ｶﾞｸｳ ﾊﾟﾄﾛｳ"),
    ("2", "ヴァン", "ｳﾞｧﾝ"),
    ("2", "ガクウ", "カ゛クウ"),
    ("2", "ガクウ", "カ\u3099クウ"),
    ("3", "カクウ　タロウ", "ｶｸｳﾀﾛｳ"),
    ("4", "カクウ　タロウ", "かくうたろう"),
    ("6", "ユーコ", "ユ－コ"),
    ("6", "ゆーこ", "ﾕ-ｺ"),
    ("8", "髙", "高"),  # no table for what holds no kanji
    ("8", "カクウ　タロウ", "カクウ　タロオ"),
    ("8", "ユウコ", "ユーコ"),
    ("8", "オノ", "オオノ"),
    ("8", "ショウコ", "シヨウコ"),
    ("8", "ハル", "バル"),
    ("8", "ハル", "パル"),
    ("8", "バル", "パル"),
    ("8", "アンナ", "アンヌ"),
]
ADDRESSES: list[tuple[str, str, str]] = [
    ("1", "架空県見本市１丁目", "架空県見本市１丁目"),
    ("2", "架空県見本市１－２－３", "架空県見本市1-2-3"),
    ("3", "架空県見本市　１－２", "架空県 見本市1-2"),
    ("3", "架空県見本市１－２　１０１", "架空県　見本市1-2  101"),
    ("4", "架空県見本市つつじが丘", "架空県見本市ツツジガ丘"),
    ("5", "架空県澤田市１", "架空県沢田市1"),
    ("6", "架空県見本市１ー２", "架空県見本市1−2"),
    ("6", "見本センタービル", "見本センタ－ビル"),
    ("7", "架空県見本市霞が関一丁目２番３号", "架空県見本市霞が関1-2-3"),
    ("7", "見本市栄町一丁目二番三号", "見本市栄町１丁目２番３号"),
    ("7", "見本市１番地の２", "見本市1-2"),
    ("7", "見本市１番地２", "見本市１－２"),
    ("7", "見本市一番地ノ二", "見本市1-2"),
    ("7", "見本市１の２の３の４", "見本市1-2-3-4"),
    ("7", "見本市二十三番地", "見本市23"),
    ("7", "見本市二三番地", "見本市二十三番地"),
    ("7", "見本市一〇二番地", "見本市百二番地"),
    ("7", "見本市千二百三番地", "見本市1203番地"),
    ("7", "見本市１－２－３　１０１", "見本市1-2-3-101"),
    ("7", "見本市１－２－３見本荘１０１号室", "見本市1丁目2番3号　見本荘101"),
    ("7", "見本市三番町５番地６", "見本市三番町5-6"),
    ("7", "見本市中央区北一条西二丁目３番４号", "見本市中央区北1条西2-3-4"),
    ("7", "見本市東十条三丁目", "見本市東十条3"),
    ("7", "見本市茅ヶ崎１", "見本市茅ケ崎1"),
    ("7", "架空県澤田市二丁目", "架空県　沢田市2"),
    ("8", "見本市１－２－３", "見本市1-23"),
    ("8", "見本市１－２　３４", "見本市1-23 4"),
    ("8", "見本市１－２　３４", "見本市1-234"),
    ("8", "見本市一二　三番地", "見本市一 二三番地"),
    ("8", "見本市１丁目２３", "見本市12丁目3"),
    ("8", "見本市一丁目二三", "見本市十二丁目三"),
    ("8", "見本市２３番地", "見本市２０３番地"),
    ("8", "見本市二十三番地", "見本市二百三番地"),
    ("8", "見本市三番町", "見本市三丁目"),
    ("8", "見本市三番町１", "見本市３－１"),
    ("8", "見本市三田１", "見本市3田1"),  # a numeral in a name is no number
    ("8", "見本市八王子１", "見本市8王子1"),
    ("8", "見本市字三１２番地", "見本市字312番地"),
    ("8", "見本市１号室２番地", "見本市12番地"),
    ("8", "見本市栄町１", "見本市栄1"),
    ("8", "見本市東栄１", "見本市西栄1"),
    ("8", "見本市１－２－１０１", "見本市1-2-102"),
    ("8", "見本市大字栄１", "見本市栄1"),
]


def codes(
    pairs: list[tuple[str | None, str | None]], ladder: Ladder, table: Mapping[str, str]
) -> list[str]:
    asked = pl.Series([one for one, _ in pairs], dtype=pl.String)
    returned = pl.Series([other for _, other in pairs], dtype=pl.String)
    return compare(asked, returned, ladder, table).to_list()


@pytest.mark.requirement("R138")
@pytest.mark.parametrize(
    ("ladder", "examples"),
    [(NAME, NAMES), (NAME_KANA, NAMES_KANA), (ADDRESS, ADDRESSES)],
    ids=["name", "kana", "address"],
)
def test_every_rung_has_its_examples_and_what_differs_stays_different(
    catalogue: Catalogue, ladder: Ladder, examples: list[tuple[str, str, str]]
) -> None:
    pairs: list[tuple[str | None, str | None]] = [(one, other) for _, one, other in examples]
    found = codes(pairs, ladder, catalogue.variants)
    told = [(code, one, other) for code, (one, other) in zip(found, pairs, strict=True)]
    assert told == examples
    assert {code for code, _, _ in examples} == {"1", *ladder, "8"}


@pytest.mark.parametrize("ladder", [EXACT, NAME, NAME_KANA, ADDRESS])
def test_what_was_not_asked_or_not_returned_is_told_apart(ladder: Ladder) -> None:
    pairs = [(None, None), (None, "あ"), ("あ", None), ("あ", "あ"), ("あ", "い")]
    assert codes(pairs, ladder, {}) == ["0", "0", "9", "1", "8"]
    assert codes([], ladder, {}) == []


def test_dates_sexes_and_numbers_are_equal_or_different() -> None:
    for item in ("birth_date", "sex"):
        assert LADDERS["my_number"][item] == EXACT
    assert LADDERS["basic_four"] == {"my_number": EXACT}
    pairs: list[tuple[str | None, str | None]] = [
        ("19800100", "19800100"),
        ("19800100", "19800101"),
        ("19800000", "19800101"),
        ("00000101", "19800101"),
        ("１９８００１０１", "19800101"),
    ]
    assert codes(pairs, EXACT, {}) == ["1", "8", "8", "8", "8"]


@pytest.mark.requirement("R136", "R138")
def test_evidence_has_one_column_for_each_item_that_is_asked(catalogue: Catalogue) -> None:
    asked = {
        "resident_name": "髙橋　一",
        "resident_name_kana": "タカハシ　ハジメ",
        "birth_date": "19800100",
        "sex": None,
        "address": "架空県見本市一丁目２番",
    }
    returned = {
        "resident_name": "高橋　一",
        "resident_name_kana": None,
        "birth_date": "19800101",
        "sex": "1",
        "address": "架空県見本市1-2",
    }
    schema = dict.fromkeys(asked, pl.String)
    found = evidence(
        "my_number",
        pl.DataFrame([asked], schema=schema),
        pl.DataFrame([returned], schema=schema),
        catalogue.variants,
    )
    assert found.to_dicts() == [
        {
            "resident_name_match": "5",
            "resident_name_kana_match": "9",
            "birth_date_match": "8",
            "sex_match": "0",
            "address_match": "7",
        }
    ]
    numbers = pl.DataFrame({"my_number": ["123456789018", "123456789018"]})
    others = pl.DataFrame({"my_number": ["123456789018", "123456789026"]})
    assert evidence("basic_four", numbers, others, {}).to_dict(as_series=False) == {
        "my_number_match": ["1", "8"]
    }


# --- laws

every = pytest.mark.parametrize("ladder", [NAME, NAME_KANA, ADDRESS], ids=["name", "kana", "addr"])


@every
@given(values=st.lists(texts(), max_size=20))
def test_whatever_was_folded_once_stays(ladder: Ladder, values: list[str]) -> None:
    for rung in ladder:
        once = folded(values, ladder, TABLE, rung)
        assert folded(once, ladder, TABLE, rung) == once


@every
@given(
    pairs=st.lists(st.one_of(spellings(), st.tuples(texts(), texts())), max_size=20),
)
def test_comparing_is_symmetric_reflexive_and_monotone(
    ladder: Ladder, pairs: list[tuple[str, str]]
) -> None:
    found = codes([*pairs], ladder, TABLE)
    assert codes([(other, one) for one, other in pairs], ladder, TABLE) == found
    assert set(codes([(one, one) for one, _ in pairs], ladder, TABLE)) <= {"1"}
    sides = [[one for one, _ in pairs], [other for _, other in pairs]]
    for rung in ladder:  # equal from its own rung on, unequal on each below
        left, right = (folded(side, ladder, TABLE, rung) for side in sides)
        for code, one, other in zip(found, left, right, strict=True):
            assert (one == other) == (code <= rung)


@given(pairs=st.lists(spellings(), min_size=1, max_size=10))
def test_rows_do_not_depend_on_each_other(pairs: list[tuple[str, str]]) -> None:
    alone = [codes([pair], ADDRESS, TABLE)[0] for pair in pairs]
    assert codes([*pairs], ADDRESS, TABLE) == alone


# --- tables


@given(texts())
def test_widths_are_those_of_a_well_known_library(text: str) -> None:
    wide = jaconv.h2z(text, kana=True, ascii=True, digit=True)
    assert folded([text], NAME, {}, "2") == folded([wide], NAME, {}, "2")


def test_every_half_width_character_has_its_full_width() -> None:
    printable = [chr(code) for code in range(0x21, 0x7F)]
    kana = [chr(code) for code in range(0xFF61, 0xFF9E)]
    assert folded([*printable, *kana], NAME, {}, "2") == folded(
        [jaconv.h2z(one, kana=True, ascii=True, digit=True) for one in [*printable, *kana]],
        NAME,
        {},
        "2",
    )
    assert not set(WIDTHS) & {one for target in WIDTHS.values() for one in target}


def test_hiragana_are_those_of_a_well_known_library() -> None:
    for one, katakana in HIRAGANA.items():
        assert jaconv.hira2kata(one) == katakana
    voiced = "がぎぐげござじずぜぞだぢづでどばびぶべぼぱぴぷぺぽゔゞ"
    assert folded([voiced], NAME, {}, "4") == folded([jaconv.hira2kata(voiced)], NAME, {}, "4")


@pytest.mark.parametrize("mark", "‐‑‒–—―−─━﹘﹣ー-")
def test_every_hyphen_and_long_vowel_is_one(mark: str) -> None:
    for ladder in (NAME, NAME_KANA, ADDRESS):
        assert codes([(f"マリ{mark}", "マリ－")], ladder, {}) == ["2" if mark == "-" else "6"]
        assert codes([(f"マリ{mark}", "マリ")], ladder, {}) == ["8"]


def test_the_table_leaves_other_characters_and_other_tables_alone(catalogue: Catalogue) -> None:
    assert 100 <= len(catalogue.variants) <= 200
    assert codes([("髙", "高")], NAME, {}) == ["8"]
    assert codes([("甲", "乙")], NAME, {"甲": "乙"}) == ["5"]
    targets = sorted(set(catalogue.variants.values()))
    assert len(set(folded(targets, NAME, catalogue.variants, "6"))) == len(targets)
