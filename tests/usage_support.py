"""A small site that fetches 資格確認実績ログ, and its welfare offices with keys of their own."""

from __future__ import annotations

from pathlib import Path

from centres import LIMITS, Place
from independent_reader import Read, read
from juki_net_support import module
from package_support import new_pair

from koukan.engine.initialise import initialise
from koukan.ledger import usage as known

oqs = module("usage")
PROVIDE, CONFIRM, ERASE = "provide_usage", "confirm_delivery", "erase_expired"
PAYERS = oqs.payers(6)
STRANGERS = oqs.payers(2, first=99801)
# An office whose own code is its payer number, one with two others, one with one.
OFFICES = {
    "office-a": (PAYERS[0], (PAYERS[0],)),
    "office-b": (PAYERS[1], (PAYERS[2], PAYERS[3])),
    "office-c": (PAYERS[4], (PAYERS[4],)),
}
KNOWN = [payer for _, own in OFFICES.values() for payer in own]


def site_text(
    keys: Path, *, given: dict[str, tuple[str, ...]] | None = None, more: str = ""
) -> str:
    """`site.toml`; each office's private key lies in `keys`.

    Args:
        given: further payer numbers, by office.
    """
    parts = ["buckets = 4\n"]
    for name, (code, own) in OFFICES.items():
        path = keys / f"{name}.txt"
        if not path.exists():
            made = new_pair("age")  # each its own
            path.write_bytes(made.private)
            path.chmod(0o600)
            path.with_suffix(".pub").write_text(made.public, encoding="ascii")
        payers = [*own, *(given or {}).get(name, ())]
        told = "" if payers == [code] else f"payers = {payers}\n".replace("'", '"')
        parts.append(
            f'[[insurer]]\ncode = "{code}"\nkind = "welfare"\ntitle = "架空福祉事務所"\n'
            f'package_key = "{path.with_suffix(".pub").read_text("ascii")}"\n{told}'
            f'[[sender]]\nname = "{name}"\ntitle = "架空福祉事務所"\ninsurers = ["{code}"]\n'
            'doors = ["dedicated_terminal"]\n'
        )
    parts.append(
        '[[sender]]\nname = "oqs"\ntitle = "オンライン資格確認等システム"\ndoors = ["oqs"]\n'
        'system = "oqs"\n'
    )
    return "\n".join([*parts, more, LIMITS])


def site(folder: Path, *, more: str = "") -> Place:
    place = Place(folder / "root", folder / "keys" / "batch.key")
    place.root.mkdir(parents=True)
    place.key.parent.mkdir(exist_ok=True)
    place.write_site(site_text(place.key.parent, more=more))
    initialise(place.root, place.key)
    return place


def door(place: Place) -> Path:
    return place.root / "exchange" / "oqs" / "inbox" / "oqs"


def signers(place: Place) -> Path:
    path = place.key.parent / "signers"
    with place.opened() as centre:
        path.write_text(f"koukan {centre.signer.ssh}\n", encoding="ascii")
    return path


def packages(place: Place, office: str) -> list[Path]:
    return sorted(place.outbox(office).glob("UX_*.age"))


def opened(place: Place, office: str) -> list[Read]:
    """An office's packages as it opens them without koukan."""
    key, public = place.key.parent / f"{office}.txt", signers(place)
    return [read(path, key, public) for path in packages(place, office)]


def take(place: Place, office: str) -> None:
    """The office moves everything that it finds."""
    for path in packages(place, office):
        path.rename(place.root / "exchange" / office / "taken" / path.name)


def states(place: Place) -> list[tuple[str, str, bool]]:
    """Office, state and whether it is erased, of every package."""
    names = {code: name for name, (code, _) in OFFICES.items()}
    with place.opened() as centre:
        found = known.all_packages(centre.ledger)
        return [(names[item.insurer], item.state, item.erased) for item in found]


def held(place: Place) -> list[tuple[int, int, str]]:
    """Lines, payers and state of what is or was held."""
    with place.opened() as centre:
        return [(item.rows, item.payers, item.state) for item in known.all_held(centre.ledger)]
