"""`koukan verify`: the tables."""

from __future__ import annotations

from koukan.cli import render, shape
from koukan.cli.progress import progress
from koukan.cli.settings import Settings


@shape.command("verify", site=True, json=True)
def verify(settings: Settings) -> int:
    """Look at every file of every table with two readers."""
    with progress(settings) as observe, settings.centre(observe) as centre:
        from koukan.engine.verify import verify_tables

        return render.problems(settings, "verify", verify_tables(centre), "cli.sound_tables")


COMMANDS = {"verify": verify}
