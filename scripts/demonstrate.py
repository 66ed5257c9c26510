"""The demonstration: an earlier night, then one night with everything that goes wrong in it.

Everything runs through the commands that an operator uses, each in a process of its own; what is
shown comes from their JSON. The input is synthetic and seeded, and the generator knows what must
become of every file, so the demonstration ends with 0 only when all of it did.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from koukan import reports
from koukan.engine.centre import open_centre
from koukan.samples.night import lay_earlier_night, lay_night, site_toml

KOUKAN = str(Path(sys.executable).with_name("koukan"))
JOB = "register_members"
WORDS = {
    "ja": {
        "site": "1. センターを作る：{root}（鍵はその外：{keys}）",
        "earlier": "2. 前の晩：{count:,} 人を登録する（架空の人だけです）",
        "lay": "3. 今夜のファイルを受付箱に置く：{files} 件、{lines:,} 行。"
        "正しくないものも混ざっています",
        "night": "4. 今夜の処理",
        "verify": "5. 台帳を、原本・結果・表から計算し直して確かめる",
        "files": "ファイル：受付 {accepted}、受付不可 {refused}、重複 {duplicate}、保留 {held}",
        "lines": "行　　　：受信 {received:,} ＝ 登録 {accepted:,} ＋ エラー {rejected:,} ＋ 重複 "
        "{duplicate:,} ＋ 保留 {held:,}",
        "planned": "すべてのファイルが予定どおりの結果になりました。"
        "処理 {seconds:.1f} 秒、台帳は一致。",
        "differs": "予定と異なる結果があります：{names}",
        "unbalanced": "台帳が一致しません。",
        "digest": "状態の要約値：{digest}",
        "next": "次に試す：",
    },
    "en": {
        "site": "1. Make a centre: {root} (keys outside it: {keys})",
        "earlier": "2. The earlier night: register {count:,} persons (all of them invented)",
        "lay": "3. Lay tonight's files: {files} files, {lines:,} lines, bad ones too",
        "night": "4. Tonight's run",
        "verify": "5. Work the ledger out again from originals, results and tables",
        "files": "files: accepted {accepted}, refused {refused}, duplicate {duplicate}, "
        "held {held}",
        "lines": "lines: received {received:,} = accepted {accepted:,} + rejected {rejected:,}"
        " + duplicate {duplicate:,} + held {held:,}",
        "planned": "Every file ended as planned. {seconds:.1f} seconds; the ledger balances.",
        "differs": "These did not end as planned: {names}",
        "unbalanced": "The ledger does not balance.",
        "digest": "state digest: {digest}",
        "next": "try next:",
    },
}


class Demonstration:
    """One root, its keys beside it, and the commands run on them."""

    def __init__(self, root: Path, arguments: argparse.Namespace) -> None:
        self.root = root
        self.keys = root.with_name(root.name + "-keys")
        self.arguments = arguments
        self.words = WORDS[arguments.lang]
        self.environment = {
            **os.environ,
            "KOUKAN_ROOT": str(root),
            "KOUKAN_KEY_FILE": str(self.keys / "batch.key"),
            "KOUKAN_LANG": arguments.lang,
        }

    def say(self, key: str, **values: object) -> None:
        print(self.words[key].format(**values), file=sys.stderr, flush=True)

    def show(self, *command: str) -> None:
        """Run a command whose output is for the reader."""
        out = sys.stderr if self.arguments.json else None
        subprocess.run([KOUKAN, *command], env=self.environment, stdout=out, check=False)

    def ask(self, *command: str) -> dict[str, Any]:
        """Run a command and take its JSON; only an abnormal end is a failure here."""
        done = subprocess.run(
            [KOUKAN, *command, "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode >= 20:
            raise SystemExit(done.returncode)
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def run(self) -> int:
        """The whole of it; 0 when everything ended as planned."""
        self.prepare()
        night, planned, seconds = self.night()
        self.say("verify")
        problems = self.ask("ledger", "verify")["problems"]
        digest = self.ask("ledger", "digest")["digest"]
        differing = self.differing(planned, night["jobs"][0]["receptions"])
        found = night["summary"]
        balanced = bool(found["ledger_balanced"]) and not problems
        self.say("files", **found["receptions"])
        self.say("lines", **found["records"])
        if differing:
            self.say("differs", names=", ".join(differing))
        if not balanced:
            self.say("unbalanced")
        if not differing and balanced:
            self.say("planned", seconds=seconds)
        self.say("digest", digest=digest)
        if self.arguments.json:
            result = {
                "receptions": found["receptions"],
                "records": found["records"],
                "insurers": found["insurers"],
                "ledger_balanced": balanced,
                "as_planned": not differing,
                "digest": digest,
                "seconds": seconds,
                "root": str(self.root),
            }
            print(json.dumps(result, ensure_ascii=False, indent=2))
        else:
            self.farewell()
        return 0 if balanced and not differing else 50

    def prepare(self) -> None:
        """The centre and its earlier night."""
        self.say("site", root=self.root, keys=self.keys)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.root / "site.toml").exists():
            (self.root / "site.toml").write_text(site_toml(), encoding="utf-8")
        self.show("init")
        self.say("earlier", count=self.arguments.persons)
        lay_earlier_night(self.root, self.arguments.seed, self.arguments.persons)
        self.ask("run", JOB)

    def night(self) -> tuple[dict[str, Any], Any, float]:
        """Lay tonight's files and run the job, as `koukan tick` does when it is due."""
        arguments = self.arguments
        planned = lay_night(self.root, arguments.seed, arguments.lines, arguments.persons)
        lines = planned.summary()["records"]["received"]
        self.say("lay", files=len(planned.files), lines=lines)
        self.say("night")
        night = self.ask("run", JOB)
        if not arguments.json:
            self.show("status", "--insurers")
        return night, planned, float(night["jobs"][0]["seconds"])

    def differing(self, planned: Any, numbers: list[int]) -> list[str]:
        """Names of tonight's files that did not end as the generator planned."""
        found = {}
        centre = open_centre(self.root, self.keys / "batch.key")
        for number in numbers:
            shown = reports.reception(centre, number)
            counts = {
                item["insurer"]: [
                    item[name] for name in ("received", "accepted", "rejected", "duplicate", "held")
                ]
                for item in shown["insurers"]
            }
            found[shown["file"]] = (shown["outcome"], shown["code"], counts)
        centre.close()
        differing = []
        for file in planned.files:
            if file.outcome == "not received":
                wanted = None
            else:
                counts = {
                    insurer: [
                        item.received, item.accepted, item.rejected, item.duplicate, item.held
                    ]
                    for insurer, item in file.counts.items()
                }  # fmt: skip
                wanted = (file.outcome, file.code, counts)
            if found.get(file.name) != wanted:
                differing.append(file.name)
        return differing

    def farewell(self) -> None:
        """The next commands to try."""
        self.say("next")
        print(
            f"  export KOUKAN_ROOT={self.root} KOUKAN_KEY_FILE={self.keys}/batch.key\n"
            f"  {KOUKAN} status\n  {KOUKAN} show 11\n  {KOUKAN} explain H101"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, help="folder of the centre (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="one summary on standard output")
    parser.add_argument("--lines", type=int, default=200_000, help="lines received in the night")
    parser.add_argument("--persons", type=int, default=20_000, help="persons registered before")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--lang", choices=sorted(WORDS), default=os.environ.get("KOUKAN_LANG", "ja")
    )
    arguments = parser.parse_args()
    root = arguments.root or Path(tempfile.mkdtemp(prefix="koukan-demo-")) / "centre"
    return Demonstration(root.resolve(), arguments).run()


if __name__ == "__main__":
    raise SystemExit(main())
