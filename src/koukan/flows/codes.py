"""Flows 2-(1) and 2-(2) 機関別符号: how they are kept.

The 機関別符号ファイル is the table `linkage_codes`: events under raw links, none of which changes.
It holds no 個人番号 and nothing of an insurer's member. 保険者コード, 被保険者枝番 and
枝番紐付件数 are found in the 資格履歴, so a member that is withdrawn is in no row here; all times
stand in the ledger, with the groups and receptions that a row names.
"""

from __future__ import annotations

import polars as pl

from koukan.tables.definition import TableDefinition

CODES = "linkage_codes"

COLUMNS: dict[str, pl.DataType] = {
    "link_number": pl.Int64(),
    "event": pl.String(),  # wanted, set or failed: `rules.linkage`
    "reissue": pl.Boolean(),  # 符号再発行フラグ: wanted because the code before is compromised
    "request_record_number": pl.Int64(),  # 処理通番: one question, and whatever answers it
    "reception": pl.Int64(),  # 受付番号 and
    "line_number": pl.Int64(),  # 受付明細番号 of what made it wanted
    "answer": pl.Int64(),  # reception of the file that set it, or said why not
    "linkage_code": pl.String(),  # 機関別符号, of a set one only
    "result_detail_code": pl.String(),  # 処理結果詳細コード
    "result_message": pl.String(),  # 処理結果メッセージ
    "group_number": pl.Int64(),
}


def definition(buckets: int) -> TableDefinition:
    """機関別符号ファイル, in the buckets of the history."""
    return TableDefinition(CODES, ("bucket",), {"": COLUMNS}, buckets)
