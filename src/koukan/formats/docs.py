"""The formats as a document: `formats/README.md`, made from the definitions and from nothing else.

Japanese first, with the identifiers that developers need beside each label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from koukan.formats.items import Items, note_of, place_of
from koukan.formats.model import Catalogue, Check, CodeList, Field, Format, Reason, Record

TYPES = {
    "digits": "数字 digits",
    "ascii": "半角 ascii",
    "text": "文字 text",
    "kana": "全角カナ kana",
    "code": "コード code",
    "date": "日付 date",
    "datetime": "日時 datetime",
}
NEWLINES = {"crlf": "CR LF", "lf": "LF"}
DIRECTIONS = {"inbound": "受信 inbound", "outbound": "送信 outbound"}
USES = {  # of checks over several fields
    "search_items": "どれか一組がそろう",
    "empty_when": "空にする",
    "present_when": "必要",
    "never_when": "許されない",
    "one_given": "どれか一つは必要",
    "given_with": "最後の項目も必要",
    "not_with": "最後の項目と同時に書けない",
    "different": "異なる",
    "exactly_one": "どちらか一方だけ",
    "both_or_none": "両方か、どちらも空",
    "earlier": "前の日が先",
    "not_later": "前の日が後にならない",
}
KINDS_OF_CODE = {
    "F": "ファイル全体を受付不可とするもの / a file is refused",
    "H": "ファイルを保留とするもの / a file is held",
    "D": "重複 / a duplicate",
    "R": "行をエラーとするもの / a line is rejected",
    "W": "登録し、注意を添えるもの / accepted with a remark",
}
INTRODUCTION = """\
# ファイル様式 / File formats

このファイルは `koukan docs` が定義（`formats/*.toml`）から作ります。直接編集しないでください。
This file is made by `koukan docs` from the definitions (`formats/*.toml`): do not edit it.

**様式の配置（項目の順序、桁数、ファイル名、コード）は、公開資料に定めがないため、当システムが選んで
ここに記したものです。** 項目そのものは公開資料によります。実際の様式を渡された環境では、同じ名前の
TOML を環境側の `formats/` に置いて差し替えます。

**The layouts (order of fields, lengths, file names, codes) are our own documented choice: no public
source fixes them.** Which items there are comes from public sources. A site replaces a file by one
of the same name in its own `formats/`, with the layout that it was given.

桁数は文字数です。固定長では、文字・カナの項目は1文字あたり2バイトを取ります。
Lengths count characters; in fixed width each character of text and kana takes two bytes.
"""


def document(catalogue: Catalogue, items: Sequence[Items] = ()) -> str:
    """The whole document in Markdown; `items` are those of documented files."""
    parts = [INTRODUCTION, *_contents(catalogue)]
    for form in _ordered(catalogue):
        parts += _format(form, catalogue)
    parts += _code_lists(catalogue)
    parts += _reasons(catalogue)
    parts += _rights(catalogue)
    parts += _operators(catalogue)
    parts += _items(catalogue, items)
    parts += _variants(catalogue)
    parts += _glossary(catalogue)
    return "\n".join(parts)


def _ordered(catalogue: Catalogue) -> list[Format]:
    """What comes in before what goes out."""
    return sorted(catalogue.formats.values(), key=lambda form: (form.direction, form.name))


def _contents(catalogue: Catalogue) -> Iterator[str]:
    yield "## 一覧 / Contents\n"
    rows = [
        (
            f"[{form.title}](#{form.name})",
            f"`{form.name}`",
            DIRECTIONS[form.direction],
            form.file.syntax,
            f"`{form.file.example}`",
        )
        for form in _ordered(catalogue)
    ]
    yield _table(("様式 format", "名前 name", "方向 direction", "構文 syntax", "例 example"), rows)
    yield (
        "[コード表 / Code lists](#code-lists) · [処理結果コード / Reject codes](#reject-codes) · "
        "[権限 / Rights](#rights) · [記録項目 / Items](#items) · [異体字 / Variants](#variants) · "
        "[用語 / Glossary](#glossary)\n"
    )


def _format(form: Format, catalogue: Catalogue) -> Iterator[str]:
    reasons, notes = catalogue.reasons, {term.label: term.note for term in catalogue.terms}
    yield _heading(form.name, f"{form.title} `{form.name}`")
    yield _told(form.purpose_ja, form.purpose) + "\n"
    if note := _told(form.note_ja, form.note):
        yield note + "\n"
    file = form.file
    rows = [
        ("方向 direction", DIRECTIONS[form.direction]),
        ("版 version", form.version),
        ("所管 owner", form.owner),
        ("出典 source", form.source),
        ("ファイル名 file name", f"`{file.example}`"),
        ("名前の規則 pattern", f"`{file.pattern}`"),
        ("構文 syntax", "CSV" if file.syntax == "csv" else "固定長 fixed width"),
        ("文字コード encoding", file.encoding),
        ("改行 line end", NEWLINES[file.newline]),
        ("ファイルの上限 largest file", f"{file.max_bytes:,} bytes"),
        ("行の上限 longest line", f"{file.max_line_bytes:,} bytes"),
    ]
    if form.direction == "inbound":
        floor = f"{form.share_floor} 行以上のファイル / files of {form.share_floor} lines or more"
        rows += [
            ("判読できない行の上限 undecodable", f"{form.undecodable_share:.0%}（{floor}）"),
            ("エラー行の上限 rejected", f"{form.reject_share:.0%}（{floor}）"),
        ]
    yield _table(("", ""), rows)
    yield "### コントロールレコード / Control record\n"
    yield _fields(form, form.control, notes)
    if form.common:
        yield "### 各レコードの先頭の項目 / First fields of every record\n"
        yield _fields(form, form.common, notes)
        yield from _checks(form.checks, form.common, reasons)
    for record in form.records:
        yield from _record(form, record, reasons, notes)
    yield "### エンドレコード / End record\n"
    yield _fields(form, form.end, notes)


def _record(
    form: Format, record: Record, reasons: Mapping[str, Reason], notes: Mapping[str, str]
) -> Iterator[str]:
    yield f"### {record.code} {record.title} `{record.section}`\n"
    if not record.required:
        yield "任意：該当する人だけ / optional: of whom there is something to say\n"
    if record.kinds:
        yield f"登録できる保険者の種別 / registered by kinds: {_names(record.kinds)}\n"
    if record.key:
        yield f"一人の中でのキー / key within a person: {_names(record.key)}\n"
    yield _fields(form, record.own, notes)
    yield from _checks(record.checks, form.fields(record), reasons)


def _checks(
    checks: Sequence[Check], fields: Sequence[Field], reasons: Mapping[str, Reason]
) -> Iterator[str]:
    if not checks:
        return
    labels = {item.name: item.label for item in fields}
    yield "項目間の検査 / checks over several fields:\n"
    rows = [
        (
            f"{check.code} {reasons[check.code].title}",
            f"{USES.get(check.use, '')} `{check.use}`".strip(),
            _checked(check, labels),
            _values(check.when, labels),
            _valid(check),
        )
        for check in checks
    ]
    headings = ("コード code", "検査 check", "項目 fields", "条件 when", "期間 valid")
    yield _table(headings, rows)


def _values(when: Mapping[str, Sequence[str]], labels: Mapping[str, str]) -> str:
    return ", ".join(
        f"{_named(name, labels)} = {' / '.join(values)}" for name, values in when.items()
    )


def _checked(check: Check, labels: Mapping[str, str]) -> str:
    """The fields, or the sets of fields of which one is needed."""
    sets = [" + ".join(_named(name, labels) for name in names) for names in check.sets]
    return "<br>または or ".join(sets) or ", ".join(_named(name, labels) for name in check.fields)


def _named(name: str, labels: Mapping[str, str]) -> str:
    return f"{labels.get(name, '')} `{name}`".strip()


def _valid(check: Check) -> str:
    if check.valid_from or check.valid_to:
        return f"{check.valid_from or ''}–{check.valid_to or ''}"
    return ""


def _fields(form: Format, fields: Sequence[Field], notes: Mapping[str, str]) -> str:
    rows = [
        (
            item.label,
            f"`{item.name}`",
            TYPES[item.type] + ("（不明可 uncertain）" if item.uncertain else ""),
            _length(item, form),
            "○" if item.required else "",
            "○" if item.sensitive else "",
            f"[`{item.codes}`](#codes-{item.codes})" if item.codes else "",
            _names(item.checks),
            f"`{item.sample}`" if item.sample else "",
            _note(item, notes),
        )
        for item in fields
    ]
    headings = (
        "項目 field",
        "名前 name",
        "型 type",
        "桁 length",
        "必須 required",
        "機微 sensitive",
        "コード codes",
        "検査 checks",
        "例 sample",
        "備考 note",
    )
    return _table(headings, rows)


def _note(item: Field, notes: Mapping[str, str]) -> str:
    """What stands there always, and what it means: here, or wherever the label stands."""
    fixed = f"常に `{item.value}` / always `{item.value}`." if item.value else ""
    told = _told(item.note_ja or notes.get(item.label, ""), item.note)
    return " ".join(part for part in (fixed, told) if part)


def _told(japanese: str, english: str) -> str:
    """Japanese first; a site's own definitions may have but one of them."""
    return "<br>".join(part for part in (japanese, english) if part)


def _length(item: Field, form: Format) -> str:
    length = str(item.length) if item.shortest == item.length else f"{item.shortest}–{item.length}"
    return f"{length}（{item.slot} bytes）" if form.file.syntax == "fixed" else length


def _code_lists(catalogue: Catalogue) -> Iterator[str]:
    yield _heading("code-lists", "コード表 / Code lists")
    for name in sorted(catalogue.codes):
        yield from _code_list(catalogue.codes[name])


def _code_list(codes: CodeList) -> Iterator[str]:
    yield _heading(f"codes-{codes.name}", f"{codes.title} `{codes.name}`", level=3)
    yield f"出典 source: {codes.source}\n"
    rows = [(f"`{value}`", meaning) for value, meaning in codes.values.items()]
    yield _table(("値 value", "意味 meaning"), rows)


def _reasons(catalogue: Catalogue) -> Iterator[str]:
    yield _heading("reject-codes", "処理結果コード / Reject codes")
    for letter, title in KINDS_OF_CODE.items():
        yield f"### {letter}: {title}\n"
        found = [one for code, one in sorted(catalogue.reasons.items()) if code[0] == letter]
        rows = [(one.code, *_sentences(one)) for one in found]
        yield _table(("コード code", "意味 title", "説明 sentence", "対処 what to do"), rows)


def _sentences(one: Reason) -> Iterator[str]:
    pairs = ((one.title, one.title_en), (one.text, one.text_en), (one.action, one.action_en))
    return (f"{japanese}<br>{english}" for japanese, english in pairs)


def _rights(catalogue: Catalogue) -> Iterator[str]:
    yield _heading("rights", "権限 / Rights")
    yield (
        "ここにない組み合わせのファイルは、全体を受付不可とします。"
        "What is not listed is refused as a whole file.\n"
    )
    parties = {**catalogue.kinds, **catalogue.systems}
    labels = {term.name: term.label for term in catalogue.terms}
    rows = [
        (
            f"{right.title}<br>`{right.function}`",
            _names(right.formats),
            "<br>".join(parties[kind] for kind in right.kinds),
            "<br>".join(f"{catalogue.doors[door]} `{door}`" for door in right.doors),
            _values(right.when, labels),
        )
        for right in catalogue.rights
    ]
    headings = ("届出 function", "様式 formats", "保険者 insurers", "受付経路 doors", "条件 when")
    yield _table(headings, rows)


def _operators(catalogue: Catalogue) -> Iterator[str]:
    yield "### 運用者 / Operators\n"
    yield (
        "センターの職員は、所属する運用者の事務の権限だけを持てます。"
        "Staff of the centre have rights of the duties of their operator alone.\n"
    )
    rows = [
        (
            f"{operator.title}<br>`{operator.name}`",
            "<br>".join(catalogue.duties[duty] for duty in operator.duties),
            "<br>".join(catalogue.kinds[kind] for kind in operator.history_of),
        )
        for operator in catalogue.operators.values()
    ]
    headings = ("運用者 operator", "事務 duties", "資格履歴を管理する保険者 history of")
    yield _table(headings, rows)
    yield "### 個人番号を見る目的 / Purposes of looking at a 個人番号\n"
    purposes = ((f"`{name}`", title) for name, title in catalogue.purposes.items())
    yield _table(("目的 purpose", "内容 meaning"), purposes)


def _items(catalogue: Catalogue, files: Sequence[Items]) -> Iterator[str]:
    yield _heading("items", "記録項目 / Items of documented files")
    for items in files:
        count = sum(1 for _ in items.all())
        kept = sum(item.kept for _, item in items.all())
        yield f"### {items.title} `{items.name}`\n"
        yield f"出典 source: {items.source}\n"
        yield (
            f"{len(items.sections)} 区分、{count} 項目。うち {kept} 項目に置き場所があります。"
            f"{len(items.sections)} sections, {count} items; {kept} of them have a place here.\n"
        )
        for section in items.sections:
            yield f"#### {section.title}\n"
            rows = [
                (item.label, place_of(items, catalogue, section, item), note_of(item))
                for item in section.items
            ]
            yield _table(("項目 item", "置き場所 place", "備考 note"), rows)


def _variants(catalogue: Catalogue) -> Iterator[str]:
    yield _heading("variants", "異体字 / Variants")
    yield (
        "氏名等を突合するときに同じ文字とみなすもの（当システムの選択）。"
        "Characters that are one when names are compared: our own choice.\n"
    )
    found: dict[str, list[str]] = {}
    for variant, stands_for in catalogue.variants.items():
        found.setdefault(stands_for, []).append(f"{variant}（U+{ord(variant):04X}）")
    rows = [(stands_for, "、".join(variants)) for stands_for, variants in sorted(found.items())]
    yield _table(("文字 character", "異体字 variants"), rows)


def _glossary(catalogue: Catalogue) -> Iterator[str]:
    yield _heading("glossary", "用語 / Glossary")
    rows = [(term.label, f"`{term.name}`", term.note) for term in catalogue.terms]
    yield _table(("項目 label", "名前 name", "備考 note"), rows)


def _heading(anchor: str, title: str, level: int = 2) -> str:
    return f'<a id="{anchor}"></a>\n\n{"#" * level} {title}\n'


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(_cell(one) for one in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
