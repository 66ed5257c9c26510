"""Claims about the list of statements and about the plugin that reports on it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = Path(__file__).parents[1]

STATEMENTS = """
[R001]
text = "甲 is kept."
area = "registration"
kind = "software"

[R002]
text = "乙 is refused."
area = "registration"
kind = "software"

[R003]
text = "丙 is erased."
area = "erasure"
kind = "software"

[R004]
text = "Somebody looks."
area = "log"
kind = "organisation"
"""

PASSING = """
import pytest

@pytest.mark.requirement("R001", "R003")
@pytest.mark.parametrize("case", [1, 2])
def test_kept(case): pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A small project of its own: four statements and the plugin."""
    # Loading the other installed plugins anew takes most of a second for each inner run.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.syspathinsert(TESTS)
    pytester.makeconftest('pytest_plugins = ["requirements_plugin"]')
    pytester.makeini("[pytest]\nrequirements_list = list.toml\naddopts = --strict-markers\n")
    (pytester.path / "list.toml").write_text(STATEMENTS, encoding="utf-8")
    return pytester


def states(run: pytest.Pytester, source: str, *options: str) -> dict[str, str]:
    run.makepyfile(source)
    run.runpytest("--requirements-json", "out.json", *options)
    entries = json.loads((run.path / "out.json").read_text(encoding="utf-8"))
    return {number: entry["state"] for number, entry in entries.items()}


def test_the_list_has_exactly_the_217_statements_each_with_its_words() -> None:
    entries = tomllib.loads((TESTS / "requirements.toml").read_text(encoding="utf-8"))
    assert list(entries) == [f"R{number:03}" for number in range(1, 218)]
    for number, entry in entries.items():
        assert entry.keys() == {"text", "area", "kind"}, number
        assert all(value.strip() for value in entry.values()), number
        assert entry["kind"] in ("software", "organisation"), number
    assert len({entry["text"] for entry in entries.values()}) == 217


def test_the_summary_counts_what_is_shown_and_names_the_rest_by_area(run: pytest.Pytester) -> None:
    run.makepyfile('import pytest\n@pytest.mark.requirement("R003")\ndef test_it(): pass\n')
    result = run.runpytest()
    result.stdout.fnmatch_lines(
        [
            "*= requirements =*",
            "shown by passing tests: 1 of 4 (software 1 of 3, organisation 0 of 1)",
            "not shown:",
            "  registration          R001-R002",
            "  (for people to show)  R004",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*甲*")


@pytest.mark.parametrize("option", ["-v", "--requirements"])
def test_the_full_listing_says_which_test_shows_what(run: pytest.Pytester, option: str) -> None:
    run.makepyfile(test_a=PASSING)
    result = run.runpytest(option)
    result.stdout.fnmatch_lines(
        [
            "R001 shown      甲 is kept.",
            "       + test_a.py::test_kept",
            "R002 not shown  乙 is refused.",
            "R003 shown      丙 is erased.",
            "       + test_a.py::test_kept",
            "R004 not shown  Somebody looks.",
        ],
        consecutive=True,
    )


def test_one_failing_test_outweighs_all_passing_ones(run: pytest.Pytester) -> None:
    failing = '\n@pytest.mark.requirement("R001")\ndef test_lost(): assert False\n'
    found = states(run, PASSING + failing)
    assert found == {"R001": "failed", "R002": "not shown", "R003": "shown", "R004": "not shown"}
    run.runpytest().stdout.fnmatch_lines(["with a failing test: R001"])


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ("def test_it(): pass", "shown"),
        ("def test_it(): pytest.skip('later')", "not shown"),
        ("@pytest.mark.xfail\ndef test_it(): assert False", "failed"),
        ("@pytest.mark.xfail\ndef test_it(): pass", "not shown"),
        ("@pytest.mark.xfail(strict=True)\ndef test_it(): pass", "failed"),
        ("@pytest.fixture\ndef broken(): assert False\ndef test_it(broken): pass", "failed"),
        ("@pytest.fixture\ndef b():\n yield\n assert False\ndef test_it(b): pass", "failed"),
    ],
)
def test_only_a_test_that_really_passed_shows_anything(
    run: pytest.Pytester, body: str, state: str
) -> None:
    source = f'import pytest\npytestmark = pytest.mark.requirement("R002")\n{body}\n'
    assert states(run, source)["R002"] == state


def test_a_test_left_out_of_the_run_shows_nothing(run: pytest.Pytester) -> None:
    other = "\ndef test_other(): pass\n"
    assert set(states(run, PASSING + other, "-k", "other").values()) == {"not shown"}


@pytest.mark.parametrize("numbers", ['"R001", "R999"', "1", '"r001"', "", 'number="R001"'])
@pytest.mark.parametrize("option", ["--collect-only", "-k other"])
def test_a_number_that_is_not_in_the_list_stops_the_run(
    run: pytest.Pytester, numbers: str, option: str
) -> None:
    run.makepyfile(
        test_a=f"import pytest\n@pytest.mark.requirement({numbers})\ndef test_it(): pass\n"
    )
    result = run.runpytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: marker requirement:", "test_a.py::test_it: *"])
    result.stdout.no_fnmatch_line("*shown by passing tests*")


def test_the_json_carries_texts_and_each_case_and_junit_the_numbers(run: pytest.Pytester) -> None:
    run.makepyfile(test_a=PASSING)
    run.runpytest("--requirements-json", "out.json", "--junit-xml", "out.xml")
    entries = json.loads((run.path / "out.json").read_text(encoding="utf-8"))
    assert entries["R001"] == {
        "text": "甲 is kept.",
        "area": "registration",
        "kind": "software",
        "state": "shown",
        "passed": ["test_a.py::test_kept[1]", "test_a.py::test_kept[2]"],
        "failed": [],
    }
    assert 'name="requirement" value="R003"' in (run.path / "out.xml").read_text(encoding="utf-8")


def test_what_another_part_of_the_run_showed_counts(run: pytest.Pytester) -> None:
    run.makepyfile(PASSING)
    run.runpytest("--requirements-json", "part.json")
    run.makepyfile(
        """
        import pytest

        @pytest.mark.requirement("R002", "R003")
        def test_refused(): assert False
        """
    )
    assert run.runpytest("--requirements-also", "none.json").ret == pytest.ExitCode.USAGE_ERROR
    run.runpytest("--requirements-also", "part.json", "--requirements-json", "whole.json")
    found = json.loads((run.path / "whole.json").read_text())
    assert {number: entry["state"] for number, entry in found.items()} == {
        "R001": "shown",
        "R002": "failed",
        "R003": "failed",
        "R004": "not shown",
    }
