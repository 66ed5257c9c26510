"""`koukan init`."""

from __future__ import annotations

from koukan.cli import output, process, shape
from koukan.cli.settings import Settings
from koukan.errors import Exit


@shape.command("init", site=True, json=True)
def init(settings: Settings) -> int:
    """Make folders, key, keyring, ledger and tables of a site."""
    root, key = settings.need_root(), settings.need_key()
    process.spill_into(root.resolve() / "temporary")
    from koukan.engine.initialise import initialise

    made = initialise(root, key)
    if settings.json:
        output.document("init", {"made": made})
        return Exit.DONE
    output.show(settings.text("cli.made" if made else "cli.made_nothing", count=len(made)))
    if made:
        output.tell(settings.text("cli.key_apart", path=key.name))
    output.suggest(settings, "koukan check")
    return Exit.DONE


COMMANDS = {"init": init}
