"""Tables of the ledger: numbers, names, counts, hashes; never the value of a record's field."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

receptions = Table(
    "reception",
    metadata,
    Column("number", Integer, primary_key=True),  # 受付番号, given once, ascending
    Column("job", String, nullable=False),
    Column("format", String, nullable=False),
    Column("definition", String, nullable=False),  # hash of the format definition it is read by
    Column("rights", String, nullable=False),  # hash of what the sender might do when it came
    Column("sender", String, nullable=False),
    Column("door", String, nullable=False),
    Column("file_name", String, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("length", Integer, nullable=False),
    Column("original", String, nullable=False),  # name of the sealed original and of its key
    Column("received_at", String, nullable=False),  # UTC, ISO
    Column("state", String, nullable=False),  # picked_up gated admitted committed closed
    Column("outcome", String),  # accepted refused duplicate held erased
    Column("code", String),  # why it was refused or held, from rejects.toml
    Column("line", Integer, nullable=False, default=0),
    Column("reason", String),  # an operator's, with release or refuse
    Column("first", Integer),  # the reception that a duplicate repeats
    Column("rows", Integer, nullable=False, default=0),
    Column("cuts", String, nullable=False, default="[]"),  # JSON [[offset, rows], …]
    Column("group_number", Integer),
    Column("result_sha256", String),
    Column("result_lines", Integer),
    Column("told", String),  # what the sender was told last: outcome and code
    Column("closed_at", String),  # when the outcome became final; retention counts from here
    Column("original_erased", Boolean, nullable=False, default=False),
    Index("reception_state", "state"),
    Index("reception_outcome", "outcome"),
    Index("reception_name", "sender", "format", "file_name"),
    Index("reception_bytes", "sender", "format", "sha256"),
)

insurer_counts = Table(
    "insurer_count",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("insurer", String, primary_key=True),
    Column("first_line", Integer, nullable=False, default=0),
    Column("received", Integer, nullable=False, default=0),
    Column("accepted", Integer, nullable=False, default=0),
    Column("rejected", Integer, nullable=False, default=0),
    Column("duplicate", Integer, nullable=False, default=0),
    Column("held", Integer, nullable=False, default=0),
)

finding_counts = Table(
    "finding_count",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("insurer", String, primary_key=True),
    Column("code", String, primary_key=True),
    Column("count", Integer, nullable=False),
)

groups = Table(
    "group",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("format", String, nullable=False),
    Column("state", String, nullable=False),  # open written committed
    Column("attempt", Integer, nullable=False, default=0),
    Column("formed_at", String, nullable=False),
)

members = Table(
    "group_member",
    metadata,
    Column("group_number", Integer, primary_key=True),
    Column("reception", Integer, primary_key=True),
    Column("start", Integer, nullable=False),  # first counter of the range that it may issue from
)

group_files = Table(  # what a group adds to the tables, named before the first commit
    "group_file",
    metadata,
    Column("group_number", Integer, primary_key=True),
    Column("name", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("partition", String, nullable=False),  # JSON
    Column("rows", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Index("group_file_path", "name", "path"),
)

table_versions = Table(
    "table_version",
    metadata,
    Column("name", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("commit_hash", String, nullable=False),
    Column("files_digest", String, nullable=False),
)

counters = Table(
    "counter",
    metadata,
    Column("name", String, primary_key=True),
    Column("next", Integer, nullable=False),
)

sequences = Table(
    "sequence",
    metadata,
    Column("sender", String, primary_key=True),
    Column("format", String, primary_key=True),
    Column("next", Integer, nullable=False),
)

leases = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("since", String, nullable=False),
)

job_runs = Table(
    "job_run",
    metadata,
    Column("job", String, primary_key=True),
    Column("due", String, primary_key=True),
    Column("finished_at", String),
    Column("seconds", Float),
    Column("exit", Integer),
)

laid_out = Table(
    "laid_out",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("kind", String, primary_key=True),  # acknowledgement result
    Column("sender", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("lines", Integer, nullable=False),
    UniqueConstraint("sender", "name"),
)

erasures = Table(
    "erasure",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("what", String, primary_key=True),  # original result
    Column("erased_at", String, nullable=False),
    Column("record", String, nullable=False),  # signed JSON: counts and hashes of what was
)
