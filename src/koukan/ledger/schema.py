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
    text,
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
    Column("told", String),  # what the sender was told last: outcome (or state) and code
    Column("told_at", String),  # when that was, and
    Column("expects", Integer),  # which number the sender's next file was to have then
    Column("admitted_at", String),  # when it came to the rungs 形式 and
    Column("judged_at", String),  # 明細; its first is received_at, its last closed_at
    Column("closed_at", String),  # when the outcome became final; retention counts from here
    Column("original_erased", Boolean, nullable=False, default=False),
    Column("policy", String, nullable=False, default=""),  # hash of those it is judged by
    Column("remarks", String, nullable=False, default=""),  # codes of what was passed over
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
    Column("state", String, nullable=False),  # open written (replaced) committed
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

group_removals = Table(  # what a group takes away from the tables, see `ledger.rewritings`
    "group_removal",
    metadata,
    Column("group_number", Integer, primary_key=True),
    Column("name", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("partition", String, nullable=False),  # JSON
    Column("rows", Integer, nullable=False),
    Column("size", Integer, nullable=False),
)

forgotten = Table(  # rows that a group takes away for good, until its signed record has them
    "forgotten",
    metadata,
    Column("group_number", Integer, primary_key=True),
    Column("what", String, primary_key=True),  # table, or roster
    Column("reception", Integer, primary_key=True),
    Column("insurer", String, primary_key=True),  # empty in the vault
    Column("rows", Integer, nullable=False),
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

job_failures = Table(  # one row for each job whose last run failed
    "job_failure",
    metadata,
    Column("job", String, primary_key=True),
    Column("failed_at", String, nullable=False),
    Column("exit", Integer, nullable=False),
    Column("key", String, nullable=False),  # of the word catalogue
    Column("where", String, nullable=False),  # JSON: names and numbers for its sentence
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

corrections = Table(  # files whose control record names the reception that they mend
    "correction",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("original", Integer, nullable=False),  # as named
    Column("root", Integer, nullable=False, index=True),  # the first one, of which it comes
    Column("mended", Integer, nullable=False, default=0),  # rejected lines of the root
)

reviews = Table(  # groups whose spells were held against each other
    "review",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("first_group", Integer, nullable=False),
    Column("last_group", Integer, nullable=False),
    Column("day", String, nullable=False),  # YYYYMMDD, JST: stands in its notices
    Column("state", String, nullable=False),  # open done
)

notices = Table(  # what a review came to, by insurer
    "notice",
    metadata,
    Column("review", Integer, primary_key=True),
    Column("insurer", String, primary_key=True),
    Column("sender", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("same", Integer, nullable=False),  # persons with two spells of the insurer
    Column("other", Integer, nullable=False),  # persons whom another insurer has, too
)

erasures = Table(
    "erasure",
    metadata,
    # original, request, questions, package-<ordinal>, members
    Column("what", String, primary_key=True),
    # of the request, of its kind (members), else of the reception
    Column("number", Integer, primary_key=True),
    Column("erased_at", String, nullable=False),
    Column("record", String, nullable=False),  # signed JSON: counts and hashes of what was
)

# --- 本人確認: who asked what under which numbers, and how far it is

questions = Table(  # one row for each accepted file of questions
    "question",
    metadata,
    Column("reception", Integer, primary_key=True),
    Column("insurer", String, nullable=False),
    Column("kind", String, nullable=False),  # my_number basic_four
    Column("mode", String, nullable=False),  # 照会方式
    Column("start", Integer, nullable=False),  # counter of its first line's 要求レコード番号
    Column("rows", Integer, nullable=False),  # as many counters follow it
    Column("asked", Integer, nullable=False),  # accepted lines
    Column("generation", Integer, nullable=False),  # of the sealed open questions and their key
    Column("open", Integer, nullable=False),  # questions in that file
    Column("asked_at", String, nullable=False),
    Column("state", String, nullable=False),  # open, complete (all answered), expired
    Index("question_start", "start"),
)

requests = Table(  # one row for each file that goes to a national system
    "request",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("partner", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("length", Integer, nullable=False),
    Column("state", String, nullable=False),  # cut, sending, sent, over, erased
    Column("created_at", String, nullable=False),
    Column("sent_at", String),
)

request_parts = Table(  # whose questions a request holds
    "request_part",
    metadata,
    Column("request", Integer, primary_key=True),
    Column("reception", Integer, primary_key=True),
    Column("first", Integer, nullable=False),  # a slice of the file's questions, in their order
    Column("rows", Integer, nullable=False),
)

answer_shares = Table(  # what one answer file had for one file of questions
    "answer_share",
    metadata,
    Column("reception", Integer, primary_key=True),  # of the questions
    Column("answer", Integer, primary_key=True),  # reception of the answer file
    Column("answered", Integer, nullable=False),
    Column("ambiguous", Integer, nullable=False),
    Column("package", Integer),  # ordinal of the package that took it up
)

packages = Table(
    "package",
    metadata,
    Column("reception", Integer, primary_key=True),  # of the questions
    Column("ordinal", Integer, primary_key=True),
    Column("insurer", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("name", String, nullable=False),
    Column("answered", Integer, nullable=False),
    Column("ambiguous", Integer, nullable=False),
    Column("open", Integer, nullable=False),  # questions of the file that it left open
    Column("file_sha256", String, nullable=False),  # of the result file inside
    Column("file_length", Integer, nullable=False),
    Column("archive_sha256", String),  # the package's identity, known when it is laid out
    Column("sha256", String),  # of the encrypted file in the outbox
    Column("state", String, nullable=False),  # built, laid_out, delivered, expired
    Column("how", String),  # it was delivered: receipt, taken
    Column("erased", Boolean, nullable=False, default=False),
    Column("built_at", String, nullable=False),
    Column("closed_at", String),
    UniqueConstraint("sender", "name"),
)

approvals = Table(
    "approval",
    metadata,
    Column("number", Integer, primary_key=True),  # given once, ascending
    Column("operation", String, nullable=False),  # send store
    Column("subject", String, nullable=False),  # request reception
    Column("subject_number", Integer, nullable=False),
    Column("content", String, nullable=False),  # canonical JSON: what persons sign
    Column("created_at", String, nullable=False),
    Column("expires_at", String, nullable=False),
    Column("state", String, nullable=False),  # open used expired replaced
    Column("used_at", String),
    Column("used_by", String, nullable=False, default="[]"),  # JSON: names of persons
    Index(  # one open approval of an operation on a subject
        "approval_open",
        "operation",
        "subject",
        "subject_number",
        unique=True,
        sqlite_where=text("state = 'open'"),
    ),
    Index("approval_state", "state"),
)

signature_refusals = Table(  # that a signature did not count was logged already
    "signature_refusal",
    metadata,
    Column("approval", Integer, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("reason", String, primary_key=True),  # key of the word catalogue
)
