"""What `site.toml` may set of runs and flows: bounds, and how long anything is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting
from pydantic import StringConstraints

from koukan.formats.model import Definition

DetailCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
Bar = Literal["self_disclosure_barred_flag", "opt_out"]
LINE = r"^[^\x00-\x1f\x7f,\"]{1,100}$"  # of a text that goes into a record


class Limits(Definition):
    """Bounds of a run."""

    settle_seconds: float = Setting(2.0, ge=0)  # between the two looks at an inbox
    inbox_files: int = Setting(20_000, ge=1)  # of one sender, taken in by one run of a job
    inbox_bytes: int = Setting(64 * 1024**3, ge=1)
    aside_hours: int = Setting(24, ge=1)  # what cannot be taken for longer is reported
    group_bytes: int = Setting(512 * 1024**2, gt=0)  # receptions handled together
    group_files: int = Setting(1_000, gt=0)
    piece_rows: int = Setting(400_000, gt=0)  # rows of a section in memory at once, by worker
    stage_bytes: int = Setting(192 * 1024**2, ge=0)  # of a group's frames kept in memory
    pandera_rows: int = Setting(500, ge=0)  # above, reject codes come from expressions


class Identity(Definition):
    """本人確認: what was agreed with the register's side, and how long anything is kept."""

    request_rows: int = Setting(1_000_000, ge=1, le=99_999_999)  # questions in one request file
    kept_days: int = Setting(300, ge=1, le=364)  # never a year: then everything is erased
    overdue_days: int = Setting(7, ge=1)  # questions unanswered for longer are reported
    uncollected_days: int = Setting(14, ge=1)  # and packages that nobody collected
    # The worst 照合水準 that goes to its insurer by itself; all do when absent.
    release_below: Literal["A", "B", "C"] | None = None


class Pmh(Definition):
    """PMH-ID: how long an answer waits for PMH, and how long what was issued is kept."""

    kept_days: int = Setting(7, ge=1, le=31)  # then it is erased, whoever has it
    # PMH-IDs, after their person's last loss of qualification; planned to be five by the source.
    issue_kept_years: int = Setting(5, ge=1, le=100)


class Disclosure(Definition):
    """Link for self-disclosure: what a record says of us, and what bars an answer."""

    kept_days: int = Setting(7, ge=1, le=31)  # then an answer is erased, whoever has it
    department: str = Setting("医療保険者等向け中間サーバー", pattern=LINE)  # 情報提供者部署名称
    information: str = Setting("医療保険資格の紐付け情報", pattern=LINE)  # 特定個人情報名称
    # Items of 情報提供に関する制御情報: where one is 1, that insurer's qualification is not given.
    barred_by: tuple[Bar, ...] = ("self_disclosure_barred_flag", "opt_out")


class Records(Definition):
    """情報提供等記録: how long they are kept."""

    kept_years: int = Setting(7, ge=7, le=100)  # 番号法: seven years; never less
    withheld: tuple[str, ...] = ("1",)  # 不開示コード that keep a record from its person


class Usage(Definition):
    """資格確認実績ログ: how long its packages, and lines of unknown offices, wait."""

    kept_days: int = Setting(60, ge=1, le=364)  # then they are erased, whoever has them
    uncollected_days: int = Setting(14, ge=1)  # packages that nobody collected are reported


class Copies(Definition):
    """副本: how long a package of an insurer's own copies waits for it."""

    kept_days: int = Setting(14, ge=1, le=364)  # then it is erased, whoever has it
    uncollected_days: int = Setting(7, ge=1)  # one that nobody collected is reported


class Online(Definition):
    """オンライン資格確認等システム: how long its answer to a push may take, and what it needs."""

    overdue_days: int = Setting(2, ge=1)  # later, it is reported
    # For how long a person's 資格履歴 is needed there after the last loss of any qualification.
    needed_years: int = Setting(5, ge=0, le=100)


class Codes(Definition):
    """機関別符号: what was agreed with 住基ネット and NWS, and when it is asked for again."""

    request_rows: int = Setting(1_000_000, ge=1, le=99_999_999)  # persons in one request file
    overdue_days: int = Setting(7, ge=1)  # what is unanswered for longer is reported
    again_days: int = Setting(14, ge=1)  # and, after so long, asked for again
    tries: int = Setting(3, ge=1)  # how often at most, before somebody wants it anew
    # 処理結果詳細コード -> days after which who was refused for it is asked for again
    ask_again: dict[DetailCode, int] = Setting(default_factory=lambda: {"9001": 1, "1002": 7})
    # Codes, after their person's last qualification of an insurer whose copies may be asked for
    # (最長5年間); while the person's history is needed (`Online.needed_years`) they stay as well.
    kept_years: int = Setting(5, ge=1, le=100)


class Workers(Definition):
    """Where tasks run: threads of this process, or processes of this machine."""

    kind: Literal["threads", "processes"] = "threads"
    count: int = Setting(2, ge=1, le=256)
