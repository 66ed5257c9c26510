"""What README.md gives to be copied works as it stands there."""

from __future__ import annotations

import re
import subprocess
from itertools import chain
from pathlib import Path

import pytest
from package_support import FILES, SIGNER, laid, names, pair, program

from koukan.engine.definitions import definition_problems
from koukan.formats import Catalogue

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NAME = "PK_NQ_kenpo-c_000001_0000000002_001"


def block(kind: str) -> str:
    """The only block of that kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert isinstance(found, str)
    return found


def test_the_example_site_passes_the_check(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(block("toml"), encoding="utf-8")
    assert definition_problems(tmp_path) == []


@pytest.mark.parametrize("kind", ["age", "ed25519", "rsa"])
def test_a_package_opens_with_the_programs_that_the_page_names(tmp_path: Path, kind: str) -> None:
    program("age", "age"), program("ssh-keygen", "openssh-client")
    package = laid(tmp_path, kind, f"{NAME}.tar.age")
    pair(kind).file(tmp_path, "kenpo.key")
    (tmp_path / "centre.pub").write_text(f"{SIGNER.ssh}\n")

    def follow() -> subprocess.CompletedProcess[str]:
        script = f"P={NAME}\n{block('bash')}"
        return subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    ran = follow()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count('Good "koukan-package" signature for koukan') == 2
    assert ran.stdout.splitlines()[-1] == f"{package.archive_sha256}  {NAME}.tar"
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES

    for name in (*FILES, f"{NAME}.tar"):
        (tmp_path / name).unlink()
    whole = (tmp_path / f"{NAME}.tar.age").read_bytes()
    (tmp_path / f"{NAME}.tar.age").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert follow().returncode != 0
    assert not {*FILES, f"{NAME}.tar"} & set(names(tmp_path))  # nothing was opened


def test_the_table_of_doors_is_what_the_rights_say(catalogue: Catalogue) -> None:
    section = README.partition("### Doors")[2].partition("###")[0]
    rows = [line.split("|")[1:4] for line in section.splitlines() if line.startswith("| ")][1:]
    rights = {one.function: one for one in catalogue.rights}
    expected = {
        "MR_": [rights["register_qualifications"]],
        "市町村国保, by": [rights["register_qualifications_of_municipal_nhi"]],
        "NQ_": [rights["acquire_my_number"]],
        "BQ_": [rights["acquire_basic_four_immediate"], rights["acquire_basic_four_bulk"]],
        "PR_": [rights["confirm_packages"]],
        "JA_": [rights["answer_questions"]],
    }
    for mark, found in expected.items():
        (row,) = [row for row in rows if mark in "|".join(row)]
        doors = {door for right in found for door in right.doors}
        assert set(re.findall("`([a-z_]+)`", row[2])) == doors
        kinds = set(chain.from_iterable(right.kinds for right in found))
        if "all but" in row[1]:
            assert "municipal_nhi" not in kinds
            assert ("welfare" in kinds) == (
                "生活保護" not in row[1] or "生活保護 in bulk" in row[1]
            )
