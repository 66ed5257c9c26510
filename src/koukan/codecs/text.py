"""CP932 to UTF-8 and back, whole blocks at a time.

glibc's iconv decodes twice as fast as Python's codec and does not hold the interpreter; where it is
missing, or a block holds a byte sequence that it refuses, Python's codec does the work. Both agree
on every code that iconv accepts. What Python alone accepts (a lone 0x80, 0xA0, 0xFD-0xFF) ends as a
replacement character here, so that no caller has to know of it.

Encoding takes the Microsoft choice among double codes (髙 is FBFC, not EEE0), as Windows does.
"""

from __future__ import annotations

import ctypes
import errno
import io
import re
from functools import cache
from typing import Any

import numpy as np

REPLACEMENT = "\ufffd"
_BEGINNING = 4096  # bytes
Content = bytes | memoryview
# What Python's cp932 makes of bytes that CP932 does not define.
_UNDEFINED = re.compile("[\x80\xa0\uf8f0-\uf8f3]")


# glibc writes these as other characters (a backslash, a tilde, ―) or drops them (invisible tags).
_ALTERED = re.compile("[¥‾—\U000e0000-\U000e007f]")


class _Iconv:
    """One converter of the C library; not shared between threads (opened for each call)."""

    def __init__(self) -> None:
        self._library: Any = None
        # The C library that is loaded already: to look for it would start a process.
        library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "iconv_open"):
            return
        library.iconv_open.restype = ctypes.c_void_p
        library.iconv_open.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        library.iconv.restype = ctypes.c_size_t
        library.iconv.argtypes = [ctypes.c_void_p] + [ctypes.c_void_p] * 4
        library.iconv_close.argtypes = [ctypes.c_void_p]
        probe = library.iconv_open(b"UTF-8", b"CP932")
        if probe not in (None, ctypes.c_void_p(-1).value):
            library.iconv_close(probe)
            self._library = library

    def __bool__(self) -> bool:
        return self._library is not None

    def convert(
        self, content: Content, target: bytes, source: bytes, head: bytes = b""
    ) -> bytes | None:
        """`head` and the converted content, or None where it holds what iconv refuses.

        Read where it lies and written where it stays: first touch of memory is dear.
        """
        library = self._library
        handle = library.iconv_open(target, source)
        octets = np.frombuffer(content, np.uint8)
        capacity = 3 * len(octets) // 2 + 16  # enough but for half-width kana, three for one
        try:
            while True:
                # BytesIO lends its buffer for writing and gives it away as bytes without a copy.
                result = io.BytesIO(bytes(len(head) + capacity))
                result.write(head)
                with result.getbuffer() as room:
                    into = ctypes.c_void_p(np.frombuffer(room, np.uint8).ctypes.data + len(head))
                    free = ctypes.c_size_t(capacity)
                    taken = ctypes.c_void_p(octets.ctypes.data)
                    left = ctypes.c_size_t(len(octets))
                    done = library.iconv(handle, *map(ctypes.byref, (taken, left, into, free)))
                if done != ctypes.c_size_t(-1).value:
                    result.truncate(len(head) + capacity - free.value)
                    return result.getvalue()
                if ctypes.get_errno() != errno.E2BIG:
                    return None
                library.iconv(handle, None, None, None, None)
                capacity *= 2
        finally:
            library.iconv_close(handle)


@cache
def _iconv() -> _Iconv:
    return _Iconv()


@cache
def _memmem() -> Any:
    """The C library's search."""
    found = ctypes.CDLL(None).memmem
    found.restype = ctypes.c_void_p
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    return found


def find(content: bytes, mark: bytes, start: int = 0) -> int:
    """`content.find(mark, start)`, but others may run meanwhile; and twice as fast for a character
    of three bytes.
    """
    if start >= len(content):
        return -1
    origin = np.frombuffer(content, np.uint8).ctypes.data
    found = _memmem()(origin + start, len(content) - start, mark, len(mark))
    return -1 if found is None else found - origin


def _is_ascii(content: Content) -> bool:
    """What is not shows it at its beginning, nearly always."""
    if not bytes(content[:_BEGINNING]).isascii():
        return False
    return bool(np.frombuffer(content, np.uint8).max(initial=0) < 128)


def decode_cp932(
    content: Content, *, head: bytes = b"", use_iconv: bool = True
) -> tuple[bytes, bool]:
    """`head` and the content as UTF-8, and whether every byte was defined, else it is U+FFFD."""
    if _is_ascii(content):  # as half of the record types are
        return b"".join((head, content)), True
    if use_iconv and _iconv():
        converted = _iconv().convert(content, b"UTF-8", b"CP932", head)
        if converted is not None:
            return converted, True
    text = _UNDEFINED.sub(REPLACEMENT, str(content, "cp932", "replace"))
    return head + text.encode("utf-8"), REPLACEMENT not in text


def decode_utf8(content: Content, *, head: bytes = b"") -> tuple[bytes, bool]:
    """The same for UTF-8: the content itself where it is valid."""
    try:
        str(content, "utf-8")
    except UnicodeDecodeError:
        return head + str(content, "utf-8", "replace").encode("utf-8"), False
    return b"".join((head, content)), True


@cache
def _translation() -> dict[int, bytes]:
    """Code points whose Microsoft code is not Python's, with that code.

    For a character with several CP932 codes Microsoft takes NEC row 13 before the IBM extension,
    JIS before NEC row 13 (U+FFE2 and U+2235 excepted by the same order), and the IBM extension
    before NEC's selection of it.
    """
    codes: dict[str, list[int]] = {}
    for lead in [*range(0x81, 0xA0), *range(0xE0, 0xFD)]:
        for trail in [*range(0x40, 0x7F), *range(0x80, 0xFD)]:
            try:
                character = bytes((lead, trail)).decode("cp932")
            except UnicodeDecodeError:
                continue
            codes.setdefault(character, []).append(lead << 8 | trail)

    def preference(code: int) -> tuple[int, int]:
        lead = code >> 8
        if lead == 0x87:
            return 1, code
        if lead in (0xED, 0xEE):
            return 3, code
        return (2, code) if lead >= 0xFA else (0, code)

    table = {}
    for character, found in codes.items():
        chosen = min(found, key=preference)
        if len(found) > 1 and character.encode("cp932") != chosen.to_bytes(2, "big"):
            table[ord(character)] = chosen.to_bytes(2, "big")
    return table


@cache
def _wanting_translation() -> re.Pattern[str]:
    return re.compile("[" + "".join(re.escape(chr(code)) for code in _translation()) + "]+")


def encode_cp932(text: str) -> bytes:
    """CP932 by the Microsoft choice.

    Raises:
        UnicodeEncodeError: the text holds a character that CP932 has not.
    """
    if text.isascii():
        return text.encode("ascii")
    content = text.encode("utf-8")
    # Single characters and bytes are searched for many times as fast as any of several.
    rare = b"\xf3" in content or any(character in text for character in "¥‾—")
    if _iconv() and not (rare and _ALTERED.search(text)):
        converted = _iconv().convert(content, b"CP932", b"UTF-8")
        if converted is not None:
            return converted
    if found := _UNDEFINED.search(text):  # Python's codec takes them
        raise UnicodeEncodeError("cp932", text, *found.span(), "not defined")
    table, parts, position = _translation(), [], 0
    for found in _wanting_translation().finditer(text):  # runs of characters, not rows
        parts.append(text[position : found.start()].encode("cp932"))
        parts.append(b"".join(table[ord(character)] for character in found.group()))
        position = found.end()
    parts.append(text[position:].encode("cp932"))
    return b"".join(parts)


def encode(text: str, encoding: str) -> bytes:
    """Outbound text in a format's encoding."""
    return encode_cp932(text) if encoding == "cp932" else text.encode(encoding)


def decode(content: Content, encoding: str, *, head: bytes = b"") -> tuple[bytes, bool]:
    """Inbound bytes in a format's encoding, as UTF-8, and whether all of it was defined.

    Args:
        head: what is to stand before it, as it is.
    """
    decoder = decode_cp932 if encoding == "cp932" else decode_utf8
    return decoder(content, head=head)
