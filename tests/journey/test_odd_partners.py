"""A partner that answers twice, for others, or for nobody: by SFTP, with time in folders, too.

One journey: each insurer has, in the end, the first answer to each of its own questions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from journey import nights, outside
from journey.acts import ANSWER, ASK, DELIVER, Outside, approve, take
from journey.partner_site import Partner, Site, problems
from journey.test_answer_splits import told
from journey.whole import KENPO_A, KENPO_B, lay_file

from koukan.engine import entrusted
from koukan.engine.centre import Centre
from koukan.errors import Exit
from koukan.ledger import Reception
from koukan.ledger import identity as asked
from koukan.rules.reconcile import NUMBER

BULK_ANSWER = ("2", "1")  # mode and kind of the file that answers the bulk questions
IMMEDIATE_ANSWER = ("1", "2")
STRANGER, CLOSED, OTHER_NUMBER = "H201", "H202", "H204"
NOBODYS = "9999999999999999"  # a 要求レコード番号 that no question has


@pytest.fixture(params=["sftp", "folder"] if nights.LONG else ["sftp"])
def partner(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Partner:
    (site.root / "site.toml").write_text(site.written, encoding="utf-8")
    for path in nights.inbox_files(site.root):
        if "Q_" not in path.name:
            path.unlink()
    return Partner(site, tmp_path / "outside", request.param == "sftp")


def looked(site: Site, look: Callable[[Centre], list[Reception]]) -> list[Reception]:
    centre = site.opened()
    try:
        return look(centre)
    finally:
        centre.close()


def answers(site: Site) -> list[Reception]:
    """Receptions of the partner's files."""
    return looked(site, lambda centre: centre.ledger.receptions(formats=["juki_net_answer"]))


def codes(site: Site, reception: Reception) -> dict[str, int]:
    """Code -> rows of a file that were not taken."""
    centre = site.opened()
    try:
        return {code: count for _, code, count in centre.ledger.findings(reception.number)}
    finally:
        centre.close()


def unsent_numbers(site: Site) -> list[str]:
    """要求レコード番号 of kenpo-a's second file, which waits for a person."""
    centre = site.opened()
    try:
        item = max(asked.questions(centre.ledger), key=lambda item: item.reception)
        assert (item.insurer, item.mode) == (KENPO_A, "2")
        opened = entrusted.open_questions(centre, item.reception, item.generation)
        return [f"{number:016d}" for number in opened[NUMBER]]
    finally:
        centre.close()


def packages(site: Site) -> list[asked.Package]:
    centre = site.opened()
    try:
        return asked.packages(centre.ledger)
    finally:
        centre.close()


@pytest.mark.requirement("R132", "R138", "R140", "R141")
def test_each_question_has_its_first_answer_and_nobody_has_another_s(
    partner: Partner, people: Outside, tmp_path: Path
) -> None:
    site = partner.site
    partner.run(ASK)
    approve(people, None)  # type: ignore[arg-type]
    partner.run(ASK)
    by_kind = {
        (one.control["query_mode"], one.control["query_type"]): one.rows
        for one in partner.requests()
    }
    bulk, immediate = by_kind[BULK_ANSWER], by_kind[IMMEDIATE_ANSWER]
    night = nights.Night(
        site.root, nights.Population(nights.SEED), nights.formats(), nights.NIGHT_DAY, 0
    )
    lay_file(night, "kenpo-a", "my_number_query", range(580, 582), sequence=2)
    partner.run(ASK)
    unsent = unsent_numbers(site)
    assert partner.requests() == []

    # Everything that was asked, and what was not: by nobody, in another file, not yet.
    def row(number: str) -> outside.Row:
        return outside.found({**bulk[0], "request_record_number": number})

    of_others = [row(number) for number in (NOBODYS, *unsent)]
    of_others += [row(item["request_record_number"]) for item in immediate]
    first = [outside.found(item) for item in bulk]
    name, content = outside.answer_file(1, *BULK_ANSWER, first + of_others)
    partner.put(name, content)
    # Of the immediate ones two have each other's person.
    swapped = [outside.found(item) for item in immediate]
    swapped[0]["my_number"], swapped[1]["my_number"] = (
        swapped[1]["my_number"],
        swapped[0]["my_number"],
    )
    partner.put(*outside.answer_file(2, *IMMEDIATE_ANSWER, swapped))
    partner.run(ANSWER)
    approve(people, None)  # type: ignore[arg-type]
    partner.run(ANSWER)
    bulk_came, immediate_came = answers(site)
    assert codes(site, bulk_came) == {STRANGER: 1 + len(unsent) + len(immediate)}
    assert codes(site, immediate_came) == {OTHER_NUMBER: 2}
    made = packages(site)

    # The same file again; the same answers under other names, and others to the same questions.
    partner.put(name, content)
    partner.put(f"JA_{outside.PARTNER}_000003.dat", content)
    again = [outside.other(item, "2") for item in bulk]
    partner.put(*outside.answer_file(4, *BULK_ANSWER, first))
    partner.put(*outside.answer_file(5, *BULK_ANSWER, again))
    partner.run(ANSWER)
    approve(people, None)  # type: ignore[arg-type]
    partner.run(ANSWER)
    came = answers(site)[2:]
    assert [item.file_name[-10:-4] for item in came] == ["000003", "000004", "000005"]
    assert [codes(site, item) for item in came[1:]] == [{CLOSED: len(bulk)}] * 2
    assert came[0].outcome in ("duplicate", "refused")
    assert packages(site) == made

    centre = site.opened()
    found = told(centre, people, tmp_path / "opened")
    centre.close()
    for insurer, sender in ((KENPO_A, "kenpo-a"), (KENPO_B, "kenpo-b")):
        rows = [value for place, value in found.items() if place[0] == sender]
        assert rows
        assert {row["query_result_class"] for row in rows} == {"1"}, insurer
    given = {row["my_number"] for row in found.values() if row.get("my_number")}
    assert given <= {row["my_number"] for row in first}
    assert len(found) == len(bulk) + 1
    centre = site.opened()
    take(people, centre)
    centre.close()
    assert partner.run(DELIVER) == [Exit.DONE] * (3 if partner.hosted else 1)
    assert problems(site) == []
