"""Tables of the flows in which a system asks file by file: its answers, and why nothing was given.

Each flow has two of its own, alike but for their names.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, String, Table, UniqueConstraint

from koukan.ledger.schema import metadata


def _answers(name: str) -> Table:
    """One row for each request that was answered."""
    return Table(
        name,
        metadata,
        Column("reception", Integer, primary_key=True),
        Column("group_number", Integer, nullable=False),
        Column("sender", String, nullable=False),
        Column("name", String, nullable=False),  # of the package
        Column("rows", Integer, nullable=False),
        Column("given", Integer, nullable=False),  # rows to which something was given
        Column("fresh", Integer, nullable=False),  # rows that this brought into the flow's table
        Column("file_sha256", String, nullable=False),  # of the answer file inside
        Column("file_length", Integer, nullable=False),
        Column("file_lines", Integer),  # of it; absent: one for each row, and no others
        Column("archive_sha256", String),  # the package's identity, known when it is laid out
        Column("sha256", String),  # of the encrypted file in the outbox
        Column("state", String, nullable=False),  # built, laid_out, delivered, expired
        Column("erased", Boolean, nullable=False, default=False),
        Column("built_at", String, nullable=False),
        Column("closed_at", String),
        UniqueConstraint("sender", "name"),
    )


def _reasons(name: str) -> Table:
    """Rows of a request to which nothing was given, by reason."""
    return Table(
        name,
        metadata,
        Column("reception", Integer, primary_key=True),
        Column("code", String, primary_key=True),
        Column("rows", Integer, nullable=False),
    )


pmh_answers, pmh_reasons = _answers("pmh_answer"), _reasons("pmh_reason")
disclosure_answers = _answers("disclosure_answer")
disclosure_reasons = _reasons("disclosure_reason")
