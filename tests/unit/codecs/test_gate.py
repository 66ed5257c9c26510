"""The byte gate: what it lets through is countable, what it refuses it names with the line."""

from __future__ import annotations

import random

import numpy as np
import pytest
import slow_gate
from gate_support import CUTS, in_blocks, read, said
from hypothesis import example, given
from hypothesis import strategies as st
from plain_files import Plain, persons, samples, shipped_format, small_format, together

from koukan.codecs import gate
from koukan.codecs.digits import eight_digits
from koukan.codecs.gate import CUT, NOBODY, Gate, layout_of
from koukan.formats import Catalogue, Format

BOTH = pytest.mark.parametrize("syntax", ["csv", "fixed"])
CSV = shipped_format("csv")
PLAIN = persons(CSV, 4)  # 14 lines
GOOD = PLAIN.content()
LINES = PLAIN.all_lines()


@BOTH
@pytest.mark.parametrize("sizes", [None, [1], [7], [4096, 3], [100_000]])
def test_a_good_file_passes_and_is_counted(syntax: str, sizes: list[int] | None) -> None:
    form = shipped_format(syntax)
    plain = persons(form, 4)
    content = plain.content()
    verdict = read(form, content, sizes)
    assert said(verdict) == (None, 0)
    assert verdict.rows == 12
    assert verdict.insurers == {"06990014": 12}
    assert verdict.first_lines == {"06990014": 2}
    assert verdict.control["sender"] == "kenpo-a"
    assert verdict.control["file_sequence"] == "000001"
    assert verdict.cuts[0].offset == len(together([plain.control_line()], form))
    assert verdict.cuts[-1].offset == len(content) - len(together([plain.end_line()], form))
    assert (verdict.cuts[0].rows, verdict.cuts[-1].rows) == (0, 12)


@pytest.mark.parametrize("sizes", [None, [1], [700]])
def test_lines_that_name_no_insurer_are_counted_under_nobody(
    catalogue: Catalogue, sizes: list[int] | None
) -> None:
    form = catalogue.formats["juki_net_answer"]
    plain = persons(form, 5)
    verdict = read(form, plain.content(), sizes)
    assert said(verdict) == (None, 0)
    assert verdict.insurers == {NOBODY: 5}
    assert verdict.first_lines == {NOBODY: 2}
    lines = plain.all_lines()
    lines[3] = b"X" + lines[3][1:]  # its number
    assert said(read(form, together(lines, form), sizes)) == ("F118", 4)
    lines[3] = lines[2][:10] + b"77" + lines[2][12:]
    assert said(read(form, together(lines, form), sizes)) == ("F111", 4)


@BOTH
@pytest.mark.parametrize("sizes", [None, [1]])
def test_a_file_without_records_passes(syntax: str, sizes: list[int] | None) -> None:
    form = shipped_format(syntax)
    verdict = read(form, Plain(form, ()).content(), sizes)
    assert said(verdict) == (None, 0)
    assert (verdict.rows, verdict.insurers) == (0, {})
    assert len({cut.offset for cut in verdict.cuts}) == 1


@BOTH
def test_several_insurers_are_counted_apart_with_their_first_lines(syntax: str) -> None:
    form = shipped_format(syntax)
    draws = random.Random(3)
    codes = ["06990014", "01130012", "00138016", "99999999"]
    lines = []
    for number in range(1, 200):
        values = samples(form, "basic", record_number=f"{number * 7:010d}")
        lines.append(("basic", {**values, "insurer_code": draws.choice(codes)}))
    content = Plain(form, tuple(lines)).content()
    slow = slow_gate.judge(form, content)
    for sizes in (None, [997]):
        verdict = read(form, content, sizes)
        assert said(verdict) == (None, 0)
        assert verdict.insurers == slow.insurers
        assert verdict.first_lines == slow.first_lines
        assert verdict.rows == slow.rows == 199


@pytest.mark.parametrize("cut", [1_000, 5_000])
def test_cuts_are_line_boundaries_with_their_rows(
    cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "CUT", cut)
    content = persons(CSV, 60).content()
    verdict = read(CSV, content, [300])
    assert len(verdict.cuts) > 3
    start = verdict.cuts[0].offset
    for one in verdict.cuts:
        assert content[one.offset - 1 : one.offset] == b"\n"
        assert content[start : one.offset].count(b"\n") == one.rows
    sizes = np.diff([one.offset for one in verdict.cuts])
    assert (sizes[:-1] >= cut).all()
    assert sizes.max() < cut + 2_000


def test_the_shipped_cut_is_larger_than_a_block() -> None:
    assert CUT % gate.BLOCK == 0


# --- limits


@BOTH
@pytest.mark.parametrize("sizes", CUTS, ids=str)
def test_a_file_larger_than_its_limit_is_refused(syntax: str, sizes: list[int] | None) -> None:
    content = persons(shipped_format(syntax), 4).content()
    exact = small_format(syntax, max_bytes=len(content))
    assert said(read(exact, content, sizes)) == (None, 0)
    for limit in (len(content) - 1, 1_000, 10):
        assert said(read(small_format(syntax, max_bytes=limit), content, sizes)) == ("F102", 0)


@pytest.mark.parametrize("sizes", CUTS, ids=str)
def test_a_line_as_long_as_the_limit_passes(sizes: list[int] | None) -> None:
    longest = max(len(line) for line in LINES) + 2
    assert said(read(small_format("csv", max_line_bytes=longest), GOOD, sizes)) == (None, 0)
    code, line = said(read(small_format("csv", max_line_bytes=longest - 1), GOOD, sizes))
    assert (code, len(LINES[line - 1]) + 2) == ("F116", longest)


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield b"0" * (1 << 16)

    assert said(Gate(CSV).read(endless())) == ("F116", 1)  # type: ignore[arg-type]
    assert taken * (1 << 16) <= 2 * gate.BLOCK


@given(
    content=st.lists(st.sampled_from([b"\n", b"\r\n", b"0", b"12345678"]), max_size=60),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_pieces_are_whole_lines_and_nothing_is_lost(content: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(content)
    pieces = list(gate.whole_lines(in_blocks(whole, sizes), 100))
    assert b"".join(pieces) == whole
    assert all(piece.endswith(b"\n") for piece in pieces[:-1])


def test_a_line_far_too_long_is_cut() -> None:
    blocks = [b"0" * gate.BLOCK] * 3 + [b"1\n2\n"]
    pieces = list(gate.whole_lines(blocks, 100))
    assert b"".join(pieces) == b"".join(blocks)
    assert [len(piece) // gate.BLOCK for piece in pieces] == [2, 1]


def test_nothing_is_read_behind_what_refuses() -> None:
    def blocks() -> object:
        yield GOOD[:50] + b"\0" + GOOD[50:]
        raise AssertionError("read on")

    assert said(Gate(CSV).read(blocks()))[0] == "F107"  # type: ignore[arg-type]


def test_the_first_wrong_line_decides_whatever_is_wrong_with_later_ones() -> None:
    lines = PLAIN.all_lines()
    lines[3] += b","  # F110
    lines[5] = lines[5].replace(b",02,", b",77,")  # F111
    lines[7] = lines[7].replace(b"A0", b'A"')  # F108
    lines[9] += b"\0"  # F107
    content = together(lines, CSV) + b"torn"
    for sizes in CUTS:
        verdict = read(CSV, content, sizes)
        assert said(verdict) == ("F110", 4)
        assert verdict.rows == 2  # what was read before


# --- encodings


def with_name(name: str, encoding: str, form: Format = CSV) -> bytes:
    values = samples(form, "basic", name="@@", name_kana="", address="")
    content = Plain(form, (("basic", values),)).content()
    return content.replace(b"@@", name.encode(encoding))


@pytest.mark.parametrize("name", ["高橋健", "田中美咲", "架空　太郎", "ｱｲｳ", "﨑", "！"])
@pytest.mark.parametrize("sizes", [None, [1], [40]], ids=str)
def test_utf8_in_a_cp932_file_is_refused(name: str, sizes: list[int] | None) -> None:
    assert said(read(CSV, with_name(name, "utf-8"), sizes)) == ("F109", 0)
    assert said(read(CSV, with_name(name, "cp932"), sizes)) == (None, 0)


def test_half_width_kana_that_happen_to_read_as_utf8_pass() -> None:
    name = "ﾃｸ"  # C3 B8 is ø in UTF-8, and no Japanese
    assert name.encode("cp932").decode("utf-8") == "ø"
    assert said(read(CSV, with_name(name, "cp932"))) == (None, 0)


def test_one_line_that_is_no_utf8_makes_it_cp932() -> None:
    kana = samples(CSV, "basic", name="@@", name_kana="", address="")
    both = Plain(CSV, (("basic", kana), ("basic", samples(CSV, "basic"))))
    for sizes in (None, [200]):
        content = both.content().replace(b"@@", "髙".encode())
        assert said(read(CSV, content, sizes)) == (None, 0)


def test_a_format_in_utf8_takes_utf8_with_line_feeds() -> None:
    form = small_format("csv", encoding="utf-8", newline="lf")  # type: ignore[arg-type]
    plain = persons(form, 2, name="𠮷田　太郎")
    assert said(read(form, plain.content())) == (None, 0)
    assert said(read(form, plain.content(), [50])) == (None, 0)
    windows = plain.content().replace(b"\n", b"\r\n")
    assert said(read(form, windows)) == ("F105", 1)
    long = plain.content().replace("太郎".encode(), b"0" * 5_000, 1)
    assert said(read(form, long)) == ("F116", 2)
    assert said(read(form, plain.content() + b"\x1a")) == ("F107", 9)


# --- against the slow gate

BYTES = b'0123456789,\r\n"\0\x1a\x7f AZ\x80\x81\x93\xe9\xef\xff'


def mutated(draws: random.Random, plain: Plain) -> bytes:
    """One to three mutations of a good file: of bytes, of lines."""
    lines = [line + plain.form.file.line_end for line in plain.all_lines()]
    for _ in range(draws.randint(1, 3)):
        at, other = draws.randrange(len(lines)), draws.randrange(len(lines))
        match draws.randrange(8):
            case 0:
                del lines[at]
            case 1:
                lines.insert(other, lines[at])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = lines[at][: draws.randint(0, len(lines[at]))]
            case 4 if lines[at]:
                place = draws.randrange(len(lines[at]))
                lines[at] = lines[at][:place] + lines[at][place + 1 :]
            case 5:
                place = draws.randint(0, len(lines[at]))
                extra = bytes([draws.choice(BYTES)])
                lines[at] = lines[at][:place] + extra + lines[at][place:]
            case _ if lines[at]:
                # Often among the leading fields, where most depends on each byte.
                width = draws.choice([25, len(lines[at])])
                place = draws.randrange(min(width, len(lines[at])))
                new = draws.choice(
                    [draws.choice(BYTES), lines[at][place] ^ 1 << draws.randrange(8)]
                )
                lines[at] = lines[at][:place] + bytes([new]) + lines[at][place + 1 :]
        if not lines:
            break
    return b"".join(lines)


def compare(form: Format, content: bytes, sizes: list[int] | None) -> str | None:
    slow, verdict = slow_gate.judge(form, content), read(form, content, sizes)
    assert said(verdict) == (slow.code, slow.line), (sizes, content)
    if verdict.code is None:
        assert verdict.rows == slow.rows
        assert verdict.insurers == slow.insurers
        assert verdict.first_lines == slow.first_lines
    return verdict.code


@BOTH
def test_the_columnar_gate_agrees_with_the_slow_one_on_mutated_files(
    syntax: str, long: bool
) -> None:
    form = small_format(syntax, max_line_bytes=1_500)
    draws = random.Random(202604)
    found: set[str | None] = set()
    for round_number in range(40_000 if long else 1_500):
        plain = persons(form, draws.randint(0, 3))
        content = mutated(draws, plain)
        sizes = None if round_number % 2 else [draws.choice([1, 30, 200, 1_000, 4_000])]
        if syntax == "fixed" and sizes == [1]:
            sizes = [50]
        found.add(compare(form, content, sizes))
    needed = {"F105", "F106", "F107", "F108", "F111", "F112", "F113", "F114", "F115", "F118"}
    assert needed | {"F110" if syntax == "csv" else "F117"} <= found


@given(
    content=st.binary(max_size=300),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    syntax=st.sampled_from(["csv", "fixed"]),
)
@example(content=b"\n", sizes=[1], syntax="csv")
@example(content=b"\r\n", sizes=[1], syntax="csv")
@example(content=b"\r", sizes=[1], syntax="csv")
@example(content=b"\xff\n", sizes=[1], syntax="fixed")
def test_hostile_bytes_end_in_a_verdict(content: bytes, sizes: list[int], syntax: str) -> None:
    form = shipped_format(syntax)
    assert compare(form, content, None) is not None
    compare(form, content, sizes)


@given(
    tail=st.binary(max_size=200),
    sizes=st.lists(st.integers(1, 900), min_size=1, max_size=3),
    keep=st.integers(0, 14),
)
def test_hostile_bytes_behind_good_lines_end_in_a_verdict(
    tail: bytes, sizes: list[int], keep: int
) -> None:
    content = together(LINES[:keep], CSV) + tail
    compare(CSV, content, None)
    compare(CSV, content, sizes)


@given(st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=30))
def test_eight_digits_are_read_as_python_reads_them(words: list[bytes]) -> None:
    words += [b"00000000", b"99999999", b"0000000:", b"/0000000", b"12345678"]
    values, right = eight_digits(np.frombuffer(b"".join(words), "<u8"))
    digits = [word.isdigit() for word in words]
    assert right.tolist() == digits
    for value, word, is_right in zip(values.tolist(), words, digits, strict=True):
        assert not is_right or value == int(word)


@given(st.integers(0, 7), st.integers(0, 255))
def test_one_wrong_byte_among_eight_digits_is_noticed(place: int, byte: int) -> None:
    word = bytearray(b"13572468")
    word[place] = byte
    _, right = eight_digits(np.frombuffer(bytes(word), "<u8"))
    assert right.item() == (48 <= byte < 58)


@BOTH
def test_the_layout_tells_where_the_leading_fields_stand(syntax: str) -> None:
    layout = layout_of(shipped_format(syntax))
    line = persons(shipped_format(syntax), 1).records()[0]
    assert line[layout.number :][:10] == b"0000000001"
    assert line[layout.type :][:2] == b"01"
    assert line[layout.insurer :][:8] == b"06990014"
    assert all(line[at : at + 1] == b"," for at in layout.separators)
    assert layout.sizes[1] == (line.count(b",") if layout.csv else len(line))
    assert layout.sizes[99] == -1


def test_the_total_is_counted_modulo(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tuple(("basic", samples(CSV, "basic", record_number="9999999999")) for _ in range(3))
    assert said(read(CSV, Plain(CSV, lines).content())) == (None, 0)
    monkeypatch.setattr(gate, "TOTAL_MODULUS", 1_000)
    plain = Plain(CSV, lines, end={"control_total": f"{997:018d}"})
    assert said(read(CSV, plain.content())) == (None, 0)
