"""The command line: parse, open the site, call one function, print, give back an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

import koukan
from koukan.cli import output, process, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit, KoukanError, UsageError

# In the order of the help text: what is used most comes first.
COMMANDS = {
    "init": "init",
    "tick": "run",
    "run": "run",
    "status": "status",
    "show": "show",
    "trace": "trace",
    "release": "decide",
    "refuse": "decide",
    "rerun": "rerun",
    "approval": "approval",
    "validate": "validate",
    "package": "package",
    "identity": "identity",
    "policy": "policy",
    "history": "history",
    "changes": "history",
    "review": "review",
    "waiting": "waiting",
    "codes": "codes",
    "media": "media",
    "pmh": "pmh",
    "disclosure": "disclosure",
    "records": "records",
    "usage": "usage",
    "online": "online",
    "ledger": "ledger",
    "verify": "verify",
    "erase": "erasure",
    "erasure": "erasure",
    "check": "check",
    "sftp": "sftp",
    "docs": "docs",
    "sample": "sample",
    "explain": "explain",
}


class Interrupted(KoukanError):
    """Ctrl-C."""

    exit_code = Exit.INTERRUPTED
    retryable = True


class Ended(Interrupted):
    """SIGTERM."""

    exit_code = Exit.TERMINATED


class Koukan(shape.Family):
    """The commands, each imported when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's own signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"koukan.cli.commands.{COMMANDS[cmd_name]}")
        found: click.Command = module.COMMANDS[cmd_name]
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)


def program() -> Koukan:
    """The whole command line."""
    group = Koukan("koukan", context_settings=shape.ASK_HELP, callback=lambda: None)
    shape.common(group, site=True, root=True, json=True)
    click.version_option(koukan.__version__, message="koukan %(version)s")(group)
    return group


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns its exit code.

    What no error of ours foresaw goes on to the caller, who shows nothing of its text.
    """
    process.harden()
    for stream in (sys.stdout, sys.stderr):
        output.lenient(stream)
    settings = Settings.early(argv, os.environ)
    try:
        with process.stoppable():
            return run(list(argv), settings)
    except KoukanError as error:
        output.complain(settings, error)
        return error.exit_code
    except KeyboardInterrupt:
        output.complain(settings, Interrupted("cli.interrupted"))
        return Exit.INTERRUPTED
    except process.Terminated:
        output.complain(settings, Ended("cli.interrupted"))
        return Exit.TERMINATED


def run(argv: list[str], settings: Settings) -> int:
    """Parse and invoke, without click's own way of ending a process."""
    group = program()
    try:
        with group.make_context("koukan", argv, obj=settings) as context:
            return int(group.invoke(context) or Exit.DONE)
    except click.exceptions.Exit as stop:  # -h and --version have said what they had to say
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        if error.ctx is not None:
            output.say(error.ctx.get_help())
        return Exit.USAGE
    except click.UsageError as error:
        raise _usage(error) from None
    except KoukanError:
        raise
    except Exception as error:
        from koukan.engine.faults import foreseen  # with the engine, which help does without

        found = foreseen(error, settings.root)
        if found is None:
            raise
        raise found from None


def _usage(error: click.UsageError) -> UsageError:
    """click's complaint in our words: it names options and choices, never what was given."""
    place = error.ctx.command_path if error.ctx else "koukan"
    if isinstance(error, click.exceptions.NoSuchCommand):
        known = ", ".join(error.possibilities or ())
        where = {"command": error.command_name}
        return _near("cli.no_command", known, where, where)
    if isinstance(error, click.NoSuchOption):
        known = ", ".join(error.possibilities or ())
        where = {"key": error.option_name}
        return _near("cli.no_option", known, where, {**where, "command": place})
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _parameter(error, error.param, place)
    return UsageError("cli.usage", command=place)


def _near(key: str, known: str, near: dict[str, str], far: dict[str, str]) -> UsageError:
    """A misspelt name, with those that it resembles."""
    return UsageError(f"{key}_near", known=known, **near) if known else UsageError(key, **far)


def _parameter(error: click.BadParameter, one: click.Parameter, place: str) -> UsageError:
    name = max(one.opts, key=len)
    if isinstance(one, click.Argument):
        name = one.make_metavar(error.ctx or click.Context(click.Command("koukan")))
    if isinstance(error, click.MissingParameter):
        return UsageError("cli.missing", key=name, command=place)
    if isinstance(one.type, click.Choice):
        known = ", ".join(str(choice) for choice in one.type.choices)
        return UsageError("cli.bad_choice", key=name, known=known)
    return UsageError("cli.bad_value", key=name, command=place)
