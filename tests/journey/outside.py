"""What others do in a night: persons approve, 住基ネット answers, insurers collect. All repeatable.

Each act can be killed anywhere and done again: what was done is seen in the folders, or in the
partner's own folder beside the root. Nothing of koukan's reading or writing of fixed width is used.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyrage

from koukan.engine.approvals import approve
from koukan.engine.desk import open_desk
from koukan.engine.packages import open_package
from koukan.formats.load import require_catalogue
from koukan.formats.model import Field, Format
from koukan.keys.package import load_package_identity
from koukan.keys.signing import Signer
from koukan.keys.sshsig import load_private_key
from koukan.reports import pending
from koukan.rules.checkdigits import complete
from koukan.shipped import formats_folder

PARTNER = "juki-net"


@cache
def formats() -> dict[str, Format]:
    return dict(require_catalogue(formats_folder()).formats)


PERSONS = {
    "sato": ("send", "store"),
    "suzuki": ("send", "store"),
    "hara": ("release",),
    "tanaka": ("look",),
}
Row = dict[str, str]


@dataclass(frozen=True)
class Keys:
    """Keys of persons and insurers, in a folder beside the root."""

    folder: Path

    def make(self, insurers: Iterable[str]) -> str:
        """All of them; what site.toml must say of persons."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for insurer in insurers:
            identity = pyrage.x25519.Identity.generate()
            path = self.folder / f"{insurer}.txt"
            path.write_text(f"{identity}\n")
            path.chmod(0o600)
        parts = []
        for name, rights in PERSONS.items():
            path = self.folder / name
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)],
                check=True,
            )
            key = path.with_suffix(".pub").read_text().strip()
            parts.append(
                f'[[person]]\nname = "{name}"\ntitle = "架空の職員"\nkey = "{key}"\n'
                f"rights = {list(rights)}\nvalid_from = 2026-01-01\n".replace("'", '"')
            )
        return "\n".join(parts)

    def recipient(self, insurer: str) -> str:
        text = (self.folder / f"{insurer}.txt").read_text().strip()
        return str(pyrage.x25519.Identity.from_str(text).to_public())

    def person(self, name: str) -> Path:
        return self.folder / name


def with_package_keys(text: str, keys: Keys, insurers: Iterable[str]) -> str:
    """A site.toml in which every insurer has registered its key."""
    for code in insurers:
        line = f'code = "{code}"'
        text = text.replace(line, f'{line}\npackage_key = "{keys.recipient(code)}"', 1)
    return text


def approve_all(root: Path, keys: Keys, now: datetime, who: str = "sato") -> list[int]:
    """Everything that waits for a person, by one; the numbers of the approvals."""
    desk = open_desk(root, clock=lambda: now)
    try:
        waiting = [item["approval"] for item in pending(desk) if item["operation"] in PERSONS[who]]
        key = load_private_key(keys.person(who), outside=root, passphrase=lambda: b"")
        for number in waiting:
            approve(desk, number, key)
    finally:
        desk.close()
    return waiting


# --- 住基ネット


def cut_line(line: bytes, fields: tuple[Field, ...]) -> Row:
    """A fixed-width line by field names."""
    ends = list(accumulate(item.slot for item in fields))
    parts = [line[end - item.slot : end] for end, item in zip(ends, fields, strict=True)]
    values = [part.decode("cp932").rstrip(" ") for part in parts]
    return {item.name: value for item, value in zip(fields, values, strict=True)}


def written_line(row: Row, fields: tuple[Field, ...]) -> bytes:
    return b"".join(row.get(item.name, "").encode("cp932").ljust(item.slot) for item in fields)


@dataclass
class Request:
    """A request file as the partner reads it."""

    name: str
    control: Row
    rows: list[Row]


def read_request(path: Path) -> Request:
    form = formats()["juki_net_request"]
    first, *lines, _ = path.read_bytes().split(b"\r\n")[:-1]
    record = form.section("request")
    rows = [cut_line(line, form.fields(record)) for line in lines]
    return Request(path.name, cut_line(first, form.control), rows)


def number_for(row: Row) -> str:
    """A number that the register has for a question: made from the question's own number."""
    eleven = int(row["request_record_number"]) % 10**11
    return f"{int(complete('my_number', np.array([eleven]))[0]):012d}"


def found(row: Row, **values: str) -> Row:
    """The answer of a register that holds exactly what was asked."""
    person = {
        "answer_class": "1",
        "alive_status": "1",
        "update_status": "0",
        "resident_class": "1",
        "change_presence": "0",
        "my_number": row["my_number"] or number_for(row),
        "resident_name": row["resident_name"] or "架空　花子",
        "resident_name_kana": row["resident_name_kana"] or "カクウ　ハナコ",
        "birth_date": row["birth_date"] or "19700101",
        "sex": row["sex"] or "2",
        "address": row["address"] or "架空県見本市本町１丁目２番３号",
    }
    return {"request_record_number": row["request_record_number"], **person, **values}


def other(row: Row, answer_class: str) -> Row:
    return {"request_record_number": row["request_record_number"], "answer_class": answer_class}


def answer_file(sequence: int, mode: str, kind: str, rows: list[Row]) -> tuple[str, bytes]:
    """Name and bytes of an answer file."""
    form: Format = formats()["juki_net_answer"]
    record = form.section("answer")
    control = {
        "record_number": "0000000000",
        "record_type_code": "00",
        "layout_code": "JA202604",
        "sender": PARTNER,
        "file_sequence": f"{sequence:06d}",
        "creation_date": "20260511",
        "query_mode": mode,
        "query_type": kind,
    }
    lines = [written_line(control, form.control)]
    for number, row in enumerate(rows, 1):
        head = {"record_number": f"{number:010d}", "record_type_code": record.code}
        lines.append(written_line({**row, **head}, form.fields(record)))
    count = f"{len(rows):08d}"
    end = {
        "record_number": "9999999999",
        "record_type_code": "99",
        "record_count": count,
        "answer_count": count,
        "control_total": f"{len(rows) * (len(rows) + 1) // 2:018d}",
    }
    lines.append(written_line(end, form.end))
    return f"JA_{PARTNER}_{sequence:06d}.dat", b"".join(line + b"\r\n" for line in lines)


def each_outcome(rows: list[Row]) -> list[Row]:
    """Answers in turns: found, nobody, several, dead, moved, malformed; none to the last one."""
    answers = []
    for place, row in enumerate(rows[:-1]):
        turns: tuple[Callable[[], Row], ...] = (
            lambda row=row: found(row),  # type: ignore[misc]
            lambda row=row: other(row, "2"),  # type: ignore[misc]
            lambda row=row: other(row, "3"),  # type: ignore[misc]
            lambda row=row: found(row, alive_status="2"),  # type: ignore[misc]
            lambda row=row: found(row, change_presence="1", address="架空県試験市新町９番"),  # type: ignore[misc]
            lambda row=row: found(row, my_number="123456789010"),  # type: ignore[misc]
        )
        answers.append(turns[place % len(turns)]())
    return answers


@dataclass
class JukiNet:
    """The partner, with a folder of its own beside the root; answers every request once."""

    root: Path
    state: Path
    decide: Callable[[list[Row]], list[Row]] = field(default=each_outcome)

    @property
    def exchange(self) -> Path:
        return self.root / "exchange" / PARTNER

    def answer(self) -> list[str]:
        """Take what lies in the outbox, lay an answer to each request; names of what was laid."""
        self.state.mkdir(parents=True, exist_ok=True)
        laid = []
        for path in sorted((self.exchange / "outbox").glob("JQ_*")):
            request = read_request(path)
            answered = self.state / request.name
            if not answered.exists():
                laid.append(self._lay(request, len(list(self.state.glob("JQ_*"))) + 1))
                answered.touch()
            path.unlink()
        return laid

    def _lay(self, request: Request, sequence: int) -> str:
        control = request.control
        rows = self.decide(request.rows)
        name, content = answer_file(sequence, control["query_mode"], control["query_type"], rows)
        self.put(name, content)
        return name

    def put(self, name: str, content: bytes) -> None:
        inbox = self.exchange / "inbox" / "juki_net"
        part = inbox / f"{name}.part"
        part.write_bytes(content)
        part.rename(inbox / name)


# --- insurers


def packages_of(root: Path, sender: str) -> list[Path]:
    return sorted((root / "exchange" / sender / "outbox").glob("PK_*.age"))


def collect(root: Path, sender: str) -> None:
    """Move every package with its signature into `taken/`."""
    for path in packages_of(root, sender):
        for each in (path.with_name(path.name + ".sig"), path):
            if each.exists():
                os.replace(each, path.parents[1] / "taken" / each.name)


def confirm(
    root: Path, keys: Keys, state: Path, signer: Signer, *, sender: str, insurer: str
) -> None:
    """Open every package in the outbox and confirm all by their archives' hashes.

    What was written once is laid again, byte for byte: the insurer does not know what arrived.
    """
    written = state / f"PR_{sender}_000001.csv"
    if not written.exists():
        identity = load_package_identity(keys.folder / f"{insurer}.txt")
        hashes = {
            path.name: open_package(path, identity, signer.ssh).archive_sha256
            for path in packages_of(root, sender)
        }
        part = written.with_suffix(".part")
        part.write_bytes(receipt_file(sender, insurer, hashes, 1)[1])
        part.rename(written)
    inbox = root / "exchange" / sender / "inbox" / "dedicated_terminal"
    part = inbox / f"{written.name}.part"
    part.write_bytes(written.read_bytes())
    part.rename(inbox / written.name)


def receipt_file(
    sender: str, insurer: str, hashes: dict[str, str], sequence: int
) -> tuple[str, bytes]:
    """Name and bytes of a 受領確認ファイル."""
    lines = [f"0000000000,00,PR202604,{sender},{sequence:06d},20260511"]
    lines += [
        f"{number:010d},61,{insurer},{name},{digest}"
        for number, (name, digest) in enumerate(sorted(hashes.items()), 1)
    ]
    count = len(hashes)
    total = count * (count + 1) // 2
    lines.append(f"9999999999,99,{count:08d},{count:08d},{total:018d}")
    content = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    return f"PR_{sender}_{sequence:06d}.csv", content
