"""Every package of a night, opened by what an insurer has: age, OpenSSH and tar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from independent_reader import read
from journey import outside
from journey.acts import ANSWER
from journey.played import NightAfter, until
from package_support import program

from koukan import reports
from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger

Open = Callable[..., Centre]


@pytest.mark.requirement("R135", "R141")
def test_counts_and_hashes_of_every_package_agree(night_after: NightAfter, tmp_path: Path) -> None:
    program("age", "age")
    centre, people = night_after(until("answer"))
    run_job(centre, ANSWER)
    outside.approve_all(people.root, people.keys, people.now)
    run_job(centre, ANSWER)
    run_job(centre, "report_errors")  # correction packages
    signers = tmp_path / "signers"
    signers.write_text(f"koukan {centre.signer.ssh}\n")

    known = {item["package"]: item for item in reports.packages(centre)}
    corrected = {
        (number, item.insurer): item.rejected
        for number in range(1, centre.ledger.newest() + 1)
        for item in centre.ledger.counts(number)
    }
    seen = []
    for path in sorted(people.root.glob("exchange/*/outbox/*.age")):
        insurer = insurer_of(centre, path)
        found = read(path, people.keys.folder / f"{insurer}.txt", signers)
        assert found.insurer == insurer
        assert found.counts["rows"] == found.lines
        if path.name.startswith("CF_"):
            assert corrected[found.reception, insurer] == found.lines
        else:
            told = known[path.name]
            assert told["archive_sha256"] == found.archive_sha256
            assert told["answered"] + told["ambiguous"] == found.lines
            assert told["insurer"] == insurer
        seen.append(path.name)
    assert set(known) == {name for name in seen if name.startswith("PK_")}
    assert len(known) == 3
    assert any(name.startswith("CF_") for name in seen)
    assert verify_ledger(centre) == []


def insurer_of(centre: Centre, path: Path) -> str:
    """The one insurer of the sender in whose outbox a package lies."""
    (insurer,) = centre.site.sender(path.parents[1].name).insurers
    return insurer
