"""Which policy counts for a file.

`formats/policies.toml` says what holds where nobody says otherwise, `site.toml` what holds for the
whole site, and each of its insurers what holds for its own files. What a reception was judged by is
kept with it (`Policies`, frozen under a hash), so that a later change does not judge it anew.
"""

from __future__ import annotations

from collections.abc import Collection

from koukan.formats.model import Definition, Format, Policy

ORDERS = {  # the strictest first
    "sequence_gap": ("hold", "warn"),
    "end_mismatch": ("refuse", "hold"),
    "reject_share_beyond": ("refuse", "hold", "warn"),
}
NEVER = 0  # days: a file is never late


class Policies(Definition):
    """Whole policies of a sender's insurers: the usual one, and those that differ from it."""

    usual: Policy
    insurers: dict[str, Policy]

    def of(self, insurers: Collection[str], form: Format) -> Policy:
        """What counts for a file that names these insurers: of each entry the strictest.

        A file stands or falls as a whole, so nobody's lines come in more easily than its own
        insurer wants, whoever else the file speaks for.
        """
        chosen = [self.insurers.get(code, self.usual) for code in insurers] or [self.usual]
        values: dict[str, object] = {}
        for name, order in ORDERS.items():
            found = {getattr(policy, name) for policy in chosen}
            values[name] = next((value for value in order if value in found), None)
        days = [policy.late_days for policy in chosen if policy.late_days]
        values["late_days"] = min(days, default=NEVER)
        values["reject_share"] = min(share_of(policy, form) for policy in chosen)
        return Policy.model_validate(values)


def share_of(policy: Policy, form: Format) -> float:
    """The largest share of rejected lines that a file may have."""
    return form.reject_share if policy.reject_share is None else policy.reject_share
