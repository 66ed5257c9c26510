"""Flow 2-(5) link for self-disclosure, and its 情報提供等記録 (2-R).

Step 5-1: マイナポータル asks through NWS, by 機関別符号. 5-2: who is meant is told by the codes in
force; what the 資格履歴 says of the day of the request is taken. 5-3: 保険者番号・記号・番号・枝番
go back, for welfare 公費負担者番号・受給者番号. What was provided of persons of insurers other
than 市町村国保 and welfare is recorded in `provision_records`, by the month in which it was; no
row of it ever changes, and a month goes as a whole.
"""

from __future__ import annotations

import polars as pl

from koukan.tables.definition import TableDefinition

SYSTEM = "nws"
REQUEST, ANSWER, RECEIPT = "self_disclosure_request", "self_disclosure_answer", "nws_receipt"
REQUEST_SECTION, ANSWER_SECTION = "disclosure_request", "disclosure_answer"
RECORDS, MONTH = "provision_records", "month"
QUESTION = ("processing_sequence", "processing_branch")  # what NWS calls a request
ITEMS = (  # of a qualification, all that an answer says of it
    "insurer_number",
    "insured_symbol",
    "insured_number",
    "insured_branch_number",
    "public_payer_number",
    "recipient_number",
)
CLASS = "disclosure_answer_class"
ANSWERS = (*QUESTION, CLASS, *ITEMS)  # the own items of an answer's line, and no others
BARS = ("self_disclosure_barred_flag", "opt_out")  # of 情報提供に関する制御情報
GIVEN_BY_REQUEST = (  # what a record takes from the request as it came
    *QUESTION,
    "linkage_code",
    "task_name",
    "procedure_name",
    "inquirer_department_name",
    "requested_at",
    "nondisclosure_code",
    "error_reason_code",
)

# The 13 items of the 情報提供等記録ファイル; whose 被保険者枝番 it is; and where it comes from.
COLUMNS: dict[str, pl.DataType] = {
    "linkage_code": pl.String(),  # 機関別符号
    "processing_sequence": pl.String(),  # 処理通番
    "processing_branch": pl.String(),  # 処理通番の枝番
    "task_name": pl.String(),  # 事務名称
    "procedure_name": pl.String(),  # 事務手続名称
    "inquirer_department_name": pl.String(),  # 情報照会者部署名称
    "provider_department_name": pl.String(),  # 情報提供者部署名称
    "requested_at": pl.String(),  # 提供の求めの日時, JST, fourteen digits as it came
    "provided_at": pl.String(),  # 提供の日時, likewise: when the answer was made
    "provided_information_name": pl.String(),  # 特定個人情報名称
    "nondisclosure_code": pl.String(),  # 不開示コード
    "error_reason_code": pl.String(),  # 過誤事由コード
    "member_id": pl.Int64(),  # 被保険者枝番
    "insurer_code": pl.String(),  # 保険者コード: a 被保険者枝番 is one within its insurer
    "reception": pl.Int64(),
    "line_number": pl.Int64(),
    "group_number": pl.Int64(),
}


def definition() -> TableDefinition:
    """情報提供等記録ファイル, a partition for each month in which something was provided."""
    return TableDefinition(RECORDS, (MONTH,), {"": COLUMNS}, None)
