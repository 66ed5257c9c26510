"""What people and monitoring are told about a centre: plain data, one object for every form of it.

Nothing here holds a value of a record's field: numbers, names of files and senders, counts, codes.
"""

from koukan.reports.approvals import pending
from koukan.reports.identity import identity
from koukan.reports.packages import packages
from koukan.reports.reception import reception
from koukan.reports.status import standing, status
from koukan.reports.summary import balanced, summary

__all__ = [
    "balanced",
    "identity",
    "packages",
    "pending",
    "reception",
    "standing",
    "status",
    "summary",
]
