"""What a command looks like: help with its example first, in the language of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from koukan import words
from koukan.cli.settings import Settings
from koukan.cli.text import WIDTH, wrap
from koukan.errors import Exit

F = TypeVar("F", bound=Callable[..., Any])
INDENT = 2
COMMON = ("root", "key", "lang", "json", "version", "help")  # shown after a command's own
ASK_HELP = {"help_option_names": ["-h", "--help"]}


class Described(click.Command):
    """A command that describes itself from the word catalogue."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        settings = ctx.ensure_object(Settings)
        formatter.write("\n".join(_help(self, ctx, settings.language)) + "\n")


class Family(Described, click.Group):
    """Commands under one name."""

    command_class = Described


def command(
    name: str, *, site: bool = False, root: bool = False, json: bool = False
) -> Callable[[Callable[..., int]], click.Command]:
    """A command whose function takes the `Settings` first and returns the exit code.

    Args:
        site: it opens the site: --root and --key.
        root: it can look into a site: --root.
        json: it reports: --json.
    """

    def make(function: Callable[..., int]) -> click.Command:
        return click.command(name, cls=Described, context_settings=ASK_HELP)(
            common(click.pass_obj(function), site=site, root=root, json=json)
        )

    return make


def family(name: str, *commands: click.Command, site: bool = True) -> Family:
    """Commands under one name; what they share may stand before their own names, too.

    Args:
        site: they open the site with its key.
    """
    found = Family(
        name, commands={str(one.name): one for one in commands}, context_settings=ASK_HELP
    )
    return common(found, site=site, root=True, json=True)


def common(function: F, *, site: bool, root: bool, json: bool) -> F:
    """The options that all commands share; they change the `Settings`."""
    path = click.Path(path_type=Path)
    options = []
    if site or root:
        options.append(click.option("--root", type=path, metavar="DIR", **_stored("root")))
    if site:
        options.append(click.option("--key", type=path, metavar="FILE", **_stored("key")))
    languages = click.Choice(words.LANGUAGES)
    options.append(click.option("--lang", type=languages, **_stored("language")))
    if json:
        options.append(click.option("--json", is_flag=True, **_stored("json")))
    for option in reversed(options):
        function = option(function)
    return function


def _stored(name: str) -> dict[str, Any]:
    return {"expose_value": False, "callback": partial(_store, name)}


def _store(name: str, ctx: click.Context, _parameter: click.Parameter, value: object) -> None:
    if value:  # what was not given here may have been given before, or by the environment
        setattr(ctx.ensure_object(Settings), name, value)


def _help(item: click.Command, ctx: click.Context, language: str) -> Iterator[str]:
    key = "_".join(ctx.command_path.split()[1:]) or "koukan"
    entry = words.catalogue()[f"help.{key}"]
    yield words.sentence("cli.example", language)
    yield from (f"  {line}" for line in entry["example"].strip().splitlines())
    yield ""
    usage = " ".join([ctx.command_path, *item.collect_usage_pieces(ctx)])
    yield words.sentence("cli.usage_heading", language)
    yield f"  {usage}"
    yield ""
    yield from wrap(entry[language], WIDTH)
    arguments = [one for one in item.get_params(ctx) if isinstance(one, click.Argument)]
    options = [one for one in item.get_params(ctx) if isinstance(one, click.Option)]
    shared = {f"help.option.{name}" for name in COMMON}
    options.sort(key=lambda one: _described(ctx, one) in shared)
    yield from _block(
        "cli.arguments", [_argument(ctx, one, language) for one in arguments], language
    )
    if isinstance(item, click.Group):
        found = [(name, summary(ctx, name, language)) for name in item.list_commands(ctx)]
        yield from _block("cli.commands", found, language)
    yield from _block("cli.options", [_option(ctx, one, language) for one in options], language)
    if key in ("koukan", "run", "tick"):
        codes = [(str(int(code)), words.sentence(f"exit.{int(code)}", language)) for code in Exit]
        yield from _block("cli.exit_codes", codes, language)


def summary(ctx: click.Context, name: str, language: str) -> str:
    """The first sentence about a command of a group."""
    key = "_".join([*ctx.command_path.split()[1:], name])
    text = words.sentence(f"help.{key}", language)
    stop = "。" if language == "ja" else ". "
    return text.split(stop)[0].rstrip(".") + stop.strip()


def _argument(ctx: click.Context, one: click.Argument, language: str) -> tuple[str, str]:
    return one.make_metavar(ctx), words.sentence(f"help.argument.{one.name}", language)


def _option(ctx: click.Context, one: click.Option, language: str) -> tuple[str, str]:
    names = ", ".join(sorted([*one.opts, *one.secondary_opts], key=len))
    metavar = "" if one.is_flag else f" {one.make_metavar(ctx)}"
    needed = words.sentence("cli.required", language) if one.required else ""
    text = words.sentence(_described(ctx, one), language)
    return f"{names}{metavar}", text + needed


def _described(ctx: click.Context, one: click.Option) -> str:
    """Key of what an option means here: a command may mean something else by it than all others."""
    own = f"help.option.{'_'.join(ctx.command_path.split()[1:])}.{_word(one)}"
    return own if own in words.catalogue() else f"help.option.{_word(one)}"


def _word(one: click.Option) -> str:
    """The option's name in the word catalogue: its own long name."""
    long = max([*one.opts, *one.secondary_opts], key=len)
    return long.removeprefix("--").replace("-", "_")


def _block(key: str, rows: Iterable[tuple[str, str]], language: str) -> Iterator[str]:
    """A heading and two columns."""
    rows = list(rows)
    if not rows:
        return
    yield ""
    yield words.sentence(key, language)
    left = min(max(len(name) for name, _ in rows), 24)
    for name, text in rows:
        lines = wrap(text, WIDTH - left - 2 * INDENT)
        if len(name) > left:  # too long to stand beside its text
            yield " " * INDENT + name
            heads = [""] * len(lines)
        else:
            heads = [name, *[""] * (len(lines) - 1)]
        for head, line in zip(heads, lines, strict=True):
            yield f"{' ' * INDENT}{head:{left}}{' ' * INDENT}{line}"
