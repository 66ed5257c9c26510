"""One push of koukan in a process of its own: of a night, or of everybody.

  koukan_online.py FOLDER delta|full

Prints one JSON document: time, memory, and what the push holds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import measuring

import koukan
from koukan.engine.centre import open_centre
from koukan.engine.initialise import initialise
from koukan.engine.run import run_job
from koukan.engine.steps.export import push_all
from koukan.ledger.online import all_pushes


def main() -> None:
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    place = folder / "site", folder / "keys" / "batch.key"
    initialise(*place)  # a site that was kept may be of an earlier koukan
    centre = open_centre(*place)
    meter = measuring.Meter()
    if kind == "full":
        push_all(centre)
    else:
        run_job(centre, "export_online")
    cost = meter.stop()
    push = all_pushes(centre.ledger)[-1]
    lying = centre.outbox("oqs").folder / f"OQ_koukan_{push.sequence:06d}.csv.age"
    held = {"kind": push.kind, "persons": push.persons, "rows": push.rows}
    measuring.say({**cost, **held, "bytes": lying.stat().st_size, "version": koukan.__version__})
    centre.close()


if __name__ == "__main__":
    main()
