"""A site that pushes to a receiver with a table of its own, which replays what it is sent."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from centres import Place
from juki_net_support import module
from package_support import pair

from koukan.engine.initialise import initialise
from koukan.engine.lookup import links_of
from koukan.engine.people import people_of
from koukan.flows import online
from koukan.keys.package import PackageIdentity, load_package_identity

oqs = module("oqs")
Table, Refused, Said = oqs.Table, oqs.Refused, oqs.Said
EXPORT, TAKE_IN, PARTNER = "export_online", "answer_online", "oqs"


def with_partner(place: Place) -> Place:
    """The site gets the partner as an operator would give it one."""
    text = (place.root / "site.toml").read_text("utf-8")
    keyed = f'package_key = "{pair().public}"'
    partner = f'[[sender]]\nname = "{PARTNER}"\ntitle = "オンライン資格確認等システム"\n{keyed}\n'
    place.write_site(f'{text}\n{partner}doors = ["oqs"]\nsystem = "oqs"\n')
    initialise(place.root, place.key)
    return place


def identity(folder: Path) -> PackageIdentity:
    """The receiver's own key."""
    path = folder / "oqs.key"
    if not path.exists():
        path.write_bytes(pair().private)
        path.chmod(0o600)
    return load_package_identity(path)


def lying(place: Place, sequence: int) -> Path:
    """A push in the partner's outbox."""
    return place.outbox(PARTNER) / f"{online.push_name(sequence)}.age"


def content(place: Place, sequence: int, key: PackageIdentity) -> bytes:
    """A push as its receiver reads it."""
    path = lying(place, sequence)
    return b"".join(key.decrypted([path.read_bytes()], path.name))


def replay(place: Place, table: Table, key: PackageIdentity) -> int:
    """Take in what came since the last time; how many pushes."""
    came = 0
    while (place.outbox(PARTNER) / f"{online.push_name(table.taken + 1)}.age").exists():
        table.take(content(place, table.taken + 1, key))
        came += 1
    return came


def spells_of(table: Table) -> dict[int, list[tuple[str, str, str, str]]]:
    """紐付番号 -> insurer, first day, first day out, reason; without who has none."""
    found = defaultdict(list)
    for link, lines in table.persons.items():
        for line in lines:
            if line[0] == "02":
                found[int(link)].append((line[2], line[7], line[8], line[14]))
    return {link: sorted(spells) for link, spells in found.items()}


def shown_links(place: Place, numbers: list[str]) -> dict[str, int]:
    """The shown 紐付番号 of each number, by the vault."""
    with place.opened() as centre:
        raw = links_of(centre, np.array([int(number) for number in numbers], np.int64))
        return dict(zip(numbers, people_of(centre).canonical(raw).tolist(), strict=True))


def respond(place: Place, said: tuple[int, int, Said], key: PackageIdentity) -> None:
    """The partner's answer in its inbox: to which push, under which number of its own, and what."""
    push, sequence, how = said
    came = lying(place, push).read_bytes()
    name, answer = oqs.answer(content(place, push, key), came, sequence, how)
    (place.root / "exchange" / PARTNER / "inbox" / "oqs" / name).write_bytes(answer)
