"""What import-linter cannot see: builtins reach the world without an import."""

from __future__ import annotations

import ast
from pathlib import Path

import koukan

PACKAGE = Path(koukan.__file__).parent
CORE = ("rules", "codecs", "formats")
FORBIDDEN = frozenset({"open", "print", "input", "breakpoint", "eval", "exec", "__import__"})


def _called_builtins(source: str) -> set[str]:
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return {call.id for call in calls if isinstance(call, ast.Name)} & FORBIDDEN


def test_a_call_of_a_forbidden_builtin_is_seen() -> None:
    assert _called_builtins("def f(p):\n    return open(p).read()\n") == {"open"}


def test_the_core_calls_no_builtin_that_touches_the_world() -> None:
    found = {
        str(path.relative_to(PACKAGE)): builtins
        for part in CORE
        for path in sorted((PACKAGE / part).rglob("*.py"))
        if (builtins := _called_builtins(path.read_text("utf-8")))
    }

    assert found == {}
