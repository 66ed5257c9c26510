"""Which file tells the sender of a file what became of its lines, and how its name begins."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from koukan.flows import codes, copies, disclosure, identity, pmh, registration

ACKNOWLEDGEMENT = "acknowledgement"
ERROR_REPORT, ERROR_LISTING = "error_report", "error_listing"  # 誤り一覧: workbook and whole list
SPELL_NOTICE = "spell_notice"  # 資格重複のお知らせ: of an insurer, not of a reception
REPORTS = (ERROR_REPORT, ERROR_LISTING)
CORRECTION = "correction"  # package of an insurer's rejected lines; its signature beside it
CORRECTION_SIGNATURE = "correction_signature"
_LINE_RESULTS: Mapping[str, str] = MappingProxyType(
    {
        registration.FORMAT: "registration_result",
        registration.FIXED: "registration_result",
        **dict.fromkeys((*identity.QUESTIONS, identity.RECEIPT), "query_acceptance"),
        **dict.fromkeys((pmh.RECEIPT, disclosure.RECEIPT, codes.QUERY), "query_acceptance"),
        copies.QUERY: "query_acceptance",
        copies.REGISTRATION: "copy_result",
    }
)
PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        ACKNOWLEDGEMENT: "AK",
        "registration_result": "RR",
        "query_acceptance": "QA",
        "copy_result": "RC",
        SPELL_NOTICE: "SN",
        **dict.fromkeys(REPORTS, "ER"),
    }
)
_ENDS: Mapping[str, str] = MappingProxyType({ERROR_REPORT: ".xlsx", ERROR_LISTING: ".zip"})


def line_result(form: str) -> str | None:
    """The format of the file that answers line by line; None where counts are all that is told."""
    return _LINE_RESULTS.get(form)


def end_of_name(kind: str) -> str:
    """How the name of such a file ends."""
    return _ENDS.get(kind, ".csv")


def of_insurer(kind: str, insurer: str) -> str:
    """The kind of a file that lies in an outbox once for each insurer, as the ledger has it."""
    return f"{kind}:{insurer}"


def is_correction(kind: str) -> bool:
    """Whether a kind that the ledger has is that of a correction package or its signature."""
    return kind.startswith(CORRECTION)
