"""`koukan package receipt`: what an insurer sends back once it has its packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from package_support import ABOUT, NAME, SIGNER, contents, laid, pair

from koukan.codecs.gate import Gate
from koukan.engine.centre import format_folders
from koukan.engine.packages import lay
from koukan.flows.identity import RECEIPT
from koukan.formats import require_catalogue

OTHER = NAME.replace("000001", "000002")
FORM = require_catalogue(*format_folders(None)).formats[RECEIPT]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "collected"
    found.mkdir()
    laid(found)
    return found


def second(folder: Path, insurer: str = ABOUT.insurer) -> Path:
    about = ABOUT._replace(insurer=insurer)
    lay(folder / OTHER, contents(), about, signer=SIGNER, recipients=[pair().public])
    return folder / OTHER


def asked(folder: Path, *packages: Path, sender: str = "kenpo-a", sequence: int = 7) -> list[str]:
    key = pair().file(folder.parent)
    return [
        "package",
        "receipt",
        *map(str, packages),
        *("--sender", sender, "--sequence", str(sequence)),
        *("--key", str(key), "--signer", str(SIGNER.ssh), "--into", str(folder)),
    ]


def test_a_receipt_passes_the_gate_and_names_what_was_opened(call, folder) -> None:
    made = laid(folder)
    said = call(*asked(folder, folder / NAME, second(folder)), "--json")
    assert said.code == 0
    assert said.document["file"] == "PR_kenpo-a_000007.csv"
    assert said.document["packages"] == [NAME, OTHER]
    content = (folder / "PR_kenpo-a_000007.csv").read_bytes()
    verdict = Gate(FORM).read([content])
    assert (verdict.code, verdict.rows, verdict.insurers) == (None, 2, {ABOUT.insurer: 2})
    assert verdict.control["sender"] == "kenpo-a"
    lines = content.decode("cp932").split("\r\n")
    assert lines[1] == f"0000000001,61,{ABOUT.insurer},{NAME},{made.archive_sha256}"


def test_a_receipt_is_not_written_over_another(call, folder) -> None:
    said = call(*asked(folder, folder / NAME))
    assert (said.code, "PR_kenpo-a_000007.csv" in said.out) == (0, True)
    before = (folder / "PR_kenpo-a_000007.csv").read_bytes()
    assert call(*asked(folder, folder / NAME)).code == 64
    assert (folder / "PR_kenpo-a_000007.csv").read_bytes() == before


def test_what_cannot_be_confirmed_is_told_and_nothing_is_written(call, folder) -> None:
    other = second(folder, insurer="01990015")
    broken = folder / "PK_broken_0000000001_001.tar.age"
    broken.write_bytes((folder / NAME).read_bytes())
    for packages, sender, code in (
        ((folder / NAME, other), "kenpo-a", 64),
        ((folder / NAME, folder / NAME), "kenpo-a", 64),
        ((folder / NAME,), "Kenpo A", 64),
        ((folder / NAME, broken), "kenpo-a", 50),
    ):
        said = call(*asked(folder, *packages, sender=sender))
        assert said.code == code, said.err
        assert not list(folder.glob("PR_*"))
