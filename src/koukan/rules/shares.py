"""Shares: a file with too many bad lines is no file with bad lines, it is a bad file.

What cannot be read refuses it always; what is rejected, as the policy of its insurers says.
"""

from __future__ import annotations

from koukan.formats.model import Format, Policy
from koukan.formats.policy import share_of

UNDECODABLE = "F120"
REJECTED, HELD, PASSED = "F121", "H105", "W503"
CODES = {"refuse": REJECTED, "hold": HELD, "warn": PASSED}
REFUSING = Policy(reject_share_beyond="refuse")


def beyond(
    form: Format, rows: int, undecodable: int, rejected: int, policy: Policy = REFUSING
) -> str | None:
    """The code of what becomes of the whole file: F refuses it, H holds it, W is a remark; or None.

    Args:
        rows: data lines of the file; short files are not judged.
        undecodable: those with a character that cannot be read.
        rejected: those that are rejected, for whatever reason.
    """
    if rows < max(form.share_floor, 1):
        return None
    if undecodable / rows > form.undecodable_share:
        return UNDECODABLE
    if rejected / rows <= share_of(policy, form):
        return None
    return CODES[policy.reject_share_beyond or "refuse"]
