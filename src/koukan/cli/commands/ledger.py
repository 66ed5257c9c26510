"""`koukan ledger verify` and `koukan ledger digest`."""

from __future__ import annotations

from koukan.cli import output, render, shape
from koukan.cli.progress import progress
from koukan.cli.settings import Settings
from koukan.errors import Exit


@shape.command("verify", site=True, json=True)
def verify(settings: Settings) -> int:
    """Recount the ledger from what lies on the disk."""
    with progress(settings) as observe, settings.centre(observe) as centre:
        from koukan.engine.verify import verify_ledger

        return render.problems(settings, "ledger_verify", verify_ledger(centre), "cli.sound_ledger")


@shape.command("digest", site=True, json=True)
def digest(settings: Settings) -> int:
    """One value for the whole state."""
    with settings.centre() as centre:
        from koukan.engine.digest import state_digest

        found = state_digest(centre)
    if settings.json:
        output.document("ledger_digest", {"digest": found})
    else:
        output.show(found)
    return Exit.DONE


ledger = shape.family("ledger", verify, digest)

COMMANDS = {"ledger": ledger}
