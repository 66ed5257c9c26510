"""Shares: a file with too many bad lines is no file with bad lines, it is a bad file."""

from __future__ import annotations

from koukan.formats.model import Format

UNDECODABLE, REJECTED = "F120", "F121"


def beyond(form: Format, rows: int, undecodable: int, rejected: int) -> str | None:
    """The code that refuses the whole file, or None.

    Args:
        rows: data lines of the file; short files are not judged.
        undecodable: those with a character that cannot be read.
        rejected: those that are rejected, for whatever reason.
    """
    if rows < max(form.share_floor, 1):
        return None
    if undecodable / rows > form.undecodable_share:
        return UNDECODABLE
    return REJECTED if rejected / rows > form.reject_share else None
