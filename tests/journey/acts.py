"""The whole night, act by act: registration, questions, approvals, answers, packages, erasure.

koukan's jobs and, between them, what others do. Runs no query when imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from journey.outside import JukiNet, Keys, approve_all, collect, confirm

from koukan.engine.centre import Centre
from koukan.engine.run import run_job

REGISTER, REPORT, ERASE = "register_members", "report_errors", "erase_expired"
GO = "exchange_partners"
ASK, ANSWER, DELIVER = "ask_identity", "answer_identity", "confirm_delivery"


@dataclass(frozen=True)
class Outside:
    """Everybody who acts in the night, on a copy of the site.

    Args:
        state: a folder of the partner's and the insurers' own.
        confirming: 保険者コード of kenpo-b, which confirms its packages by their hashes.
    """

    root: Path
    keys: Keys
    state: Path
    now: datetime
    confirming: str

    def juki_net(self) -> JukiNet:
        return JukiNet(self.root, self.state)


def approve(outside: Outside, _centre: Centre) -> None:
    approve_all(outside.root, outside.keys, outside.now)


def answer(outside: Outside, _centre: Centre) -> None:
    outside.juki_net().answer()


def take(outside: Outside, centre: Centre) -> None:
    """kenpo-a moves its packages; kenpo-b confirms them by their hashes."""
    collect(outside.root, "kenpo-a")
    confirm(
        outside.root,
        outside.keys,
        outside.state,
        centre.signer,
        sender="kenpo-b",
        insurer=outside.confirming,
    )


Act = Callable[[Outside, Centre], None]
ACTS: dict[str, Act] = {"approve": approve, "answer": answer, "take": take}
# Jobs, and acts of others, in their order; a run that was killed starts again from the first.
NIGHT = (
    *(REGISTER, REPORT, ASK, "approve", ASK, "answer", ANSWER, "approve", ANSWER),
    *("take", DELIVER, ERASE),
)


def play(centre: Centre, outside: Outside) -> list[int]:
    """The whole night, from wherever it is; the jobs' exit codes. Boundaries of acts are told."""
    exits = []
    for name in NIGHT:
        if name in ACTS:
            centre.observe("entered", step=name)
            ACTS[name](outside, centre)
        else:
            exits.append(int(run_job(centre, name).exit))
        centre.observe("left", step="")
    return exits
