"""A night that is killed anywhere and started once more comes to what it would have come to.

The kills are real (SIGKILL), the state is real, and each kill is proved: the status of the dead
process says so, and what it had reported says in which step it was.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journey import checks, nights
from journey.forks import ForkServer
from journey.stops import Stopped

from koukan.engine.centre import ignore
from koukan.engine.run import run_job
from koukan.engine.steps import erase
from koukan.samples.scenario import INSURERS

SEED = 20_260_402
STEPS = (
    *("pick_up", "gate", "admit", "validate", "link", "commit", "acknowledge", "erase"),
    *("report", "correct", "expire"),
    *("ask", "request", "send", "split", "package", "confirm", "deliver"),
    *("approve", "answer", "take"),  # acts of others
)
RANDOM = 200 if nights.LONG else 6
# In these steps, one after another, so that each is hit; without --long a few, drawn by the seed.
AIMED = STEPS * 5 if nights.LONG else tuple(random.Random(SEED).sample(STEPS, RANDOM))
TWICE = 8  # every so many-th random schedule has its second run killed too
BOUNDARIES = 1 if nights.LONG else 40  # every so many-th boundary
IDENTITY_OUTCOMES = {
    "NQ_city-a_000001.csv": ("refused", "F203"),
    "NQ_kenpo-a_000001.csv": ("accepted", None),
    "NQ_kenpo-b_000001.csv": ("accepted", None),
    "BQ_kenpo-b_000001.csv": ("accepted", None),
    "JA_juki-net_000001.dat": ("accepted", None),
    "JA_juki-net_000002.dat": ("accepted", None),
    "PR_kenpo-b_000001.csv": ("accepted", None),
}
Kill = dict[str, float | str]
Schedule = dict[str, Any]
Report = dict[str, Any]


class Campaign:
    """Schedules over the prepared night, each against what the night comes to when left alone."""

    def __init__(self, site: nights.Prepared, servers: list[ForkServer], folder: Path) -> None:
        self._site, self._servers, self._folder = site, servers, folder
        self._made = 0
        self.alone = self.perform([self.schedule([])])[0]

    def schedule(self, kill: list[Kill]) -> Schedule:
        self._made += 1
        return {
            "base": str(self._site.root),
            "work": str(self._folder / f"run-{self._made:04d}"),
            "key_file": str(self._site.key_file),
            "now": self._site.now.isoformat(),
            "confirming": INSURERS["kenpo-b"][0].code,
            "kill": kill,
        }

    def perform(self, schedules: list[Schedule]) -> list[Report]:
        """Reports in the order of the schedules; every server takes the next one that waits."""
        waiting = iter(enumerate(schedules))
        lock = threading.Lock()
        reports: dict[int, Report] = {}
        failures: list[BaseException] = []

        def work(server: ForkServer) -> None:
            try:
                while not failures:
                    with lock:
                        place, schedule = next(waiting, (-1, {}))
                    if place < 0:
                        return
                    reports[place] = server.perform(schedule)
            except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=work, args=(server,)) for server in self._servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return [reports[place] for place in range(len(schedules))]

    @property
    def events(self) -> list[tuple[str, str, float]]:
        """Boundaries of the night left alone: event, step, seconds since its start."""
        return [(event, step, at) for event, step, at in self.alone["end"]["events"]]

    @property
    def seconds(self) -> float:
        return self.events[-1][2]


@pytest.fixture(scope="module")
def campaign(whole: nights.Prepared, fork_servers: list[ForkServer], memory: Path) -> Campaign:
    return Campaign(whole, fork_servers, memory)


def step_of(death: Report) -> str | None:
    """The step that a dead run was in; None before its first step and between its jobs."""
    if not death["events"]:
        return None
    event, step, _ = death["events"][-1]
    return None if event == "left" else str(step)


def was_killed(death: Report) -> bool:
    status = int(death["status"])
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def faults(schedule: Schedule, report: Report, alone: Report) -> Iterator[str]:
    """What is wrong with a schedule's end, in words."""
    where = f"{schedule['kill']} after {[death['events'][-1:] for death in report['deaths']]}"
    for death in report["deaths"]:
        if death["failure"]:
            yield f"{where}: {death['failure']}"
    if report["end"]["status"] or report["end"]["failure"]:
        yield f"{where}: the run after it failed: {report['end']['failure']}"
        return
    result, wanted = report["result"], alone["result"]
    for problem in result["problems"]:
        yield f"{where}: {problem}"
    for name, value in result["told"].items():
        if value != wanted["told"][name]:
            yield f"{where}: {name} differs"


def all_faults(schedules: list[Schedule], reports: list[Report], alone: Report) -> str:
    found = [
        fault
        for schedule, report in zip(schedules, reports, strict=True)
        for fault in faults(schedule, report, alone)
    ]
    return "\n".join([f"{len(found)} faults", *found[:40]]) if found else ""


def test_the_small_night_left_alone_has_every_outcome(campaign: Campaign) -> None:
    alone = campaign.alone
    assert alone["end"]["status"] == 0, alone["end"]["failure"]
    assert alone["result"]["problems"] == []
    receptions = alone["result"]["told"]["receptions"]
    found = {name: (outcome, code) for _, name, outcome, code, _, _ in receptions[4:]}
    assert found == {**nights.SMALL_OUTCOMES, **IDENTITY_OUTCOMES}
    erasures = Counter(what for what, _, _ in alone["result"]["told"]["erasures"])
    assert erasures == {"original": 4 + 3 + 2, "request": 2, "package-001": 3}
    assert {step for event, step, _ in campaign.events if event == "entered"} == set(STEPS)


def test_killed_at_every_boundary_and_started_again_nothing_is_lost_and_nothing_is_twice(
    campaign: Campaign,
) -> None:
    count = len(campaign.events)
    first = random.Random(SEED).randrange(BOUNDARIES)  # a share of them, unless all are asked for
    at = range(1 + first, count + 1, BOUNDARIES)
    schedules = [campaign.schedule([{"event": event}]) for event in at]
    reports = campaign.perform(schedules)
    deaths = [report["deaths"][0] for report in reports]
    assert all(was_killed(death) for death in deaths)
    assert [len(death["events"]) for death in deaths] == list(at)
    assert {step_of(death) for death in deaths} >= (set(STEPS) if nights.LONG else set())
    assert all_faults(schedules, reports, campaign.alone) == ""


def random_kills(campaign: Campaign, draw: random.Random) -> list[list[Kill]]:
    """Instants over the whole night, and instants within each step in turn."""
    events = campaign.events
    spans: dict[str, list[tuple[int, float]]] = {step: [] for step in STEPS}
    entered: tuple[int, str, float] | None = None
    for number, (event, step, at) in enumerate(events, 1):
        if event in ("entered", "left"):
            if entered is not None:
                spans[entered[1]].append((entered[0], at - entered[2]))
            entered = (number, step, at) if event == "entered" else None
    kills: list[list[Kill]] = []
    for number in range(RANDOM):
        if number < len(AIMED):
            step = AIMED[number]
            first, seconds = draw.choice(spans[step])
            kill = {"from": first, "after": draw.random() * seconds, "within": step}
        else:
            kill = {"from": 0, "after": draw.random() * campaign.seconds}
        kills.append([kill])
        if number % TWICE == 0:
            kills[-1].append({"from": 0, "after": draw.random() * campaign.seconds / 2})
    return kills


def test_killed_at_random_instants_and_started_again_nothing_is_lost_and_nothing_is_twice(
    campaign: Campaign,
) -> None:
    draw = random.Random(SEED)
    schedules = [campaign.schedule(kill) for kill in random_kills(campaign, draw)]
    reports = campaign.perform(schedules)
    firsts = [report["deaths"][0] for report in reports]
    again = [death for report in reports for death in report["deaths"][1:]]
    inside = Counter(step_of(death) for death in firsts)
    summary = (
        f"killed={sum(map(was_killed, firsts))} of {len(firsts)}, once more "
        f"{sum(map(was_killed, again))} of {len(again)}, seed={SEED}, in={dict(inside)}, "
        f"missed={sum(report['missed'] for report in reports)}"
    )
    print(summary)  # noqa: T201 - pytest shows it when something failed
    assert all(was_killed(death) for death in firsts), summary
    assert any(was_killed(death) for death in again), summary
    assert len(firsts) - inside[None] >= 3 * RANDOM // 4, summary
    assert set(inside) - {None} >= set(AIMED), summary
    assert all_faults(schedules, reports, campaign.alone) == "", summary


# --- what a kill between two jobs leaves to the next one


def test_a_file_that_comes_again_while_its_erasure_is_half_done_gets_its_acknowledgement(
    small: nights.Prepared, tmp_path: Path
) -> None:
    """The key is gone, the ledger does not know it yet, and the same file comes once more."""

    def stop(event: str, **_: object) -> None:
        if event == "destroyed":
            raise Stopped

    root = small.copy(tmp_path / "root")
    again = nights.laid_files(root)["nhi-aggregation", "MF_nhi-aggregation_000001.dat"]
    centre = small.open(root, observe=stop)
    run_job(centre, nights.REGISTER)
    for _ in range(4):  # the earlier night's receptions, in their order
        with pytest.raises(Stopped):
            run_job(centre, nights.ERASE)
        (left,) = [
            item
            for item in centre.ledger.closed_unerased()
            if not (root / "originals" / f"{item.original}.sealed").exists()
        ]
        if left.file_name.startswith("MF_"):
            break
        centre.observe = ignore
        with centre.log.operation("erase"):
            erase.erase(centre, left)
        centre.observe = stop
    inbox = root / "exchange" / "nhi-aggregation" / "inbox" / "nhi_aggregation"
    (inbox / "MF_nhi-aggregation_000001.dat").write_bytes(again)
    (answer,) = nights.answers_to(root, "nhi-aggregation", left.file_name, "AK")
    answer.unlink()
    centre.observe = ignore
    run_job(centre, nights.REGISTER)
    assert answer.exists()
    run_job(centre, nights.ERASE)
    assert checks.problems(centre) == []
    assert [row.number for row in centre.ledger.erasures()] == [1, 2, 3, 4]
    centre.close()


def marked(mark: str) -> list[int]:
    """Processes whose environment bears the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:  # it ended while we looked
            continue
    return found


def test_worker_processes_end_when_the_run_that_started_them_is_killed(
    small: nights.Prepared, tmp_path: Path
) -> None:
    """Otherwise each kill leaves some behind, with keys in their memory."""
    root, mark = small.copy(tmp_path / "root"), f"KOUKAN_TEST_MARK={tmp_path.name}-{os.getpid()}"
    text = nights.site_text(nights.SMALL, top="buckets = 2", workers=['kind = "processes"'])
    (root / "site.toml").write_text(text, encoding="utf-8")
    name, _, value = mark.partition("=")
    program = Path(__file__).with_name("killed_run.py")
    killed = subprocess.run(
        [sys.executable, str(program), str(root), str(small.key_file), "wrote", "1"],
        env={**os.environ, name: value, "PYTHONPATH": os.pathsep.join(nights.PATHS)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = marked(mark)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []
    centre = small.open(root)
    run_job(centre, nights.REGISTER)
    run_job(centre, nights.ERASE)
    assert checks.problems(centre) == []
    centre.close()
