"""What the command line looks like before it does anything."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from rich.cells import cell_len

import koukan
from koukan import words
from koukan.cli import COMMANDS, program
from koukan.cli.settings import Settings
from koukan.cli.shape import ASK_HELP
from koukan.cli.text import wrap
from koukan.errors import Exit
from koukan.formats import require_catalogue
from koukan.shipped import formats_folder, jobs_folder


def _paths() -> Iterator[tuple[str, ...]]:
    yield ()
    context = click.Context(program(), info_name="koukan")
    for name in COMMANDS:
        found = program().get_command(context, name)
        assert found is not None
        yield from _below((name,), found)


def _below(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _below((*path, name), inner)


PATHS = list(_paths())


@pytest.mark.parametrize("language", words.LANGUAGES)
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_begins_with_an_example_in_the_chosen_language(call, path, language) -> None:
    said = call(*path, "-h", "--lang", language)

    assert said.code == 0
    assert said.err == ""
    first, example, *rest = said.out.splitlines()
    assert first == words.sentence("cli.example", language)
    assert example.startswith("  koukan ")
    assert words.sentence("cli.options", language) in rest
    assert (language == "ja") == ("この説明を表示します。" in said.out)
    assert all(cell_len(line) <= 88 for line in rest)  # an example may be a little longer
    assert all(cell_len(line) <= 80 for line in rest if not line.startswith("  koukan "))


def test_every_option_and_argument_is_described_and_nothing_else_is() -> None:
    described = {key for key in words.catalogue() if key.startswith("help.")}
    used = set()
    context = click.Context(program(), info_name="koukan", obj=Settings({}), **ASK_HELP)
    for path in PATHS:
        command: click.Command = program()
        for name in path:
            assert isinstance(command, click.Group)
            found = command.get_command(context, name)
            assert found is not None
            command = found
        used.add(f"help.{'_'.join(path) or 'koukan'}")
        for one in command.get_params(context):
            if isinstance(one, click.Argument):
                used.add(f"help.argument.{one.name}")
            else:
                long = max(one.opts, key=len).removeprefix("--")
                own = f"help.option.{'_'.join(path)}.{long}"  # means something else by it
                used.add(own if own in described else f"help.option.{long.replace('-', '_')}")

    assert used == described


def test_the_environment_chooses_the_language_and_the_command_line_wins(call, monkeypatch) -> None:
    monkeypatch.setenv("KOUKAN_LANG", "en")

    assert call("-h").out.startswith("Example:")
    assert call("-h", "--lang=ja").out.startswith("例：")


def test_a_sites_language_counts_after_the_environment(call, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "site.toml").write_text('language = "en"\n')
    assert call("status", "-h", "--root", str(tmp_path)).out.startswith("Example:")
    monkeypatch.setenv("KOUKAN_ROOT", str(tmp_path))
    assert call("status", "-h").out.startswith("Example:")
    monkeypatch.setenv("KOUKAN_LANG", "ja")
    assert call("status", "-h").out.startswith("例：")
    (tmp_path / "site.toml").write_bytes(b"\xff = broken")
    monkeypatch.delenv("KOUKAN_LANG")
    assert call("status", "-h").out.startswith("例：")


def test_names_in_the_examples_exist() -> None:
    catalogue = require_catalogue(formats_folder())
    jobs = {path.stem for path in jobs_folder().glob("*.toml")}
    seen = set()
    for key in (key for key in words.catalogue() if key.startswith("help.")):
        for line in words.catalogue()[key].get("example", "").replace("\\\n", " ").splitlines():
            match line.split():
                case ["koukan", "run", job, *_]:
                    assert job in jobs
                case ["koukan", "sample", form, *_]:
                    assert form in (*catalogue.formats, "site")
                case ["koukan", "package", "open", name, *_]:
                    own = re.fullmatch(
                        r"PK_(\w+_[a-z-]+_[0-9]{6})_[0-9]{10}_[0-9]{3}\.tar\.age", name
                    )
                    assert own and catalogue.formats["my_number_query"].file.expression.match(
                        f"{own[1]}.csv"
                    )
                case ["koukan", "validate", name, *_]:
                    assert catalogue.formats["member_registration"].file.expression.match(name)
                case _:
                    continue
            seen.add(key)
    assert {"help.run", "help.sample", "help.validate", "help.package_open"} <= seen


def test_the_exit_codes_are_told_in_the_help(call) -> None:
    text = call("-h").out

    assert all(f"\n  {int(code):<4}" in text for code in Exit)


@pytest.mark.parametrize(
    ("arguments", "key", "near"),
    [
        (["stauts"], "cli.no_command_near", "status"),
        (["zzzz"], "cli.no_command", None),
        (["status", "--josn", "--json"], "cli.no_option_near", "--json"),
        (["ledger", "verfy"], "cli.no_command_near", "verify"),
        (["status", "-9"], "cli.no_option", None),
        (["run"], "cli.missing", None),
        (["release", "1"], "cli.missing", None),
        (["show", "twelve"], "cli.bad_value", None),
        (["show", "0"], "cli.bad_value", None),
        (["status", "--lang", "fr"], "cli.bad_choice", "ja, en"),
        (["status", "--night", "yesterday"], "cli.bad_value", None),
        (["status", "more"], "cli.usage", None),
        (["status"], "cli.no_root", None),
        (["status", "--root", "/nowhere"], "cli.no_key", None),
    ],
)
def test_wrong_usage_ends_in_64_and_says_what_was_meant(call, arguments, key, near) -> None:
    said = call(*arguments, "--json") if "--json" not in arguments else call(*arguments)

    assert (said.code, said.out) == (64, "")
    assert said.error["key"] == key
    assert said.error["schema"] == "koukan.error.v1"
    assert said.error["exit"] == 64
    assert near is None or near in said.error["next"]
    plain = call(*(one for one in arguments if one != "--json"))
    assert plain.code == 64
    assert plain.err.startswith("koukan: エラー: ")
    assert len(plain.err.splitlines()) == 2


def test_without_a_command_the_help_is_talk_and_the_code_is_64(call) -> None:
    said = call()

    assert (said.code, said.out) == (64, "")
    assert said.err.startswith("例：")


def test_a_complaint_never_repeats_a_value_that_was_given(call) -> None:
    assert "987654321098" not in call("run", "x", "987654321098").err
    assert "987654321098" not in call("show", "98765432109A").err


def test_help_and_complaints_come_without_the_heavy_libraries() -> None:
    program_text = (
        "import sys; from koukan.cli import main\n"
        "main(['-h']); main(['status', '-h']); main(['stauts']); main(['status'])\n"
        "heavy = {'polars', 'pandera', 'deltalake', 'sqlalchemy', 'pydantic', 'numpy'}\n"
        "sys.exit(sorted(heavy & set(sys.modules)) != [])"
    )
    source = str(Path(koukan.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", program_text],
        env={"PYTHONPATH": source},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0


def test_the_version_is_told(call) -> None:
    assert call("--version").out == f"koukan {koukan.__version__}\n"


def test_lines_break_between_full_width_letters_but_not_before_a_full_stop() -> None:
    assert wrap("ああああ。いい", 8) == ["あああ", "あ。いい"]
    assert wrap("  ab cdef gh", 8) == ["  ab", "  cdef", "  gh"]
    assert wrap("", 8) == [""]
    assert all(
        cell_len(line) <= 20 for line in wrap("コマンド status を実行して、12 件を確認。" * 3, 20)
    )
