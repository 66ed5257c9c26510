"""Who takes part in the demo: invented insurers of all nine kinds and those who send for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from koukan.rules.checkdigits import complete
from koukan.samples.registration import SampleInsurer

CSV, FIXED = "member_registration", "member_registration_fixed"

# Sender, sequence number and share of its insurers' persons of every good file.
GOOD_FILES: tuple[tuple[str, int, float], ...] = (
    ("kyokai", 2, 0.6),
    ("kyokai", 3, 0.4),
    ("kenpo-a", 2, 1.0),
    ("kenpo-b", 2, 1.0),
    ("kokuho-kumiai", 2, 1.0),
    ("kouki-rengo", 2, 1.0),
    ("kokkyo", 2, 1.0),
    ("chikyo", 2, 1.0),
    ("shigaku", 2, 1.0),
    ("nhi-aggregation", 2, 0.5),
    ("nhi-aggregation", 3, 0.5),
    ("fukushi", 2, 1.0),
)


@dataclass(frozen=True)
class SampleSender:
    """Who drops files.

    Args:
        doors: its inboxes; it uses the first.
        insurers: 保険者コード of those whom it may speak for.
        format: what it sends by default.
    """

    name: str
    title: str
    doors: tuple[str, ...]
    insurers: tuple[str, ...]
    format: str = CSV

    @property
    def door(self) -> str:
        return self.doors[0]


@dataclass(frozen=True)
class Scenario:
    """`weights` are each insurer's share of all persons, in the order of `insurers`."""

    insurers: tuple[SampleInsurer, ...]
    weights: tuple[float, ...]
    senders: tuple[SampleSender, ...]

    def insurer(self, code: str) -> SampleInsurer:
        return next(insurer for insurer in self.insurers if insurer.code == code)

    def sender(self, name: str) -> SampleSender:
        return next(sender for sender in self.senders if sender.name == name)

    def asking(self, format_name: str) -> list[SampleSender]:
        """Those who can send questions and receipts: all with the door that these come through."""
        return [
            replace(sender, format=format_name, doors=(ASKING_DOOR,))
            for sender in self.senders
            if ASKING_DOOR in sender.doors
        ]

    def good_senders(self) -> list[SampleSender]:
        """Those who send good files, in their order."""
        return [self.sender(name) for name in dict.fromkeys(name for name, _, _ in GOOD_FILES)]


def _insurer(kind: str, body: int, title: str) -> SampleInsurer:
    """Prefecture 99 is nobody's; 国保 has six digits, padded to eight in 保険者コード."""
    number = str(complete("insurer_number", np.array([body])).item())
    number = number.zfill(6 if len(number) <= 6 else 8)
    return SampleInsurer(number.zfill(8), kind, number, title)


INSURERS = {
    "kyokai": (_insurer("association", 199001, "架空全国健康保険協会"), 0.34),
    "kenpo-a": (_insurer("health_society", 699001, "架空第一健康保険組合"), 0.14),
    "kenpo-b": (_insurer("health_society", 699002, "架空第二健康保険組合"), 0.05),
    "kokuho-kumiai": (_insurer("nhi_society", 99301, "架空県見本国民健康保険組合"), 0.03),
    "kouki-rengo": (_insurer("elderly_union", 3999001, "架空県後期高齢者医療広域連合"), 0.16),
    "kokkyo": (_insurer("national_mutual", 3199001, "架空国家公務員共済組合"), 0.05),
    "chikyo": (_insurer("local_mutual", 3299001, "架空地方公務員共済組合"), 0.07),
    "shigaku": (_insurer("private_school", 3499001, "架空私立学校共済事業団"), 0.02),
    "mihon-shi": (_insurer("municipal_nhi", 99001, "架空県見本市国民健康保険"), 0.08),
    "shiken-shi": (_insurer("municipal_nhi", 99002, "架空県試験市国民健康保険"), 0.04),
    "fukushi": (_insurer("welfare", 1299601, "架空市福祉事務所"), 0.02),
}
FIRST_UID = 3001  # of senders that come in by SFTP
ASKING_DOOR = "dedicated_terminal"
DOORS = (ASKING_DOOR, "server_link")
MUNICIPAL = ("mihon-shi", "shiken-shi")


def _senders() -> tuple[SampleSender, ...]:
    own = tuple(
        SampleSender(name, insurer.title, DOORS[:: 1 - 2 * (place % 2)], (insurer.code,))
        for place, (name, (insurer, _)) in enumerate(INSURERS.items())
        if name not in MUNICIPAL
    )
    cities = tuple(INSURERS[name][0].code for name in MUNICIPAL)
    title = "架空県国保情報集約システム"
    return (
        *own,
        SampleSender("nhi-aggregation", title, ("nhi_aggregation",), cities, FIXED),
        SampleSender("city-a", "架空県見本市", DOORS[:1], cities[:1]),
    )


SCENARIO = Scenario(
    insurers=tuple(insurer for insurer, _ in INSURERS.values()),
    weights=tuple(weight for _, weight in INSURERS.values()),
    senders=_senders(),
)

# Answers questions; no insurer's sender.
JUKI_NET_SYSTEM = "juki_net"
JUKI_NET = SampleSender(
    "juki-net", "住民基本台帳ネットワークシステム", ("juki_net",), (), "juki_net_answer"
)


# Asks for PMH-IDs; a site that it may ask has it as a sender with a key.
PMH = SampleSender("pmh", "ＰＭＨ（Public Medical Hub）", ("pmh_link",), (), "pmh_request")
# Has logs of qualifications that were checked; a site that fetches them has it as a sender.
OQS = SampleSender("oqs", "オンライン資格確認等システム", ("oqs",), (), "usage_log")

# Returns 機関別符号; a site that acquires them has it as a sender.
NWS = SampleSender("nws", "情報提供ネットワークシステム", ("nws",), (), "linkage_code_answer")


@dataclass(frozen=True)
class SamplePerson:
    """Somebody of the staff who may approve; `key` is the one line of an SSH public key."""

    name: str
    title: str
    key: str
    rights: tuple[str, ...]


def site_toml(
    scenario: Scenario = SCENARIO,
    *,
    package_keys: Mapping[str, str] | None = None,
    persons: Sequence[SamplePerson] = (),
    logins: Mapping[str, str] | None = None,
) -> str:
    """The text of a site.toml with the scenario's insurers and senders, and with 住基ネット.

    Args:
        package_keys: 保険者コード -> public key of the insurer's packages.
        logins: name of a sender -> public SSH key of its account with our SFTP server.
    """
    keys, logins = package_keys or {}, logins or {}
    uids = dict(zip(logins, range(FIRST_UID, FIRST_UID + len(logins)), strict=True))
    parts = ['language = "ja"']
    for insurer in scenario.insurers:
        key = {"package_key": keys[insurer.code]} if insurer.code in keys else {}
        values = {"code": insurer.code, "kind": insurer.kind, "title": insurer.title}
        parts.append(_table("insurer", {**values, **key}))
    for sender in scenario.senders:
        values = {"name": sender.name, "title": sender.title}
        lists = {"doors": sender.doors, "insurers": sender.insurers}
        text = _table("sender", {**values, **lists})
        if sender.name in logins:
            own = _quoted((logins[sender.name],))
            text += f"\nuid = {uids[sender.name]}\nssh_keys = {own}"
        parts.append(text)
    values = {"name": JUKI_NET.name, "title": JUKI_NET.title, "system": JUKI_NET_SYSTEM}
    parts.append(_table("sender", {**values, "doors": JUKI_NET.doors}))
    for person in persons:
        values = {"name": person.name, "title": person.title, "key": person.key}
        text = _table("person", {**values, "rights": person.rights})
        parts.append(f"{text}\nvalid_from = 2026-04-01")
    return "\n\n".join(parts) + "\n"


def _table(name: str, values: Mapping[str, str | tuple[str, ...]]) -> str:
    lines = [f"{key} = {_quoted(value)}" for key, value in values.items()]
    return "\n".join([f"[[{name}]]", *lines])


def _quoted(value: str | tuple[str, ...]) -> str:
    """A TOML string or list of strings: JSON's form of them is TOML's too."""
    return json.dumps(value, ensure_ascii=False)
