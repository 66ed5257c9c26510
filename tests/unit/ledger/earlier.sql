-- The ledger of an earlier koukan: before corrections, reviews, policies, erasures of members.
CREATE TABLE answer_share (
    reception INTEGER NOT NULL,
    answer INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    ambiguous INTEGER NOT NULL,
    package INTEGER,
    PRIMARY KEY (reception, answer)
);
CREATE TABLE approval (
    number INTEGER NOT NULL,
    operation VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    subject_number INTEGER NOT NULL,
    content VARCHAR NOT NULL,
    created_at VARCHAR NOT NULL,
    expires_at VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    used_at VARCHAR,
    used_by VARCHAR NOT NULL,
    PRIMARY KEY (number)
);
CREATE UNIQUE INDEX approval_open ON approval (operation, subject, subject_number) WHERE state = 'open';
CREATE INDEX approval_state ON approval (state);
CREATE TABLE counter (
    name VARCHAR NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE erasure (
    what VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    erased_at VARCHAR NOT NULL,
    record VARCHAR NOT NULL,
    PRIMARY KEY (what, number)
);
CREATE TABLE finding_count (
    reception INTEGER NOT NULL,
    insurer VARCHAR NOT NULL,
    code VARCHAR NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (reception, insurer, code)
);
CREATE TABLE "group" (
    number INTEGER NOT NULL,
    format VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    formed_at VARCHAR NOT NULL,
    PRIMARY KEY (number)
);
CREATE TABLE group_file (
    group_number INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    partition VARCHAR NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sha256 VARCHAR NOT NULL,
    PRIMARY KEY (group_number, name, path)
);
CREATE INDEX group_file_path ON group_file (name, path);
CREATE TABLE group_member (
    group_number INTEGER NOT NULL,
    reception INTEGER NOT NULL,
    start INTEGER NOT NULL,
    PRIMARY KEY (group_number, reception)
);
CREATE TABLE group_removal (
    group_number INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    partition VARCHAR NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (group_number, name, path)
);
CREATE TABLE insurer_count (
    reception INTEGER NOT NULL,
    insurer VARCHAR NOT NULL,
    first_line INTEGER NOT NULL,
    received INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    duplicate INTEGER NOT NULL,
    held INTEGER NOT NULL,
    PRIMARY KEY (reception, insurer)
);
CREATE TABLE job_failure (
    job VARCHAR NOT NULL,
    failed_at VARCHAR NOT NULL,
    exit INTEGER NOT NULL,
    "key" VARCHAR NOT NULL,
    "where" VARCHAR NOT NULL,
    PRIMARY KEY (job)
);
CREATE TABLE job_run (
    job VARCHAR NOT NULL,
    due VARCHAR NOT NULL,
    finished_at VARCHAR,
    seconds FLOAT,
    exit INTEGER,
    PRIMARY KEY (job, due)
);
CREATE TABLE laid_out (
    reception INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    sender VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    lines INTEGER NOT NULL,
    PRIMARY KEY (reception, kind),
    UNIQUE (sender, name)
);
CREATE TABLE lease (
    name VARCHAR NOT NULL,
    holder VARCHAR NOT NULL,
    since VARCHAR NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE package (
    reception INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    insurer VARCHAR NOT NULL,
    sender VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    answered INTEGER NOT NULL,
    ambiguous INTEGER NOT NULL,
    open INTEGER NOT NULL,
    file_sha256 VARCHAR NOT NULL,
    file_length INTEGER NOT NULL,
    archive_sha256 VARCHAR,
    sha256 VARCHAR,
    state VARCHAR NOT NULL,
    how VARCHAR,
    erased BOOLEAN NOT NULL,
    built_at VARCHAR NOT NULL,
    closed_at VARCHAR,
    PRIMARY KEY (reception, ordinal),
    UNIQUE (sender, name)
);
CREATE TABLE question (
    reception INTEGER NOT NULL,
    insurer VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    start INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    open INTEGER NOT NULL,
    asked_at VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    PRIMARY KEY (reception)
);
CREATE INDEX question_start ON question (start);
CREATE TABLE reception (
    number INTEGER NOT NULL,
    job VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    definition VARCHAR NOT NULL,
    rights VARCHAR NOT NULL,
    sender VARCHAR NOT NULL,
    door VARCHAR NOT NULL,
    file_name VARCHAR NOT NULL,
    sequence INTEGER NOT NULL,
    sha256 VARCHAR NOT NULL,
    length INTEGER NOT NULL,
    original VARCHAR NOT NULL,
    received_at VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    outcome VARCHAR,
    code VARCHAR,
    line INTEGER NOT NULL,
    reason VARCHAR,
    first INTEGER,
    rows INTEGER NOT NULL,
    cuts VARCHAR NOT NULL,
    group_number INTEGER,
    result_sha256 VARCHAR,
    result_lines INTEGER,
    told VARCHAR,
    closed_at VARCHAR,
    original_erased BOOLEAN NOT NULL,
    PRIMARY KEY (number)
);
CREATE INDEX reception_bytes ON reception (sender, format, sha256);
CREATE INDEX reception_name ON reception (sender, format, file_name);
CREATE INDEX reception_outcome ON reception (outcome);
CREATE INDEX reception_state ON reception (state);
CREATE TABLE request (
    number INTEGER NOT NULL,
    partner VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    sequence INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    sha256 VARCHAR NOT NULL,
    length INTEGER NOT NULL,
    state VARCHAR NOT NULL,
    created_at VARCHAR NOT NULL,
    sent_at VARCHAR,
    PRIMARY KEY (number)
);
CREATE TABLE request_part (
    request INTEGER NOT NULL,
    reception INTEGER NOT NULL,
    first INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (request, reception)
);
CREATE TABLE sequence (
    sender VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (sender, format)
);
CREATE TABLE signature_refusal (
    approval INTEGER NOT NULL,
    sha256 VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    PRIMARY KEY (approval, sha256, reason)
);
CREATE TABLE table_version (
    name VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    commit_hash VARCHAR NOT NULL,
    files_digest VARCHAR NOT NULL,
    PRIMARY KEY (name)
);
