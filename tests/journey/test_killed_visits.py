"""A visit to a partner's host that is killed anywhere and repeated: nothing is lost or sent twice.

The kills are real (SIGKILL), so is the host (an sshd), and each kill is proved by the dead
process's status and by what it had told.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
from typing import Any

import pytest
from journey import nights
from journey.forks import ForkServer
from journey.partner_site import Site

from koukan.exchange.marker import Marker

SEED = 20_260_403
SHARE = 6  # boundaries that are tried by default
TWICE = 20  # with time: runs whose second is killed, too, and runs killed at any moment
FOR_US = {f"JA_juki-net_00000{number}.dat": f"answer {number}\n" for number in (1, 2)}
FROM_US = (
    *("JQ_koukan_000001.dat", "JQ_koukan_000002.dat"),
    *("PA_pmh_0000000001.tar.age", "PA_pmh_0000000001.tar.age.sig"),
)


@pytest.fixture
def visit(site: Site, fork_servers: list[ForkServer]) -> Any:
    """A function of kills: the report of the visit that they befell."""
    site.at_host(markers=True)
    for name in FROM_US:
        (site.outbox() / name).write_text(name)
    (site.outbox().parent / "taken").mkdir(exist_ok=True)
    for_us = dict(FOR_US)
    for name, content in FOR_US.items():
        digest = hashlib.sha256(content.encode()).hexdigest()
        for_us[f"{name}.done"] = Marker(digest, len(content), 1).written().decode()

    def perform(*kills: dict[str, float]) -> dict[str, Any]:
        schedule = {
            "base": str(site.root),
            "work": str(site.root.with_name("work")),
            "key_file": str(site.prepared.key_file),
            "now": site.prepared.now.isoformat(),
            "host": str(site.host.folder),
            "for_us": for_us,
            "sftp_key": str(site.host.key),
            "kill": list(kills),
        }
        return fork_servers[0].perform(schedule)

    return perform


@pytest.mark.requirement("R208")
def test_nothing_is_lost_or_sent_twice(visit: Any) -> None:
    alone = visit()
    events = [event for event, _, _ in alone["end"]["events"]]
    found = alone["result"]["told"]
    assert sorted(found["taken"]) == sorted(FROM_US)
    assert set(found["here"]) == {*FOR_US, *(f"{name}.done" for name in FOR_US)}
    assert sorted(found["collected"]) == sorted(FROM_US[2:])
    assert found["outbox"] == found["for us"] == found["from us"] == {}
    assert {state for _, _, state in found["handed"]} == {"handed"}
    draw = random.Random(SEED)
    boundaries = range(1, len(events) + 1)
    chosen = boundaries if nights.LONG else sorted(draw.sample(boundaries, SHARE))
    killed = [({"event": at},) for at in chosen]
    if nights.LONG:
        last = alone["end"]["events"][-1][2]
        for _ in range(TWICE):
            killed.append(tuple({"event": draw.choice(boundaries)} for _ in range(2)))
            killed.append(({"from": 0, "after": draw.uniform(0, last)},))
    assert {"marker in the inbox", "in the inbox", "removed there"} <= set(events)
    assert {"uploaded", "ready", "published", "marked", "handed"} <= set(events)
    for kills in killed:
        report = visit(*kills)
        first = report["deaths"][0]
        assert os.WTERMSIG(first["status"]) == signal.SIGKILL, kills
        if "event" in kills[0]:
            assert [event for event, _, _ in first["events"]] == events[: int(kills[0]["event"])]
        assert report["end"]["failure"] is None, kills
        assert report["result"] == alone["result"], kills
