"""Flow 5 資格確認実績ログ: what is fetched from OQS, and which welfare office gets which lines.

The log tells where and when 被保護者 showed their qualification. Its lines are split by
公費負担者番号 and each office gets its own in a sealed package. Joining them with 医療券 is the
office's work: nothing is joined, counted by person or kept here.
"""

from __future__ import annotations

from koukan.sites import payers

LOG, EXTRACT = "usage_log", payers.EXTRACT
SECTION = "usage"  # of log and extract
PREFIX = "UX"
PAYER = "public_payer_number"
ITEMS = (
    PAYER,
    "recipient_number",
    "medical_institution_code",
    "qualification_check_date",
    "qualification_check_method",
    "processed_at",
    "entrusted_flag",
)
NOT_NEWER, NO_OFFICE = "F175", "H205"
