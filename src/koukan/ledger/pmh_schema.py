"""Tables of flow 4: answers to PMH, and why nothing was given, in numbers."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, String, Table, UniqueConstraint

from koukan.ledger.schema import metadata

answers = Table(  # one row for each request of PMH that was answered
    "pmh_answer",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("group_number", Integer, nullable=False),
    Column("sender", String, nullable=False),
    Column("name", String, nullable=False),  # of the package
    Column("rows", Integer, nullable=False),
    Column("given", Integer, nullable=False),  # rows with a PMH-ID
    Column("fresh", Integer, nullable=False),  # persons for whom it was issued by this request
    Column("file_sha256", String, nullable=False),  # of the answer file inside
    Column("file_length", Integer, nullable=False),
    Column("archive_sha256", String),  # the package's identity, known when it is laid out
    Column("sha256", String),  # of the encrypted file in the outbox
    Column("state", String, nullable=False),  # built, laid_out, delivered, expired
    Column("erased", Boolean, nullable=False, default=False),
    Column("built_at", String, nullable=False),
    Column("closed_at", String),
    UniqueConstraint("sender", "name"),
)

reasons = Table(  # rows of a request for which there was none to give, by reason
    "pmh_reason",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("code", String, primary_key=True),
    Column("rows", Integer, nullable=False),
)
