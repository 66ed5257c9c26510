"""Personal data come in by files of others, and by nothing that the operator can do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from centres import Place

import koukan
from koukan.cli import COMMANDS
from koukan.engine.run import run_job

# What could fetch something from elsewhere.
NETWORK = frozenset(
    "asyncio ftplib http imaplib nntplib poplib requests httpx aiohttp smtplib socketserver "
    "ssl telnetlib urllib urllib3 webbrowser xmlrpc paramiko distributed".split()
)
OF_SOCKET = {"gethostname"}  # says which machine holds the lease
# The one way out: to the partners' hosts that the site names, whose files come by an inbox, too.
SFTP = Path("exchange", "sftp.py")
KEPT = ("originals", "results", "questions", "requests", "packages", "stages")


def modules() -> list[ast.Module]:
    """All but the one that goes to partners' hosts."""
    top = Path(koukan.__file__).parent
    paths = [path for path in top.rglob("*.py") if path != top / SFTP]
    assert (top / SFTP).is_file()
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


def imported() -> set[str]:
    """Top names of all that our modules import."""
    found = set()
    for node in (node for module in modules() for node in ast.walk(module)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_no_module_but_that_for_partners_hosts_can_reach_another_system() -> None:
    assert imported() & NETWORK == set()
    used = {
        node.attr
        for module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "socket"
    }
    assert used == OF_SOCKET


@pytest.mark.requirement("R017")
def test_without_a_file_no_job_brings_anybody_in(tmp_path: Path) -> None:
    place = Place(tmp_path / "site", tmp_path / "keys" / "batch.key").initialised()
    with place.opened() as centre:
        for name in centre.jobs:
            run_job(centre, name)
        assert centre.ledger.receptions() == []
        for name in centre.tables:
            assert centre.snapshot(name).rows() == 0
    for name in KEPT:
        assert list((place.root / name).iterdir()) == []
    exchange = place.root / "exchange"
    assert [path for path in exchange.rglob("*") if path.is_file()] == []


def test_a_command_that_could_bring_somebody_in_would_be_noticed() -> None:
    """None of them takes personal data: `validate` keeps nothing, `sample` invents."""
    assert not {"register", "import", "fetch", "load", "query", "ask", "insert"} & set(COMMANDS)
