"""Nobody's number, name or token is anywhere but in the inboxes: searched in every form.

That the search would find them is shown first, with the same needles: planted in every form, and in
the inboxes before the night.
"""

from __future__ import annotations

import base64
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import copies_site
import numpy as np
import pytest
from histories import member_ids
from journey import nights, search
from journey.search import DIGIT_FORMS, NAME_ENCODINGS, Needles

from koukan.engine.centre import Centre
from koukan.engine.run import run_job
from koukan.flows.copies import REPLICA
from koukan.rules.checkdigits import complete
from koukan.samples.population import Population

Open = Callable[..., Centre]


@pytest.fixture(scope="module")
def needles(demo: nights.Demo) -> Needles:
    """Everybody whom any file of either night names."""
    people = Population(nights.SEED).people(0, demo.night.persons)
    numbers = people["my_number"].to_list()
    centre = demo.prepared.open()
    tokens = centre.tokeniser.tokens(people["my_number"].cast(int).to_numpy())
    centre.close()
    return Needles(numbers, search.names_of(people), tokens)


def planted(needles: Needles) -> dict[str, list[bytes]]:
    """Every value in every form, by the form's name."""
    found = {
        form.name: [
            b"".join(
                form.unit[: form.place]
                + bytes([form.unit[form.place] + int(digit)])
                + form.unit[form.place + 1 :]
                for digit in number
            )
            for number in needles.numbers
        ]
        for form in DIGIT_FORMS
    }
    found["integer le"] = [int(number).to_bytes(8, "little") for number in needles.numbers]
    found["integer be"] = [int(number).to_bytes(8, "big") for number in needles.numbers]
    for encoding in NAME_ENCODINGS:
        found[f"name {encoding}"] = [
            search.encoded(name, encoding)[-1 if place % 2 else 0]
            for place, name in enumerate(needles.names)
        ]
    high, low = needles.tokens
    whole = [
        int(a).to_bytes(8, "big") + int(b).to_bytes(8, "big")
        for a, b in zip(high, low, strict=True)
    ]
    found["token"] = whole
    found["token hex"] = [
        (token.hex() if number % 2 else token.hex().upper()).encode()
        for number, token in enumerate(whole)
    ]
    found["token base64"] = [
        base64.urlsafe_b64encode(bytes(number % 5) + token + bytes(number % 3))
        for number, token in enumerate(whole)
    ]
    return found


def test_the_search_finds_every_value_in_every_form(needles: Needles) -> None:
    draw = random.Random(7)
    forms = planted(needles)
    assert set(forms) >= {"ascii", "wide cp932", "integer be", "name utf-16-le", "token base64"}
    for form, values in forms.items():
        noise = [draw.randbytes(draw.randrange(9)) + b"\xff" for _ in values]
        content = b"".join(a + b for a, b in zip(noise, values, strict=True)) + b"\xff"
        hits = {value for kind, value in needles.find(content) if kind == form}
        per_person = 2 if form in ("token", "token hex") else 1  # both halves
        assert len(hits) == per_person * len(set(values)), form


def test_the_search_finds_the_forms_as_python_and_others_write_them(needles: Needles) -> None:
    number, name = needles.numbers[5], needles.names[5]
    wide = number.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    for text, encoding, form in (
        (number, "ascii", "ascii"),
        (number, "utf-16-le", "utf-16-le"),
        (number, "utf-16-be", "utf-16-be"),
        (wide, "cp932", "wide cp932"),
        (wide, "utf-8", "wide utf-8"),
        (wide, "utf-16-le", "wide utf-16-le"),
        (wide, "utf-16-be", "wide utf-16-be"),
        (name, "cp932", "name cp932"),
    ):
        assert needles.find(b"x" + text.encode(encoding)) == {
            (form, name if form.startswith("name") else number)
        }
    value = np.array([int(number)], np.int64)
    assert needles.find(b"abc" + value.tobytes()) == {("integer le", number)}
    assert needles.find(b"nothing of anybody " + random.Random(1).randbytes(100_000)) == set()


def test_the_same_search_finds_everybody_in_the_inboxes_before_the_night(
    demo: nights.Demo, needles: Needles
) -> None:
    catalogue = nights.formats()
    wanted: set[tuple[str, str]] = set()
    content = b"\x01".join(demo.files.values())
    found = needles.find(content)
    for file in [*demo.earlier.files, *demo.night.files]:
        if file.outcome in ("refused", "not received"):
            continue  # torn, packed, or in another encoding: no line can be told from it
        for row in nights.records_of(demo.files[file.sender, file.name], catalogue[file.format]):
            wanted.add(("ascii", row["my_number"]))
            if row["section"] == "basic":
                wanted |= {("name cp932", row["name"]), ("name cp932", row["name_kana"])}
    known = set(needles.numbers) | set(needles.names)
    wanted = {(form, value) for form, value in wanted if value in known}  # faults change some
    assert len(wanted) > 1_500 + 500
    assert wanted <= found
    laid = search.leaks(needles, demo.prepared.root)
    assert {Path(path).parts[2] for path in laid} == {"inbox"}


def emptied(root: Path) -> Path:
    """The site without what lies in its inboxes."""
    for path in nights.inbox_files(root):
        path.unlink()
    return root


@pytest.mark.requirement("R206")
def test_after_the_night_nothing_of_anybody_is_below_the_root(
    demo: nights.Demo, needles: Needles, tmp_path: Path, opened: Open
) -> None:
    root = demo.prepared.copy(tmp_path / "root")
    centre = opened(demo.prepared, root)
    run_job(centre, nights.REGISTER)
    assert (root / "ledger" / "koukan.sqlite-wal").stat().st_size > 0  # looked into, too
    assert search.leaks(needles, emptied(root)) == {}


STAGES_ON_DISK = ["stage_bytes = 0"]


def killed_at(prepared: nights.Prepared, root: Path, event: str, count: int) -> None:
    """Run the night in a process of its own and kill it at the so many-th event of that name."""
    program = Path(__file__).with_name("killed_run.py")
    done = subprocess.run(
        [sys.executable, str(program), str(root), str(prepared.key_file), event, str(count)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(nights.PATHS)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize(
    ("event", "count"),
    [("sealed", 5), ("gated", 9), ("validated", 1), ("linked", 1), ("wrote", 8), ("written", 1)],
)
def test_a_night_killed_in_the_middle_leaves_nothing_of_anybody(
    event: str, count: int, demo: nights.Demo, needles: Needles, tmp_path: Path
) -> None:
    root = demo.prepared.copy(tmp_path / "root")
    text = nights.site_text(limits=STAGES_ON_DISK)
    (root / "site.toml").write_text(text, encoding="utf-8")
    killed_at(demo.prepared, root, event, count)
    staged = list((root / "stages").rglob("*.*"))
    assert bool(staged) == (event in ("validated", "linked", "wrote", "written"))
    assert search.leaks(needles, emptied(root)) == {}


def test_a_run_by_the_command_line_tells_nobody_anything(
    demo: nights.Demo, needles: Needles, tmp_path: Path
) -> None:
    root, temporary = demo.prepared.copy(tmp_path / "root"), tmp_path / "tmp"
    temporary.mkdir()
    names = [path.name for path in nights.inbox_files(root)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(nights.PATHS),
        "KOUKAN_KEY_FILE": str(demo.prepared.key_file),
        "TMPDIR": str(temporary),
        "HOME": str(temporary),
        "PYTHONIOENCODING": "utf-8",
    }
    said = b""
    for arguments in (["run", nights.REGISTER], ["status"], ["show", "12"], ["ledger", "verify"]):
        done = subprocess.run(
            [sys.executable, "-m", "koukan", arguments[0], *arguments[1:], "--root", str(root)],
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 3, 10), (arguments, done.stderr.decode())
        said += done.stdout + done.stderr
    assert any(name.encode() in said for name in names)  # it did say something
    assert needles.find(said) == set()
    assert search.leaks(needles, temporary) == {}
    assert search.leaks(needles, emptied(root)) == {}


# --- copies (副本)


@pytest.mark.requirement("R011", "R206")
def test_what_copies_say_is_in_their_insurers_partitions_and_nowhere_else(tmp_path: Path) -> None:
    """In plain nowhere below the root; opened with every key, in those partitions alone."""
    place = copies_site.site(tmp_path, more="stage_bytes = 0")
    owners = [(one, member) for one in copies_site.OWNERS for member in member_ids(place, one)]
    right = complete("my_number", np.arange(91_827_364_500, 91_827_364_500 + len(owners)))
    wrong = right // 10 * 10 + (right + 1) % 10  # no 個人番号: those are rejected
    said = {
        key: (f"療養費　第{number:03d}回", f"{wrong[number]}") for number, key in enumerate(owners)
    }
    names, numbers = zip(*said.values(), strict=True)
    nothing = np.zeros(0, np.uint64)
    needles = Needles(list(numbers), list(names), (nothing, nothing))
    for owner in copies_site.OWNERS:
        own = [
            copies_site.Copy(member, said[owner, member]) for one, member in owners if one == owner
        ]
        copies_site.tell(place, own, sender=owner)
        copies_site.ask(place, [""], sender=owner)
    laid = search.leaks(needles, place.root)
    assert {Path(path).parts[2] for path in laid} == {"inbox"} and len(laid) == 2
    place.run(copies_site.DEPOSIT)
    assert search.leaks(needles, place.root) == {}
    place.run(copies_site.RETURN)
    assert all(copies_site.packages(place, owner) for owner in copies_site.OWNERS)
    assert search.leaks(needles, place.root) == {}
    place.now += timedelta(days=2)
    place.run("erase_expired")
    with place.opened() as centre:
        for item in centre.ledger.receptions(formats=["copy_registration"]):
            assert item.original_erased
        for name in centre.tables:
            for file in (snapshot := centre.snapshot(name)).files():
                content = snapshot.scan(file).collect().write_csv().encode()
                mine = {value for _, value in needles.find(content)}
                owner = [one for one, _ in owners if copies_site.code(one) in file.path]
                wanted = {value for (one, _), own in said.items() if one in owner for value in own}
                assert mine == (wanted if name == REPLICA else set()), file.path
