"""CP932 both ways: the decoders agree, nothing undefined gets in, Microsoft's choice goes out."""

from __future__ import annotations

import random
import subprocess
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koukan.codecs import text
from koukan.codecs.text import (
    REPLACEMENT,
    decode,
    decode_cp932,
    decode_utf8,
    encode,
    encode_cp932,
    find,
)

LONE = (0x80, 0xA0, 0xFD, 0xFE, 0xFF)  # defined for Python alone
# What glibc writes as something else, or not at all; ours is an error.
ALTERED = {0xA5: b"\\", 0x203E: b"~", 0x2014: b"\x81\\"}
ALTERED |= dict.fromkeys(range(0xE0000, 0xE0080), b"")


@pytest.fixture
def iconv() -> text._Iconv:
    converter = text._iconv()
    if not converter:
        pytest.skip("this machine has no iconv")
    return converter


@pytest.fixture(params=["iconv", "python"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of encoding; what they give must not differ."""
    if request.param == "python":
        monkeypatch.setattr(text, "_iconv", lambda: None)
    return str(request.param)


def strict(content: bytes) -> str | None:
    try:
        return content.decode("cp932")
    except UnicodeDecodeError:
        return None


@cache
def glibc_codes(end: int) -> dict[int, bytes | None]:
    """What the C library makes of every character below `end` and of the invisible tags."""
    converter = text._Iconv()
    if not converter:
        pytest.skip("this machine has no iconv")
    codes = [*range(0xD800), *range(0xE000, end), *range(0xE0000, 0xE0200)]
    return {code: converter.convert(chr(code).encode(), b"CP932", b"UTF-8") for code in codes}


@cache
def double_codes() -> list[bytes]:
    pairs = [bytes((lead, trail)) for lead in range(256) for trail in range(256)]
    return [pair for pair in pairs if len(strict(pair) or "") == 1]


@pytest.mark.usefixtures("iconv")
def test_both_decoders_agree_over_all_byte_pairs() -> None:
    differences = 0
    for number in range(0x10000):
        pair = number.to_bytes(2, "big")
        slow, slow_clean = decode_cp932(pair, use_iconv=False)
        assert decode_cp932(pair) == (slow, slow_clean)
        plain = strict(pair)
        if plain is None or set(plain) & {"\x80", "\uf8f0", "\uf8f1", "\uf8f2", "\uf8f3"}:
            assert not slow_clean
            assert REPLACEMENT in slow.decode()
            differences += plain is not None
        else:
            assert (slow.decode(), slow_clean) == (plain, True)
    assert differences == 1_935  # what Python alone takes


def test_iconv_refuses_what_python_alone_defines(iconv: text._Iconv) -> None:
    for byte in LONE:
        assert iconv.convert(bytes((byte,)), b"UTF-8", b"CP932") is None


def test_an_undefined_byte_becomes_a_replacement_and_the_rest_is_kept() -> None:
    content = "架空".encode("cp932") + b"\xff," + "太郎".encode("cp932") + b"\x80\r\n"
    found, clean = decode_cp932(content)
    assert found.decode() == f"架空{REPLACEMENT},太郎{REPLACEMENT}\r\n"
    assert not clean


@given(st.binary(max_size=200))
def test_both_decoders_agree_over_any_bytes(content: bytes) -> None:
    assert decode_cp932(content) == decode_cp932(content, use_iconv=False)


def test_decoding_works_without_iconv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text.ctypes, "CDLL", lambda *_, **__: object())  # a C library without it
    assert not text._Iconv()
    monkeypatch.setattr(text, "_iconv", text._Iconv)
    assert decode_cp932("髙﨑".encode("cp932")) == ("髙﨑".encode(), True)


def test_an_iconv_without_cp932_is_not_used(
    iconv: text._Iconv, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Library:
        def __init__(self, *_: object, **__: object) -> None:
            self.iconv_open = lambda *_: text.ctypes.c_void_p(-1).value
            self.iconv = self.iconv_close = lambda *_: 0

    # ctypes functions take attributes; plain ones do as well
    monkeypatch.setattr(text.ctypes, "CDLL", Library)
    assert not text._Iconv()


def test_a_block_that_grows_by_half_and_more_still_fits() -> None:
    kana = "ｱ" * 10_000  # one byte each in CP932, three in UTF-8
    assert decode_cp932(kana.encode("cp932")) == (kana.encode(), True)


@pytest.mark.parametrize("use_iconv", [True, False])
@pytest.mark.parametrize("words", ["", "架空　太郎", "ｱ" * 10_000, "x"])
def test_what_is_to_stand_before_it_does(words: str, use_iconv: bool) -> None:
    content = memoryview(b"??" + words.encode("cp932"))[2:]
    found = decode_cp932(content, head=b"name\r\n", use_iconv=use_iconv)
    assert found == (b"name\r\n" + words.encode(), True)
    undefined = memoryview(words.encode("cp932") + b"\xff")
    text = decode_cp932(undefined, head=b"name\r\n", use_iconv=use_iconv)[0]
    assert text == b"name\r\n" + (words + REPLACEMENT).encode()
    assert decode_utf8(memoryview(words.encode()), head=b"a,") == (b"a," + words.encode(), True)
    assert decode_utf8(memoryview(b"\xff"), head=b"a,")[0] == b"a," + REPLACEMENT.encode()


@pytest.mark.parametrize("before", [0, 1, 4_095, 4_096, 9_000])
def test_what_is_not_ascii_is_seen_wherever_it_begins(before: int) -> None:
    plain = b"7," * before
    assert decode_cp932(plain, head=b"no,") == (b"no," + plain, True)
    for tail in ("架空", "ｱ"):
        decoded = decode_cp932(memoryview(plain + tail.encode("cp932")), head=b"no,")
        assert decoded == (b"no," + plain + tail.encode(), True)
    assert decode_cp932(plain + b"\xff")[1] is False


def test_half_width_kana_and_awkward_trail_bytes_survive() -> None:
    words = "ソ表能十｜ポゑァｱｲｳﾞﾟ・"  # trail bytes 5C and 7C among them
    assert b"\\" in words.encode("cp932") and b"|" in words.encode("cp932")
    assert decode_cp932(words.encode("cp932"))[0].decode() == words
    assert encode_cp932(words) == words.encode("cp932")


def test_no_separator_can_be_a_trail_byte() -> None:
    trails = {code[1] for code in double_codes()}
    assert not trails & {*b',"\t\r\n\x1f\x7f', *range(0x20), *b"0123456789"}
    assert {0x5C, 0x7C} <= trails  # why the separator is neither \ nor |


@pytest.mark.usefixtures("encoder")
def test_encoding_agrees_with_iconv_over_all_of_unicode(long: bool) -> None:
    for code, theirs in glibc_codes(0x110000 if long else 0x10000).items():
        try:
            ours = encode_cp932(chr(code))
        except UnicodeEncodeError:
            ours = None
        if code in ALTERED:
            assert (ours, theirs) == (None, ALTERED[code])
        else:
            assert ours == theirs, hex(code)


@pytest.mark.usefixtures("encoder")
def test_encoding_agrees_with_the_program_iconv() -> None:
    codes = double_codes()
    content = b"".join(code + b"\n" for code in codes)
    command = ["iconv", "-f", "CP932", "-t", "UTF-8"]
    decoded = subprocess.run(command, input=content, check=True, capture_output=True).stdout
    assert decode_cp932(content) == (decoded, True)
    command = ["iconv", "-f", "UTF-8", "-t", "CP932"]
    encoded = subprocess.run(command, input=decoded, check=True, capture_output=True).stdout
    assert encode_cp932(decoded.decode()) == encoded


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize(
    ("character", "code"),
    [("髙", 0xFBFC), ("﨑", 0xFAB1), ("彅", 0xFA67), ("纊", 0xFA5C), ("①", 0x8740), ("∵", 0x81E6)],
)
def test_the_microsoft_choice_goes_out(character: str, code: int) -> None:
    assert encode_cp932(character) == code.to_bytes(2, "big")
    assert (
        encode_cp932(f"A{character}{character}あ")
        == b"A" + 2 * code.to_bytes(2, "big") + b"\x82\xa0"
    )


@pytest.mark.usefixtures("encoder")
def test_398_codes_do_not_come_back_as_they_went_in() -> None:
    codes = double_codes()
    assert len(codes) == 9_604
    python = [code for code in codes if (strict(code) or "").encode("cp932") != code]
    assert len(python) == 398
    # Ours prefers the IBM extension, so that NEC's selection is what changes instead.
    ours = [code for code in codes if encode_cp932(strict(code) or "") != code]
    assert len(ours) == 398
    assert {code[0] for code in ours} <= {0x81, 0x87, 0xED, 0xEE, 0xFA}
    assert all(strict(encode_cp932(strict(code) or "")) == strict(code) for code in codes)


@given(st.text(st.sampled_from([strict(code) or "" for code in double_codes()]), max_size=60))
def test_text_of_cp932_comes_back_as_it_went_out(words: str) -> None:
    assert decode_cp932(encode_cp932(words)) == (words.encode(), True)


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize(
    "character", ["𠮷", "葛\U000e0100", "é", "¥", "‾", "—", "\U000e0041", "\x80", "\uf8f0"]
)
def test_a_character_that_cp932_has_not_is_an_error(character: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_cp932(f"架空{character}")


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize("pair", ["〜～", "−－", "‖∥", "¢￠", "£￡", "¬￢"])
def test_what_looks_alike_goes_out_as_one_code(pair: str) -> None:
    assert len({encode_cp932(character) for character in pair}) == 1


def test_utf8_is_taken_as_it_is_and_broken_utf8_is_not_clean() -> None:
    good = "髙𠮷葛\U000e0100".encode()
    assert decode_utf8(good) == (good, True)
    found, clean = decode_utf8(good + b"\xff\n")
    assert found.decode() == good.decode() + REPLACEMENT + "\n"
    assert not clean


def test_a_format_names_its_encoding() -> None:
    assert decode(encode("髙", "cp932"), "cp932") == ("髙".encode(), True)
    assert decode(encode("𠮷", "utf-8"), "utf-8") == ("𠮷".encode(), True)
    assert encode("0123", "cp932") == b"0123"


def test_large_blocks_are_decoded_like_small_ones() -> None:
    draws = random.Random(1)
    codes = double_codes()
    content = b"".join(draws.choices(codes, k=200_000))
    assert decode_cp932(content)[0].decode() == content.decode("cp932")


def test_a_mark_is_found_where_python_finds_it() -> None:
    content = "〓氏〓名".encode()
    for mark in ("〓".encode(), b"\xe3", "名".encode(), "姓".encode(), content, content + b"!"):
        for start in range(len(content) + 2):
            assert find(content, mark, start) == content.find(mark, start)
    assert find(b"", b"\xee") == -1
