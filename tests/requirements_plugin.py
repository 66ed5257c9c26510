"""Tells which statements of requirements.toml the tests of a run show.

A test says `@pytest.mark.requirement("R018", "R019")`. A statement is *shown* if at least one
of its tests passed in this run and none failed; a test expected to fail (xfail) that does fail
counts as failed, and one that passes all the same counts for nothing.
"""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

LIST = Path(__file__).with_name("requirements.toml")
State = Literal["shown", "failed", "not shown"]


@dataclass(frozen=True)
class Statement:
    """One statement; `kind` is "software" or "organisation" (only people can show it)."""

    text: str
    area: str
    kind: str


def load(path: Path) -> dict[str, Statement]:
    """The list in its own order, by number (R001)."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    return {number: Statement(**entry) for number, entry in entries.items()}


def compact(numbers: Iterable[str]) -> str:
    """R001, R002, R003, R007 -> "R001-R003 R007"."""
    runs: list[list[str]] = []
    for number in numbers:
        if runs and int(number[1:]) == int(runs[-1][-1][1:]) + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@dataclass
class Evidence:
    """What the tests of this run say about the statements."""

    statements: Mapping[str, Statement]
    passed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    failed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, report: pytest.TestReport) -> None:
        expected_failure = hasattr(report, "wasxfail")
        if report.failed or (report.skipped and expected_failure):
            tests = self.failed
        elif report.passed and report.when == "call" and not expected_failure:
            tests = self.passed
        else:
            return
        for name, number in report.user_properties:
            if name == "requirement":
                tests[str(number)].add(report.nodeid)

    def add_all(self, part: str) -> None:
        """What another part of the run found, as `as_json` wrote it."""
        for number, entry in json.loads(part).items():
            self.passed[number].update(entry["passed"])
            self.failed[number].update(entry["failed"])

    def state(self, number: str) -> State:
        if self.failed.get(number):
            return "failed"
        return "shown" if self.passed.get(number) else "not shown"

    def numbers(self, state: State | None = None, kind: str | None = None) -> list[str]:
        return [
            number
            for number, statement in self.statements.items()
            if state in (None, self.state(number)) and kind in (None, statement.kind)
        ]

    def summary(self) -> Iterator[str]:
        """The counts, the failed ones, and the open ones by area."""
        counts = ", ".join(
            f"{kind} {len(self.numbers('shown', kind))} of {len(self.numbers(kind=kind))}"
            for kind in ("software", "organisation")
        )
        shown = len(self.numbers("shown"))
        yield f"shown by passing tests: {shown} of {len(self.statements)} ({counts})"
        if failed := self.numbers("failed"):
            yield f"with a failing test: {compact(failed)}"
        areas: dict[str, list[str]] = defaultdict(list)
        for number in self.numbers("not shown", "software"):
            areas[self.statements[number].area].append(number)
        if people := self.numbers("not shown", "organisation"):
            areas["(for people to show)"] = people
        if areas:
            width = max(map(len, areas))
            yield "not shown:"
            yield from (f"  {area:{width}}  {compact(found)}" for area, found in areas.items())

    def listing(self) -> Iterator[str]:
        """Every statement with its state and its tests; the cases of one test are one line."""
        for number, statement in self.statements.items():
            yield f"{number} {self.state(number):9}  {statement.text}"
            for mark, tests in (("+", self.passed), ("!", self.failed)):
                functions = {test.partition("[")[0] for test in tests.get(number, ())}
                yield from (f"       {mark} {function}" for function in sorted(functions))

    def as_json(self) -> str:
        entries = {
            number: {
                "text": statement.text,
                "area": statement.area,
                "kind": statement.kind,
                "state": self.state(number),
                "passed": sorted(self.passed.get(number, ())),
                "failed": sorted(self.failed.get(number, ())),
            }
            for number, statement in self.statements.items()
        }
        return json.dumps(entries, ensure_ascii=False, indent=2) + "\n"


def _claims(item: pytest.Item, known: Mapping[str, Statement]) -> tuple[list[str], list[str]]:
    """The numbers that a test names (each once), and what is wrong with its markers."""
    numbers: list[str] = []
    wrong: list[str] = []
    for marker in item.iter_markers("requirement"):
        if marker.kwargs or not marker.args:
            wrong.append(f'{item.nodeid}: write it as requirement("R018", ...)')
        for number in marker.args:
            if not isinstance(number, str) or number not in known:
                wrong.append(f"{item.nodeid}: no statement has the number {number!r}")
            elif number not in numbers:
                numbers.append(number)
    return numbers, wrong


class Requirements:
    """The hooks of one run."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    @pytest.hookimpl(tryfirst=True)  # before -k and -m take tests away: theirs are looked at too
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        errors: list[str] = []
        for item in items:
            numbers, wrong = _claims(item, self.evidence.statements)
            errors += wrong
            # Properties travel inside the report: to JUnit files and between processes.
            item.user_properties.extend(("requirement", number) for number in numbers)
        if errors:
            raise pytest.UsageError("\n".join(["marker requirement:", *errors]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.evidence.add(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        path = session.config.getoption("requirements_json")
        worker = hasattr(session.config, "workerinput")  # of pytest-xdist: sees a part only
        if path is not None and not worker:
            path.write_text(self.evidence.as_json(), encoding="utf-8")

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
    ) -> None:
        if config.option.collectonly or exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        terminalreporter.section("requirements")
        if config.getoption("requirements") or config.get_verbosity() > 0:
            for line in self.evidence.listing():
                terminalreporter.line(line)
        for line in self.evidence.summary():
            terminalreporter.line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("requirements", "statements shown by tests")
    group.addoption(
        "--requirements", action="store_true", help="list every statement with its tests (as -v)"
    )
    group.addoption(
        "--requirements-json", type=Path, metavar="PATH", help="write the same as JSON to PATH"
    )
    group.addoption(
        "--requirements-also",
        type=Path,
        metavar="PATH",
        help="count what another part of the run wrote to PATH by --requirements-json",
    )
    parser.addini("requirements_list", "the list of statements", default=str(LIST))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", 'requirement(*numbers): the test shows these statements, e.g. "R018"'
    )
    path = config.rootpath / config.getini("requirements_list")
    evidence = Evidence(load(path))
    also = config.getoption("requirements_also")
    if also is not None and not hasattr(config, "workerinput"):
        if not also.is_file():
            raise pytest.UsageError(f"--requirements-also: there is no {also}")
        evidence.add_all(also.read_text(encoding="utf-8"))
    config.pluginmanager.register(Requirements(evidence), "requirements")
