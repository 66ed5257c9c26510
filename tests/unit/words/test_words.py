"""The word catalogue and the code agree: what is said exists, and what exists is said."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import koukan
from koukan import errors, words
from koukan.errors import WHERE, Exit, KoukanError

PACKAGE = Path(koukan.__file__).parent
AREAS = {key.partition(".")[0] for key in words.catalogue()}
KEY = re.compile(r"[a-z]+(\.[a-z_0-9]+)+")
# Areas whose keys are put together from a name that the program has (`f"exit.{code}"`).
COMPOSED = (
    "reports.inbox.",
    "cli.policy.",
    "exit.",
    "help.",
    "reports.outcome.",
    "reports.count.",
    "reports.step.",
)
COMPOSED += ("reports.kind.", "reports.verdict.", "approvals.operation.", "approvals.subject.")
COMPOSED += ("reports.identity.request.", "reports.identity.state.")
COMPOSED += (
    "reports.identity.request_state.",
    "reports.identity.reason.",
    "reports.identity.key.",
    "reports.identity.kind.",
    "reports.work.",
)
COMPOSED += (
    "reports.rung.",
    "reports.rung_state.",
    "approvals.parameter.",
    "reports.erasure.",
    "reports.certificate.",
    "reports.online.",
    "online.kind.",
    "online.state.",
    "codes.head.",
    "codes.item.",
    "records.item.",
    "records.access.",
    "records.page.",
)
COMPOSED += ("usage.head.", "usage.column.", "usage.state.", "reports.usage.", "reports.copies.")
# A word of ours that is no key: names of files and modules.
NO_KEYS = (".csv", ".toml", ".py", ".json", ".lock", ".key", ".md")
ERRORS = {
    name
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, KoukanError)
}


@cache
def _sources() -> list[ast.Module]:
    return [ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))]


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _mentioned() -> set[str]:
    """Every string in the code that is written like a key of one of our areas."""
    return {
        text
        for tree in _sources()
        for text in _strings(tree)
        if KEY.fullmatch(text) and text.partition(".")[0] in AREAS and not text.endswith(NO_KEYS)
    }


def _raised() -> set[str]:
    """The first argument of every call of an error class, where it is written out."""
    found = set()
    for tree in _sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if name in ERRORS and isinstance(first, ast.Constant):
                found.add(first.value)
    return found


def test_every_error_that_is_raised_has_its_sentences() -> None:
    assert _raised()
    assert _raised() <= set(words.catalogue())


def test_whatever_is_written_like_a_key_is_one() -> None:
    """Keys pass through helpers and tables, too, so any string of that form counts."""
    near = {f"{key}_near" for key in _mentioned()}  # see koukan.cli
    assert _mentioned() - set(words.catalogue()) == set()
    assert near & set(words.catalogue()) == {"cli.no_command_near", "cli.no_option_near"}


def test_no_entry_is_unused() -> None:
    mentioned = _mentioned()
    unused = {
        key
        for key in words.catalogue()
        if key not in mentioned
        and not key.startswith(COMPOSED)
        and key.removesuffix("_near") not in mentioned
        and not _composed_label(key)
    }

    assert unused == set()


def _composed_label(key: str) -> bool:
    """`reports.<name>` where the name stands in a list of columns or units of koukan.cli."""
    area, _, name = key.rpartition(".")
    found = {"reports": ("render", "text"), "reports.identity": ("render_identity",)}.get(area, ())
    texts = [(PACKAGE / "cli" / f"{module}.py").read_text("utf-8") for module in found]
    return any(name in set(_strings(ast.parse(text))) for text in texts)


def test_every_exit_code_has_an_entry_and_no_other_number_has() -> None:
    named = {key for key in words.catalogue() if key.startswith("exit.")}

    assert named == {f"exit.{int(code)}" for code in Exit}


@pytest.mark.parametrize("key", sorted(words.catalogue()))
def test_an_entry_says_the_same_in_both_languages(key: str) -> None:
    entry = words.catalogue()[key]

    for suffix in ("", "_next"):
        texts = [entry.get(f"{language}{suffix}", "") for language in words.LANGUAGES]
        assert all(text.strip() for text in texts) or (suffix and not any(texts))
    found = [
        frozenset.union(
            *(words.placeholders(entry.get(f"{language}{suffix}", "")) for suffix in ("", "_next"))
        )
        for language in words.LANGUAGES
    ]
    assert found[0] == found[1]
    assert found[0] <= WHERE | (words.SHOWN if key.startswith(("cli.", "reports.")) else set())
    known = {"ja", "en", "ja_next", "en_next", "en_one"} | (
        {"example"} if key.startswith("help.") else set()
    )
    assert set(entry) <= known


@pytest.mark.parametrize("key", sorted(_raised()))
def test_an_error_says_what_to_do_next(key: str) -> None:
    assert all(words.next_step(key, language) for language in words.LANGUAGES)


@pytest.mark.parametrize("key", [k for k, e in words.catalogue().items() if "en_one" in e])
def test_a_singular_says_what_its_plural_says(key: str) -> None:
    entry = words.catalogue()[key]

    one, many = (words.placeholders(entry[name]) for name in ("en_one", "en"))
    assert one == many - {"count"}
    assert words.sentence(key, "en", count=1) != words.sentence(key, "en", count="2")
    assert words.sentence(key, "ja", count=1) == words.filled(entry["ja"], {"count": 1})


def test_no_two_files_of_words_hold_the_same_key() -> None:
    found: list[str] = []
    for path in sorted((PACKAGE / "words").glob("*.toml")):
        found += tomllib.loads(path.read_text("utf-8"))

    assert len(found) == len(set(found))


def test_the_first_wish_that_is_a_language_wins() -> None:
    assert words.choose(None, "fr", "en", "ja") == "en"
    assert words.choose(None, "") == "ja"


def test_a_placeholder_is_filled_and_a_forgotten_one_shows() -> None:
    assert words.filled("{file}: {line}", {"file": "a{line}b"}) == "a{line}b: ?"


def test_what_a_terminal_would_obey_is_taken_out_of_names() -> None:
    assert (
        words.filled("{file}", {"file": "a\x1b[2Jb\u202ec\u3000d"}) == "a\ufffd[2Jb\ufffdc\u3000d"
    )
