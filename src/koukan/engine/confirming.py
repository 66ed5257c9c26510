"""受領確認 written at an insurer's side: which packages it has opened. No site, no network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from koukan import durable
from koukan.codecs import render
from koukan.codecs.gate import TOTAL_MODULUS
from koukan.engine.packages import PACKAGE, Opened
from koukan.errors import UsageError
from koukan.formats import Format

SECTION = "receipt"


def receipt_file(
    form: Format, opened: Sequence[Opened], *, sender: str, sequence: int, day: date
) -> tuple[str, bytes]:
    """Name and content of the file that confirms packages which were opened.

    Raises:
        UsageError: they are not all one insurer's, one is named twice, or the sender's name or the
            number is none that a file may have.
    """
    insurers = {item.manifest.about.insurer for item in opened}
    packages = [item.manifest.package for item in opened]
    if len(insurers) != 1:
        raise UsageError("package.receipt_insurers", known=", ".join(sorted(insurers)))
    if len(set(packages)) != len(packages):
        raise UsageError("package.receipt_twice")
    prefix = form.file.example.partition("_")[0]
    name = f"{prefix}_{sender}_{sequence:06d}.csv"
    if form.file.expression.fullmatch(name) is None:
        raise UsageError("package.receipt_name", file=form.file.example)
    head = {
        **{item.name: item.sample for item in form.control},
        "sender": sender,
        "file_sequence": f"{sequence:06d}",
        "creation_date": day.strftime("%Y%m%d"),
    }
    lines = [
        render.record(
            form,
            SECTION,
            {
                "record_number": f"{number:010d}",
                "insurer_code": item.manifest.about.insurer,
                "package_name": item.manifest.package + PACKAGE,
                "archive_sha256": item.archive_sha256,
            },
        )
        for number, item in enumerate(opened, 1)
    ]
    total = sum(range(1, len(lines) + 1)) % TOTAL_MODULUS
    end = {
        **{item.name: item.sample for item in form.end},
        "record_count": f"{len(lines):08d}",
        f"{SECTION}_count": f"{len(lines):08d}",
        "control_total": f"{total:018d}",
    }
    parts = [render.single(form, form.control, head), *lines, render.single(form, form.end, end)]
    return name, b"".join(parts)


def write_receipt(
    folder: Path, form: Format, opened: Sequence[Opened], *, sender: str, sequence: int, day: date
) -> Path:
    """The file in a folder. Raises UsageError where one of its name is there already."""
    name, content = receipt_file(form, opened, sender=sender, sequence=sequence, day=day)
    target = folder / name
    if not folder.is_dir():
        raise UsageError("package.into_nowhere", path=folder.name)
    if target.exists():
        raise UsageError("package.receipt_exists", file=name)
    durable.write(target, content)
    return target
