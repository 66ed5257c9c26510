"""`koukan run` and `koukan tick`: the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from koukan.cli import output, render, render_run, shape
from koukan.cli.progress import progress
from koukan.cli.settings import Settings
from koukan.errors import Exit

if TYPE_CHECKING:
    from koukan.engine.centre import Centre
    from koukan.engine.run import Ran


@shape.command("run", site=True, json=True)
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@click.option("--expect-input", is_flag=True)
def run(settings: Settings, jobs: tuple[str, ...], expect_input: bool) -> int:
    """Run jobs now, one after another."""
    with progress(settings) as observe, settings.centre(observe) as centre:
        from koukan.engine.run import require_job, run_job

        for job in jobs:
            require_job(centre, job)  # before the first of them does anything
        done = [run_job(centre, job) for job in jobs]
        if expect_input and not any(ran.receptions for ran in done):
            # It was asked whether anything came: that questions wait is no answer to it.
            done = [
                ran._replace(exit=Exit.NO_INPUT) if ran.exit < Exit.HELD else ran for ran in done
            ]
        return report(settings, centre, "run", done, Exit.DONE)


@shape.command("tick", site=True, json=True)
def tick(settings: Settings) -> int:
    """Run what is due."""
    with progress(settings) as observe, settings.centre(observe) as centre:
        from koukan.engine.run import tick as run_due
        from koukan.reports import standing

        done = run_due(centre)
        # What waits is judged whether or not anything was due: the code is that of `status`.
        return report(settings, centre, "tick", done, standing(centre))


def report(settings: Settings, centre: Centre, name: str, done: list[Ran], least: Exit) -> int:
    """Tell what the jobs did; the largest of their exit codes, but `least` at least."""
    from koukan.reports import summary

    code = max([least, *(ran.exit for ran in done)])
    numbers = sorted({number for ran in done for number in ran.receptions})
    found = summary(centre, numbers)
    if settings.json:
        jobs = [render_run.document(settings, ran) for ran in done]
        output.document(name, {"jobs": jobs, "summary": found}, code)
        return code
    if not done:
        output.show(settings.text("cli.nothing_due"))
    output.show(*render_run.jobs(settings, centre.jobs, done))
    if numbers:
        output.show(*render.summary(settings, found))
    if code >= Exit.HELD:
        output.suggest(settings, "koukan status")
    elif any(counts.get("waiting") for ran in done for counts in (ran.work or {}).values()):
        output.suggest(settings, "koukan approval list")
    elif numbers:
        output.suggest(settings, f"koukan show {numbers[-1]}")
    return code


COMMANDS = {"run": run, "tick": tick}
