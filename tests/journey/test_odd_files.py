"""Files of 本人確認 that are empty, torn, doubled or beside the point: each has its own end."""

from __future__ import annotations

from pathlib import Path

import pytest
from journey import acts, checks, nights, outside
from journey.acts import ANSWER, ASK, DELIVER, Outside
from journey.played import PACKAGED, NightAfter, until
from journey.whole import KENPO_A

from koukan.engine import originals
from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.engine.verify import verify_ledger
from koukan.ledger import Reception
from koukan.ledger import identity as asked

Night = tuple[Centre, Outside]
WELFARE = "basic_four_query"
UNKNOWN = "PK_NQ_kenpo-a_000009_0000000001_001.tar.age"


def inbox(people: Outside, sender: str) -> Path:
    return people.root / "exchange" / sender / "inbox" / "dedicated_terminal"


def basic_four_file(people: Outside, values: list[str]) -> tuple[str, bytes]:
    """Questions of kenpo-a by numbers, good or not, under the record type of kenpo-b's file."""
    example = next(inbox(people, "kenpo-b").glob("BQ_*")).read_text("cp932").splitlines()[1]
    code = example.split(",")[1]
    lines = ["0000000000,00,BQ202604,kenpo-a,000001,20260511,2"]
    lines += [f"{at:010d},{code},{KENPO_A},{value}" for at, value in enumerate(values, 1)]
    count = len(values)
    lines.append(f"9999999999,99,{count:08d},{count:08d},{count * (count + 1) // 2:018d}")
    content = "".join(f"{line}\r\n" for line in lines)
    return "BQ_kenpo-a_000001.csv", content.encode("cp932")


def reception_of(centre: Centre, name: str) -> Reception:
    (found,) = [item for item in centre.ledger.receptions() if item.file_name == name]
    return found


def to_the_end(centre: Centre, people: Outside) -> None:
    """All that is left of the night."""
    for name in acts.NIGHT[acts.NIGHT.index("approve") :]:
        if name in acts.ACTS:
            acts.ACTS[name](people, centre)
        else:
            run_job(centre, name)


def test_characters_of_two_bytes_in_a_number_are_rejected_and_stop_nobody(night: Night) -> None:
    centre, people = night
    name, content = basic_four_file(people, ["〓23456789018", "1〓3456789018", "123456789018"])
    (inbox(people, "kenpo-a") / name).write_bytes(content)
    run_job(centre, ASK)
    (counts,) = centre.ledger.counts(reception_of(centre, name).number)
    assert (counts.accepted, counts.rejected) == (1, 2)
    assert len(asked.questions(centre.ledger)) == 4


@pytest.mark.parametrize("field", ["package_name", "archive_sha256"])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside what was taken"])
def test_a_receipt_without_a_field_is_rejected_and_stops_no_delivery(
    field: str, alone: bool, night_after: NightAfter
) -> None:
    centre, people = night_after(PACKAGED)
    name, content = outside.receipt_file("kenpo-a", KENPO_A, {UNKNOWN: "0" * 64}, 1)
    value = UNKNOWN if field == "package_name" else "0" * 64
    (inbox(people, "kenpo-a") / name).write_bytes(content.replace(value.encode(), b""))
    if not alone:
        acts.take(people, centre)
    run_job(centre, DELIVER)
    reception = reception_of(centre, name)
    assert reception.outcome == "accepted"
    (counts,) = centre.ledger.counts(reception.number)
    assert (counts.accepted, counts.rejected) == (0, 1)
    acts.take(people, centre)
    run_job(centre, DELIVER)
    assert all(item.state == "delivered" for item in asked.packages(centre.ledger))
    assert checks.problems(centre) == []


def test_two_receipt_lines_that_are_no_text_at_all(night_after: NightAfter) -> None:
    centre, people = night_after(PACKAGED)
    hashes = {f"PK_NQ_kenpo-a_0000{end}.age": "0" * 64 for end in ("XX", "YY")}
    name, content = outside.receipt_file("kenpo-a", KENPO_A, hashes, 1)
    for end in (b"XX", b"YY"):
        content = content.replace(end, "〓".encode("cp932"))
    (inbox(people, "kenpo-a") / name).write_bytes(content)
    run_job(centre, DELIVER)
    (counts,) = centre.ledger.counts(reception_of(centre, name).number)
    assert counts.rejected == 2


@pytest.mark.parametrize("damage", ["bytes that are no text", "hashes that are too short"])
def test_a_receipt_that_is_refused_confirms_nothing(damage: str, night_after: NightAfter) -> None:
    centre, people = night_after(PACKAGED)
    (path,) = outside.packages_of(people.root, "kenpo-a")
    (package,) = [item for item in asked.packages(centre.ledger) if item.name == path.name]
    hashes = {path.name: str(package.archive_sha256)}
    hashes |= {f"PX_NQ_kenpo-a_{at:06d}.tar.age": "0" * 64 for at in range(120)}
    name, content = outside.receipt_file("kenpo-a", KENPO_A, hashes, 1)
    lines = content.split(b"\r\n")
    for at in range(50, 60):  # a tenth of the lines: more than a sender may have wrong
        lines[at] = (
            lines[at].replace(b"kenpo-a", b"kenpo-\xff")
            if damage.startswith("bytes")
            else lines[at][:-10]
        )
    (inbox(people, "kenpo-a") / name).write_bytes(b"\r\n".join(lines))
    run_job(centre, DELIVER)
    reception = reception_of(centre, name)
    (now,) = [item for item in asked.packages(centre.ledger) if item.name == path.name]
    assert (now.state == "laid_out") == (reception.outcome == "refused")
    assert path.exists() == (reception.outcome == "refused")
    assert checks.problems(centre) == []


def test_an_answer_without_any_number_answers_nothing(night_after: NightAfter) -> None:
    centre, people = night_after(until("approve"))
    run_job(centre, ASK)
    people.juki_net().put(*outside.answer_file(1, "1", "2", [{"answer_class": "2"}]))
    run_job(centre, ANSWER)
    (came,) = centre.ledger.receptions(formats=["juki_net_answer"])
    (counts,) = centre.ledger.counts(came.number)
    assert (counts.accepted, counts.rejected) == (0, 1)


def test_files_without_a_line_have_their_outcome_and_change_nothing(
    night: Night, night_after: NightAfter
) -> None:
    other, nothing = basic_four_file(night[1], [])
    centre, people = night_after(until("approve"))
    run_job(centre, ASK)
    before = asked.questions(centre.ledger)
    net = people.juki_net()
    net.put(*outside.answer_file(1, "1", "2", []))
    net.put(*outside.answer_file(2, "2", "1", []))
    name, content = outside.receipt_file("kenpo-a", KENPO_A, {}, 1)
    (inbox(people, "kenpo-a") / name).write_bytes(content)
    (inbox(people, "kenpo-a") / other).write_bytes(nothing)
    for _ in range(2):
        for job in (ASK, ANSWER, DELIVER):
            run_job(centre, job)
        outside.approve_all(people.root, people.keys, people.now)
    empty = [*centre.ledger.receptions()[-4:]]
    assert {item.outcome for item in empty} == {"accepted"}
    assert asked.questions(centre.ledger) == before
    assert verify_ledger(centre) == []


# --- what is doubled, or asks nothing, does not stay


def opens(centre: Centre, item: Reception) -> bool:
    with originals.open_original(centre, item.original) as sealed:
        return bool(sealed.length)


@pytest.mark.requirement("R142")
def test_a_second_copy_of_an_answer_is_destroyed_with_the_first(night_after: NightAfter) -> None:
    centre, people = night_after(until("answer"))
    folder = people.root / "exchange" / outside.PARTNER / "inbox" / "juki_net"
    laid = {path.name: path.read_bytes() for path in sorted(folder.glob("JA_*"))}
    run_job(centre, ANSWER)
    for at, content in enumerate(laid.values(), 51):
        (folder / f"JA_{outside.PARTNER}_{at:06d}.dat").write_bytes(content)
    outside.approve_all(people.root, people.keys, people.now)
    for _ in range(2):
        run_job(centre, ANSWER)
    came = centre.ledger.receptions(formats=["juki_net_answer"])
    assert [item.outcome for item in came] == ["accepted"] * 2 + ["duplicate"] * 2
    assert all(item.original_erased for item in came)


@pytest.mark.requirement("R142")
def test_a_second_copy_of_questions_and_a_file_that_asks_nothing_are_destroyed(
    night: Night,
) -> None:
    centre, people = night
    first = inbox(people, "kenpo-b") / "BQ_kenpo-b_000001.csv"
    first.with_name("BQ_kenpo-b_000002.csv").write_bytes(first.read_bytes())
    name, content = basic_four_file(people, ["123456789010"])  # a check digit that is wrong
    (inbox(people, "kenpo-a") / name).write_bytes(content)
    run_job(centre, nights.REGISTER)
    run_job(centre, ASK)
    to_the_end(centre, people)
    found = {item.file_name: item for item in centre.ledger.receptions(formats=[WELFARE])}
    assert found["BQ_kenpo-b_000002.csv"].outcome == "duplicate"
    assert found[name].outcome == "accepted"
    assert all(item.original_erased for item in found.values())
    assert checks.problems(centre) == []
