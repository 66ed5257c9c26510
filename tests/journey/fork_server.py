"""A process that has imported everything and run nothing: it forks a child for each killed night.

One schedule in, one report out, each a line of JSON on standard input and output:

    {"base", "work", "key_file", "now", "confirming", "kill": [kill, …]}
    {"deaths": [{"status", "events"}, …], "missed", "end": {"status", "events"}, "result": {…}}

`base` is copied to `work`; for each kill a child plays the night there and is killed; then one more
child plays it to the end and says what it found. With {"host", "for_us", "sftp_key"} it is no night
but a visit to a partner's host (`visits.py`). A kill is {"event": k}: the child kills itself at
its k-th boundary; or {"after": seconds, "from": k}: this process kills it so long after its k-th
boundary (0: its start), wherever it is by then. `events` tells what a child had reported when it
ended, each with its time since the fork.

A process that has run a polars query must not fork: its threads are gone in the child. So nothing
here runs one, and a schedule is only begun while no thread of polars' pool exists.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's threads would not live through a fork either
os.environ["POLARS_MAX_THREADS"] = (
    "1"  # several of us run at once, and the tasks are threads anyway
)

import deltalake  # noqa: F401 - imported here, so that no child has to
import pandera.polars  # noqa: F401
from journey import checks, visits
from journey.acts import Outside
from journey.acts import play as night
from journey.outside import Keys

from koukan.engine.centre import Centre, open_centre

LONGEST = 120.0  # seconds; a child that takes longer hangs
MOST_MISSES, EARLIER = 8, 0.7


def pool_threads() -> list[str]:
    """Threads of polars' pool in this process."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith("polars-") and name.removeprefix("polars-").isdigit():
            found.append(name)
    return found


def play(schedule: dict[str, Any], pipe: int, kill_at: int | None, *, judge: bool) -> None:
    """In the child: the night, each boundary told through the pipe before it is passed."""
    now = datetime.fromisoformat(schedule["now"])
    passed = 0

    def observe(event: str, *, step: str, **_: object) -> None:
        nonlocal passed
        passed += 1
        os.write(pipe, f"{event}|{step}\n".encode())
        if passed == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sftp_key = Path(schedule["sftp_key"]) if "host" in schedule else None
    centre = open_centre(
        Path(schedule["work"]),
        Path(schedule["key_file"]),
        clock=lambda: now,
        observe=observe,
        sftp_key=sftp_key,
    )
    exits = visits.play(centre, schedule) if "host" in schedule else whole(centre, schedule, now)
    if judge:
        centre.observe = lambda _event, **_: None
        result: dict[str, Any] = {"exits": exits}
        if "host" in schedule:
            result["told"] = visits.told(centre, schedule)
        else:
            result |= {"told": checks.told(centre), "problems": checks.problems(centre)}
        os.write(pipe, f"result|{json.dumps(result)}\n".encode())
    centre.close()


def whole(centre: Centre, schedule: dict[str, Any], now: datetime) -> list[int]:
    people = Path(schedule["key_file"]).parent / "people"
    state = Path(schedule["work"] + "-outside")
    return night(centre, Outside(centre.root, Keys(people), state, now, schedule["confirming"]))


def child(schedule: dict[str, Any], pipe: int, kill_at: int | None, *, judge: bool) -> NoReturn:
    status = 1
    try:
        play(schedule, pipe, kill_at, judge=judge)
        status = 0
    except BaseException:  # noqa: BLE001 - told to the test, which fails
        os.write(pipe, f"failed|{json.dumps(traceback.format_exc())}\n".encode())
    finally:
        os._exit(status)


class Watched:
    """A child and what it says."""

    def __init__(self, schedule: dict[str, Any], kill_at: int | None, *, judge: bool) -> None:
        reading, writing = os.pipe()
        self.began = time.monotonic()
        self.process = os.fork()
        if self.process == 0:
            os.close(reading)
            child(schedule, writing, kill_at, judge=judge)
        os.close(writing)
        self._pipe = reading
        self._rest = b""
        self.ended = False
        self.events: list[tuple[str, str, float]] = []
        self.result: dict[str, Any] | None = None
        self.failure: str | None = None

    def listen(self, until: float, boundaries: int | None = None) -> None:
        """Take what the child says up to a moment, its end, or its so many-th boundary."""
        while not self.ended and (boundaries is None or len(self.events) < boundaries):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
                return
            self._take(os.read(self._pipe, 1 << 16))

    def _take(self, content: bytes) -> None:
        if not content:
            self.ended = True
            return
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            event, _, rest = line.decode().partition("|")
            if event == "result":
                self.result = json.loads(rest)
            elif event == "failed":
                self.failure = json.loads(rest)
            else:
                self.events.append((event, rest, time.monotonic() - self.began))

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)  # not reaped yet, so it is still our child

    def reap(self) -> dict[str, Any]:
        """Wait for its end; everything that it said is known then."""
        self.listen(time.monotonic() + LONGEST)
        if not self.ended:
            self.kill()
            self.failure = f"hung after {self.events[-1:]}"
        _, status = os.waitpid(self.process, 0)
        self.listen(time.monotonic() + 1)
        os.close(self._pipe)
        return {"status": status, "events": self.events, "failure": self.failure}


def victim(schedule: dict[str, Any], kill: dict[str, Any]) -> dict[str, Any]:
    if "event" in kill:
        return Watched(schedule, int(kill["event"]), judge=False).reap()
    watched = Watched(schedule, None, judge=False)
    watched.listen(time.monotonic() + LONGEST, int(kill["from"]))
    start = watched.events[-1][2] if kill["from"] and watched.events else 0.0
    watched.listen(watched.began + start + float(kill["after"]))
    watched.kill()
    return watched.reap()


def fired(kill: dict[str, Any], death: dict[str, Any]) -> bool:
    """Whether a kill found its child alive, and in the step that was asked for."""
    within = kill.get("within")
    there = within is None or (death["events"] and death["events"][-1][1] == within)
    return os.WIFSIGNALED(death["status"]) and bool(there)


def perform(schedule: dict[str, Any]) -> dict[str, Any]:
    """A schedule; where a child was past its place when it was to be killed, once more, earlier.

    A kill in a short step comes too late more often than not.
    """
    if pool_threads():
        raise RuntimeError("importing koukan has run a polars query: its threads are there")
    kills, missed = [dict(kill) for kill in schedule["kill"]], 0
    work = Path(schedule["work"])
    while True:
        shutil.copytree(schedule["base"], work, symlinks=True)
        if "host" in schedule:
            visits.reset(schedule)
        try:
            deaths = [victim(schedule, kill) for kill in kills]
            late = [at for at, kill in enumerate(kills) if not fired(kill, deaths[at])]
            if not late or missed == MOST_MISSES:
                last = Watched(schedule, None, judge=True)
                end = last.reap()
                return {"deaths": deaths, "missed": missed, "end": end, "result": last.result}
        finally:
            shutil.rmtree(work)
            shutil.rmtree(f"{work}-outside", ignore_errors=True)
        missed += 1
        kills[late[0]]["after"] = float(kills[late[0]].get("after", 0)) * EARLIER


def main() -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(perform(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
