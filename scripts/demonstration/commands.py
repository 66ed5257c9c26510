"""koukan's commands, each in a process of its own, as an operator gives them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ABNORMAL = 20  # exit codes from here on are no ordinary end


class Commands:
    """The commands on one root, with the batch actor's key."""

    def __init__(self, root: Path, key_file: Path, language: str, quiet: bool) -> None:
        self.root = root
        self.program = str(Path(sys.executable).with_name("koukan"))
        self._quiet = quiet
        self._environment = {
            **os.environ,
            "KOUKAN_ROOT": str(root),
            "KOUKAN_KEY_FILE": str(key_file),
            "KOUKAN_LANG": language,
        }

    def show(self, *command: str) -> None:
        """Run a command whose output is for the reader."""
        out = sys.stderr if self._quiet else None
        subprocess.run([self.program, *command], env=self._environment, stdout=out, check=False)

    def read(self, *command: str) -> str:
        """Run a command and take what it shows."""
        done = subprocess.run(
            [self.program, *command],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def ask(self, *command: str, key: Path | None = None) -> dict[str, Any]:
        """Run a command and take its JSON; only an abnormal end is a failure here.

        Args:
            key: of another actor than the batch actor.
        """
        other = {} if key is None else {"KOUKAN_KEY_FILE": str(key)}
        done = subprocess.run(
            [self.program, *command, "--json"],
            env=self._environment | other,
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode >= ABNORMAL:
            raise SystemExit(done.returncode)
        return json.loads(done.stdout)  # type: ignore[no-any-return]
