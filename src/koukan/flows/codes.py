"""Flows 2-(1) and 2-(2) 機関別符号: what is exchanged with whom, and how codes are kept.

Step 1-1: who is newly linked, or asked for by an insurer, is wanted. 1-2 to 1-4: a request under
要求レコード番号 goes to 住基ネット after a person's approval. 1-5: NWS returns codes under these
numbers. The 機関別符号ファイル is the table `linkage_codes`: events under raw links, none of which
changes. It holds no 個人番号 and nothing of an insurer's member. 保険者コード, 被保険者枝番 and
枝番紐付件数 are found in the 資格履歴, so a member that is withdrawn is in no row here; all times
stand in the ledger, with the groups and receptions that a row names.
"""

from __future__ import annotations

import polars as pl

from koukan.tables.definition import TableDefinition

SYSTEM = "nws"  # who returns codes; without such a sender nothing is asked for
QUERY, REQUEST, ANSWER = "linkage_code_query", "linkage_code_request", "linkage_code_answer"
STATES = "linkage_code_states"
QUERY_SECTION, REQUEST_SECTION, ANSWER_SECTION = "wanted_code", "code_request", "code_answer"
STATE_SECTION = "code_state"
PREPARING = ("municipal_nhi", "welfare")  # kinds whose codes serve 2-(5) alone
CODES = "linkage_codes"

COLUMNS: dict[str, pl.DataType] = {
    "link_number": pl.Int64(),
    "event": pl.String(),  # wanted, asked, set or failed: `rules.linkage`
    "reissue": pl.Boolean(),  # 符号再発行フラグ: wanted because the code before is compromised
    "request": pl.Int64(),  # number of the file to 住基ネット; 0 of what is wanted
    "request_record_number": pl.Int64(),  # 処理通番: one question, and whatever answers it
    "reception": pl.Int64(),  # 受付番号 (0: none) and
    "line_number": pl.Int64(),  # 受付明細番号 of what made it wanted, or of the answer
    "linkage_code": pl.String(),  # 機関別符号, of a set one only
    "result_detail_code": pl.String(),  # 処理結果詳細コード
    "result_message": pl.String(),  # 処理結果メッセージ
    "group_number": pl.Int64(),
}


def definition(buckets: int) -> TableDefinition:
    """機関別符号ファイル, in the buckets of the history."""
    return TableDefinition(CODES, ("bucket",), {"": COLUMNS}, buckets)


def request_name(sequence: int) -> str:
    """A request to 住基ネット by its number."""
    return f"JC_koukan_{sequence:06d}.dat"


def states_name(insurer: str, telling: int) -> str:
    """What an insurer is told of its members."""
    return f"CS_{insurer}_{telling:06d}.csv"
