"""Make what `identity.py` measures on: a site whose insurers have asked, then an answer to it.

  identity_site.py asked FOLDER --rows N --insurers M --seed S     all questions stored, no request
  identity_site.py answered FOLDER ROOT                            approve, send, lay the answer

Started as a process of its own, so that nothing of it is in anybody's time or memory.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import polars as pl
import pyrage
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from koukan.engine import entrusted
from koukan.engine.approvals import approve
from koukan.engine.centre import Centre, open_centre
from koukan.engine.desk import open_desk
from koukan.engine.initialise import initialise
from koukan.engine.run import run_job, run_steps
from koukan.flows import identity
from koukan.keys.sshsig import load_private_key
from koukan.ledger import identity as asked
from koukan.reports import pending
from koukan.rules.checkdigits import complete
from koukan.samples.population import Population, text
from koukan.samples.questions import question_frames
from koukan.samples.registration import SampleInsurer
from koukan.samples.writing import write_file

ASK, PARTNER = "ask_identity", "juki-net"
DAY = date(2026, 4, 1)
PIECE = 50_000
HEAD = """\
[limits]
settle_seconds = 0.0

[[sender]]
name = "juki-net"
title = "架空の住基ネット"
doors = ["juki_net"]
system = "juki_net"
"""
PERSON = """
[[person]]
name = "sato"
title = "架空の職員"
key = "{key}"
rights = ["send", "store"]
valid_from = 2020-01-01
"""
INSURER = """
[[insurer]]
code = "{code}"
kind = "health_society"
title = "架空健康保険組合"
package_key = "{key}"

[[sender]]
name = "kenpo-{number:04d}"
title = "架空健康保険組合"
doors = ["dedicated_terminal"]
insurers = ["{code}"]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("asked", "answered"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("root", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--insurers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.umask(0o077)
    if given.what == "asked":
        measuring.say(make(given.folder, given.rows, given.insurers, given.seed))
    else:
        measuring.say(answer(given.folder, given.root))


# --- questions


def make(folder: Path, rows: int, insurers: int, seed: int) -> dict[str, Any]:
    """A site with one file of questions of each insurer, stored; no request is cut."""
    root, keys = folder / "site", folder / "keys"
    root.mkdir(mode=0o700)
    keys.mkdir(mode=0o700)
    codes = text(complete("insurer_number", 699_000 + np.arange(insurers, dtype=np.int64)), 8)
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    parts = [HEAD, PERSON.format(key=person(keys / "sato"))]
    parts += [
        INSURER.format(code=code, key=recipient, number=number) for number, code in enumerate(codes)
    ]
    (root / "site.toml").write_text("".join(parts), encoding="utf-8")
    initialise(root, keys / "batch.key")
    centre = open_centre(root, keys / "batch.key")
    lay_questions(centre, codes.to_list(), rows, seed)
    job = centre.jobs[ASK]
    steps = tuple(step for step in job.steps if step not in ("request", "send"))
    run_steps(centre, job.model_copy(update={"steps": steps}))
    total = sum(item.asked for item in asked.questions(centre.ledger))
    centre.close()
    return {"asked": total, "insurers": insurers, "recipient": recipient}


def person(path: Path) -> str:
    """A key pair as ssh-keygen makes it; the public line."""
    private = Ed25519PrivateKey.generate()
    openssh = serialization.PrivateFormat.OpenSSH
    none = serialization.NoEncryption()
    path.write_bytes(private.private_bytes(serialization.Encoding.PEM, openssh, none))
    encoding = serialization.Encoding.OpenSSH
    return private.public_key().public_bytes(encoding, serialization.PublicFormat.OpenSSH).decode()


def lay_questions(centre: Centre, codes: list[str], rows: int, seed: int) -> None:
    """One file of each insurer; all of them together ask `rows` questions."""
    form = centre.catalogue.formats["my_number_query"]
    population = Population(seed)
    bounds = np.linspace(0, rows, len(codes) + 1).astype(np.int64)
    for number, code in enumerate(codes):
        persons = np.arange(bounds[number], bounds[number + 1], dtype=np.int64)
        insurer = SampleInsurer(code, "health_society", code)
        frames = question_frames(form, population, persons, insurer=insurer)
        lay_file(centre, f"kenpo-{number:04d}", frames, sequence=1, mode=identity.BULK)


def lay_file(
    centre: Centre, sender: str, frames: Mapping[str, pl.DataFrame], *, sequence: int, mode: str
) -> None:
    write_file(
        centre.inbox(sender, "dedicated_terminal").folder,
        centre.catalogue.formats["my_number_query"],
        frames,
        sender=sender,
        sequence=sequence,
        creation_date=DAY,
        control={"query_mode": mode},
    )


def lay_immediate(centre: Centre) -> None:
    """The most that may be asked at once, by the first insurer."""
    form = centre.catalogue.formats["my_number_query"]
    code = centre.site.insurers[0].code
    insurer = SampleInsurer(code, "health_society", code)
    persons = np.arange(identity.AT_ONCE, dtype=np.int64)
    frames = question_frames(form, Population(2), persons, insurer=insurer)
    lay_file(centre, "kenpo-0000", frames, sequence=2, mode=identity.IMMEDIATE)


def answer_immediate(centre: Centre) -> None:
    """An answer to all of it into the inbox, in place of the request."""
    (request,) = asked.requests(centre.ledger, states=["sent"])
    (centre.outbox(PARTNER).folder / request.name).unlink()
    write_file(
        centre.inbox(PARTNER, "juki_net").folder,
        centre.catalogue.formats[identity.ANSWER],
        pieces(centre, identity.IMMEDIATE),
        sender=PARTNER,
        sequence=2,
        creation_date=DAY,
        control={"query_mode": identity.IMMEDIATE, "query_type": "1"},
    )


# --- the answer


def answer(folder: Path, root: Path) -> dict[str, Any]:
    """Approve and send what is cut, and lay an answer to all of it, in any order."""
    centre = open_centre(root, folder / "keys" / "batch.key")
    run_job(centre, ASK)
    approve_all(root, folder / "keys" / "sato")
    run_job(centre, ASK)
    (request,) = asked.requests(centre.ledger)
    outbox = centre.outbox(PARTNER).folder / request.name
    kept = folder / "request.dat"
    outbox.replace(kept)
    form = centre.catalogue.formats[identity.ANSWER]
    written = write_file(
        folder / "answer.dat",
        form,
        pieces(centre, identity.BULK),
        sender=PARTNER,
        sequence=1,
        creation_date=DAY,
        control={"query_mode": identity.BULK, "query_type": "1"},
    )
    centre.close()
    return {"request": str(kept), "answer": str(folder / "answer.dat"), "rows": written.lines}


def approve_all(root: Path, key_file: Path) -> None:
    desk = open_desk(root)
    key = load_private_key(key_file, outside=root, passphrase=lambda: b"")
    for item in pending(desk):
        approve(desk, item["approval"], key)
    desk.close()


def pieces(centre: Centre, mode: str) -> Iterator[Mapping[str, pl.DataFrame]]:
    """Everybody is found as asked for, in an order that is nobody's."""
    questions = pl.concat(
        entrusted.open_questions(centre, item.reception, item.generation)
        for item in asked.questions(centre.ledger)
        if item.mode == mode and item.open
    )
    order = np.random.default_rng(1).permutation(questions.height)
    form = centre.catalogue.formats[identity.ANSWER]
    record = form.section("answer")
    for start in range(0, len(order), PIECE):
        rows = questions[order[start : start + PIECE]]
        places = np.arange(start, start + rows.height, dtype=np.int64)
        given = rows.select(
            *identity.SEARCH_ITEMS[identity.MY_NUMBER],
            request_record_number=pl.col("request_record_number").cast(pl.String).str.zfill(16),
        ).with_columns(
            record_number=text(places + 1, 10),
            record_type_code=pl.lit(record.code),
            answer_class=pl.lit("1"),
            alive_status=pl.lit("1"),
            update_status=pl.lit("0"),
            resident_class=pl.lit("1"),
            change_presence=pl.lit("0"),
            my_number=text(complete("my_number", places), 12),
            sex=pl.col("sex").fill_null("3"),
            municipality_name=pl.lit("架空県見本市"),
        )
        known = set(given.columns)
        yield {
            record.section: given.select(
                pl.col(item.name)
                if item.name in known
                else pl.lit(None, pl.String).alias(item.name)
                for item in form.fields(record)
            )
        }


if __name__ == "__main__":
    main()
