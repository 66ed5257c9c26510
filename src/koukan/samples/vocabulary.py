"""Parts of invented names and places: whoever reads one sees that nobody is meant."""

from __future__ import annotations

from itertools import product

Pair = tuple[str, str]  # as written, in full-width kana

SURNAME_HEADS: tuple[Pair, ...] = (
    ("架空", "カクウ"),
    ("見本", "ミホン"),
    ("試験", "シケン"),
    ("例示", "レイジ"),
    ("模擬", "モギ"),
    ("仮想", "カソウ"),
    ("雛形", "ヒナガタ"),
    ("試作", "シサク"),
    ("想定", "ソウテイ"),
    ("練習", "レンシュウ"),
    ("演習", "エンシュウ"),
    ("仮置", "カリオキ"),
)
# Half of the surnames are a head alone; 髙, 﨑, 彅 and 濵 stand in CP932's IBM extension only.
SURNAME_TAILS: tuple[Pair, ...] = (
    *[("", "")] * 20,
    *[("山", "ヤマ"), ("川", "ガワ"), ("田", "ダ"), ("村", "ムラ"), ("野", "ノ"), ("沢", "ザワ")]
    * 2,
    ("髙", "ダカ"),
    ("﨑", "ザキ"),
    ("彅", "ナギ"),
    ("濵", "ハマ"),
    ("ヶ丘", "ガオカ"),
    ("之内", "ノウチ"),
    ("小路", "コウジ"),
    ("野上", "ノウエ"),
)
GIVEN_HEADS: tuple[Pair, ...] = (
    ("試", "シ"),
    ("例", "レイ"),
    ("仮", "カリ"),
    ("模", "モ"),
    ("想", "ソウ"),
    ("練", "レン"),
    ("写", "シャ"),
    ("習", "シュウ"),
)
MALE_TAILS: tuple[Pair, ...] = (
    ("太郎", "タロウ"),
    ("次郎", "ジロウ"),
    ("三郎", "サブロウ"),
    ("一", "イチ"),
    ("介", "スケ"),
    ("也", "ヤ"),
    ("吾", "ゴ"),
    ("右衛門", "エモン"),
)
FEMALE_TAILS: tuple[Pair, ...] = (
    ("子", "コ"),
    ("美", "ミ"),
    ("花", "カ"),
    ("代", "ヨ"),
    ("江", "エ"),
    ("香", "コウ"),
    ("乃", "ノ"),
    ("里美", "サトミ"),
)
LONG_NAMES: tuple[Pair, ...] = (
    ("ミホン・アレクサンドラ・マリア・シケン", "ミホン・アレクサンドラ・マリア・シケン"),
    ("カクウ・レイジ・ジョナサン", "カクウ・レイジ・ジョナサン"),
)


def _joined(heads: tuple[Pair, ...], tails: tuple[Pair, ...]) -> tuple[Pair, ...]:
    return tuple((a + c, b + d) for (a, b), (c, d) in product(heads, tails))


SURNAMES = _joined(SURNAME_HEADS, SURNAME_TAILS)
MALE_NAMES = _joined(GIVEN_HEADS, MALE_TAILS) + LONG_NAMES
FEMALE_NAMES = _joined(GIVEN_HEADS, FEMALE_TAILS) + LONG_NAMES

PREFECTURE = "架空県"
PREFECTURE_CODE = 99  # no prefecture has it
MUNICIPALITIES = (
    "見本市",
    "試験市",
    "例示市",
    "模擬市",
    "仮想市",
    "雛形市",
    "想定市",
    "練習市",
    "架空郡試作町",
    "架空郡演習町",
    "仮置郡見本村",
    "見本市東区",
)
TOWNS = (
    "見本町",
    "試験台",
    "例示坂",
    "模擬通",
    "仮想が丘",
    "雛形新田",
    "想定本町",
    "練習橋",
    "字架空",
    "大字見本字試験",
)
BUILDINGS = ("", "", "", "　見本荘", "　試験ハイツ", "　架空ビルディング", "　例示マンション東棟")
