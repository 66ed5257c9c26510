"""`koukan erase` and `koukan erasure`: nothing before its time, and a certificate for what went."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from package_support import program
from questions_support import Asking, asking

from koukan.errors import Exit

ASK, ANSWER, DELIVER = "ask_identity", "answer_identity", "confirm_delivery"
LONG_AGO = "2020-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    """A site that has two packages lying there."""
    from koukan.cli import main

    site = asking(tmp_path_factory.mktemp("erasing"), policy="send = 1")
    for job, number in ((ASK, 1), (ASK, None)):
        main(("run", job, *site.options))
        if number:
            sign(site, number)
    site.answered()
    main(("run", ANSWER, *site.options))
    sign(site, 2)
    main(("run", ANSWER, *site.options))
    return site


def sign(site: Asking, number: int) -> None:
    from koukan.cli import main

    key = str(site.keys.person("sato"))
    assert main(("approval", "approve", str(number), "--key", key, *site.seen)) == 0


@pytest.fixture
def site(prepared: Asking, tmp_path: Path) -> Asking:
    root = tmp_path / "root"
    shutil.copytree(prepared.root, root)
    shutil.copytree(prepared.key.parent, tmp_path / "keys")
    return Asking(
        root, tmp_path / "keys" / "batch.key", type(prepared.keys)(tmp_path / "keys/people")
    )


def long_ago(site: Asking) -> None:
    """Every file of questions was asked years ago."""
    with sqlite3.connect(site.root / "ledger" / "koukan.sqlite") as ledger:
        ledger.execute("UPDATE question SET asked_at = ?", (LONG_AGO,))
    ledger.close()


def due(call, site: Asking) -> list[dict]:
    said = call("erase", "--due", "--plan", "--json", *site.options)
    assert said.code == 0
    return said.document["due"]


@pytest.mark.requirement("R144")
def test_what_nobody_collected_goes_when_its_time_is_over_and_not_before(call, site) -> None:
    assert due(call, site) == []
    assert call("erase", "--due", *site.options).out.startswith("期限が来た 0 件を消去し")
    outboxes = sorted(site.root.glob("exchange/*/outbox/PK_*.age"))
    assert len(outboxes) == 2

    long_ago(site)
    planned = due(call, site)
    assert [(item["what"], item["number"], item["rows"]) for item in planned] == [
        ("questions", 1, 7),
        ("questions", 2, 5),
    ]
    assert {item["since"] for item in planned} == {"2020-10-27 09:00"}
    page = call("erase", "--due", "--plan", *site.options)
    assert "照会" in page.out and page.err == "次の操作: koukan erase --due\n"
    assert all(path.exists() for path in outboxes)  # a plan touches nothing

    done = call("erase", "--due", "--json", *site.options)
    assert (done.document["due"], done.document["left"]) == (2, 0)
    assert not any(path.exists() for path in outboxes)
    assert due(call, site) == []
    assert call("ledger", "verify", *site.options).code == 0
    assert call("erase", "--due", "--json", *site.options).document["records"] == 0


def test_a_certificate_of_what_went_can_be_checked_by_anybody(call, site, tmp_path: Path) -> None:
    site.collected("kenpo-a")
    call("run", DELIVER, *site.options)
    found = call("erasure", "list", "--json", *site.options).document["erasures"]
    kinds = {(item["what"], item["whose"]): item for item in found}
    package = kinds["package", "06990014"]
    (told,) = call("package", "list", "--json", "--insurer", "06990014", *site.seen).document[
        "packages"
    ]
    rows = told["answered"] + told["ambiguous"]
    assert (package["number"], package["rows"], package["good"]) == (1, rows, True)
    assert package["sha256"] == told["archive_sha256"]
    shown = call("erasure", "list", *site.options).out
    assert "パッケージ" in shown and "正しい" in shown

    page = tmp_path / "certificate.html"
    asked_for = ("--reception", "1", "--output", str(page))
    said = call("erasure", "certificate", *asked_for, *site.options)
    assert said.code == 0
    text = page.read_text(encoding="utf-8")
    of_one = [item for item in found if item["number"] == 1 and item["what"] != "request"]
    assert text.count("<tr>") == 1 + len(of_one)
    for item in of_one:
        assert item["signature"] in text and item["sha256"] in text
    assert "消去証明書" in text and "{" not in re.sub(
        r"<style>.*?</style>", "", text, flags=re.DOTALL
    )

    keygen = program("ssh-keygen", "openssh-client")
    key = call("package", "key", *site.options).out.strip()
    (tmp_path / "signers").write_text(f"koukan {key}\n")
    assert key in text
    check = [keygen, "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "koukan"]
    check += ["-n", "koukan-certificate", "-s", f"{page}.sig"]
    good = subprocess.run(check, input=page.read_bytes(), capture_output=True, check=False)
    assert good.returncode == 0, good.stderr
    altered = page.read_bytes().replace(b"koukan", b"kokuan", 1)
    assert subprocess.run(check, input=altered, capture_output=True, check=False).returncode

    assert call("erasure", "certificate", *asked_for, *site.options).code == Exit.USAGE
    nothing = ("--until", "2001-01-01", "--output", str(tmp_path / "none.html"))
    assert call("erasure", "certificate", *nothing, *site.options).code == Exit.USAGE


@pytest.mark.parametrize("change", ["'$.insurer', '06999999'", "'$.erased_at', '2020-01-01'"])
def test_a_forged_record_is_told_and_not_certified(call, site, tmp_path: Path, change: str) -> None:
    site.collected("kenpo-a")
    call("run", DELIVER, *site.options)
    with sqlite3.connect(site.root / "ledger" / "koukan.sqlite") as ledger:
        ledger.execute(
            f"UPDATE erasure SET record = json_set(record, {change}) WHERE what LIKE 'package%'"
        )
    ledger.close()
    said = call("erasure", "list", *site.options)
    assert said.code == Exit.INTEGRITY
    assert "誤り" in said.out
    page = tmp_path / "certificate.html"
    said = call("erasure", "certificate", "--output", str(page), *site.options)
    assert said.code == Exit.INTEGRITY
    assert not page.exists()
