"""What the demonstration says, Japanese first."""

from __future__ import annotations

WORDS = {
    "ja": {
        "too_small": "--{name} は {least:,} 以上にしてください。それより小さいと、実演する誤りが"
        "入りきりません（実際の運用に下限はありません）。",
        "site": "1. センターを作る：{root}（鍵はその外：{keys}）",
        "by_sftp": "   {count} 者は SFTP（OpenSSH、ポート {port}）で送り、受け取ります。設定は "
        "koukan sftp config が書きました：{folder}",
        "by_folders": "   SFTP でなくフォルダーでやり取りします（sshd を起動できません：{reason}）",
        "earlier": "2. 前の晩：{count:,} 人を登録する（架空の人だけです）",
        "lay": "3. 今夜のファイルを受付箱に置く：{files} 件、登録 {lines:,} 行と照会 "
        "{questions:,} 件。正しくないものも混ざっています",
        "night": "4. 今夜の登録",
        "ask": "5. 本人確認：照会を受け付け、要求ファイルを作る",
        "people": "6. 職員が承認する。佐藤が送信、鈴木が格納、高橋が保留の決定、"
        "それぞれ自分の鍵で別のプロセスから"
        "（実演のため鍵は {keys} にありますが、本来は各自が持ちます）",
        "tick": "7.{tick} 住基ネット（別のプログラム）：要求 {requests} 件を受け取り、"
        "回答 {files} ファイル {rows:,} 行を返しました",
        "withheld": "   照合水準Dの回答 {count:,} 行（{files} ファイル）を保留しました。"
        "高橋が行ごとに、引き渡すかどうかを決めます（本人の項目は見えません）",
        "open": "   保険者がパッケージを開く：{file}",
        "lines_of_result": "   結果の最初の行：\n  {lines}",
        "events": "8. 次の晩：訂正、取消、管理終了、個人番号誤り訂正、統合、転出など、"
        "すべての処理種別を一人ずつ届け出る",
        "morning": "9. 翌朝のジョブ：誤り一覧、資格期間の点検、管理終了者の消去、表の整理",
        "reports": "翌朝　　：誤り一覧 {lists}、訂正用ファイル {corrections}、資格の重なり "
        "同一保険者 {same} 人・他の保険者 {other} 人、消去 {erased} 人、"
        "届出待ち {waiting} 人（架空第一健保）、表のファイル {files_before} → {files}",
        "national": "10. 国の仕組み（それぞれ別のプログラム）：ＰＭＨ－ＩＤ、符号、連携、実績ログ",
        "pmh": "   ＰＭＨ－ＩＤ：要求 {pmh_rows} 行のうち {pmh_given} 行に払い出し（番号は消去）",
        "codes": "   機関別符号：要求 {codes_asked:,} 人 ＝ 設定 {codes_set:,} ＋ 取得不可 "
        "{codes_failed:,}（遅れた回答、二度の回答も一度だけ取り込みました）",
        "reissue": "   符号の再発行：鈴木が登録したリスト {reissue_listed} 人 ＝ 設定 "
        "{reissue_set} ＋ 取得不可 {reissue_failed}（旧符号は無効、リストは確認後に消去）",
        "disclosure": "   自己情報開示（マイナポータル）：要求 {disclosure_asked} 件のうち "
        "{disclosure_given} 件に資格を回答、記録 {disclosure_recorded} 件（符号なしで表示）",
        "online": "   オンライン資格確認等システムへの連携 {pushes} 回：受入 {pushed:,} 人、"
        "受入不可 {push_refused} 人（改めて連携）。個人番号の鍵を持たないプロセスが作ります",
        "usage_opened": "   福祉事務所がパッケージを開く：{file}（{count:,} 行）",
        "usage": "   資格確認実績ログ：提供 {usage_packaged:,} 行、宛先不明で保留 {usage_held:,}、"
        "エラー・重複 {usage_rejected:,}",
        "verify": "11. 台帳を、原本・結果・表・消去記録から計算し直して確かめる",
        "files": "ファイル：受付 {accepted}、受付不可 {refused}、重複 {duplicate}、保留 {held}",
        "lines": "行　　　：受信 {received:,} ＝ 登録 {accepted:,} ＋ エラー {rejected:,} ＋ 重複 "
        "{duplicate:,} ＋ 保留 {held:,}",
        "questions": "照会　　：{asked:,} ＝ 回答 {answered:,} ＋ 複数該当 {ambiguous:,} ＋ 未回答 "
        "{unanswered:,}",
        "packages": "パッケージ：作成 {built:,}、受け渡し {delivered:,}、消去 {erased:,}",
        "planned": "すべてが予定どおりの結果になりました。処理 {seconds:.1f} 秒、台帳は一致。",
        "differs": "予定と異なる結果があります：{names}",
        "unbalanced": "台帳が一致しません。",
        "digest": "状態の要約値：{digest}",
        "next": "次に試す：",
    },
    "en": {
        "too_small": "--{name} must be {least:,} or more: below that there is no room for "
        "everything that is to go wrong (a real site has no such limit).",
        "site": "1. Make a centre: {root} (keys outside it: {keys})",
        "by_sftp": "   {count} senders upload and collect by SFTP (OpenSSH, port {port}), as "
        "koukan sftp config has set it up: {folder}",
        "by_folders": "   Files go through folders, not SFTP: this machine cannot start an sshd "
        "({reason})",
        "earlier": "2. The earlier night: register {count:,} persons (all of them invented)",
        "lay": "3. Lay tonight's files: {files} files, {lines:,} lines to register and "
        "{questions:,} questions, bad ones too",
        "night": "4. Tonight's registration",
        "ask": "5. Identity confirmation: take the questions in, cut requests",
        "people": "6. Three persons approve, sato what goes out, suzuki what comes in, "
        "takahashi what was withheld, each in a process and with a key of its own (here all keys "
        "lie in {keys}; in earnest with their owners)",
        "tick": "7.{tick} JJK-net (another program) took {requests} requests and laid {files} "
        "answer files with {rows:,} lines",
        "withheld": "   {count:,} answers of level D ({files} files) were withheld. "
        "takahashi decides line by line whether they are handed over, and sees no item of anybody",
        "open": "   An insurer opens a package: {file}",
        "lines_of_result": "   The first lines of the result:\n  {lines}",
        "events": "8. The next night: every event an insurer can tell, one person for each: "
        "corrections, cancellations, withdrawals, partings, joins, moves",
        "morning": "9. The morning's jobs: lists of errors, review of qualifications, erasures, "
        "merging",
        "reports": "morning: {lists} lists of errors, {corrections} correction files, overlaps "
        "with the same insurer {same}, with another {other}, members erased {erased}, waiting "
        "{waiting} (kenpo-a), data files {files_before} -> {files}",
        "national": "10. National systems, each another program: PMH-IDs, codes, pushes, logs",
        "pmh": "   PMH-ID: {pmh_given} of {pmh_rows} lines get one; the numbers received are gone",
        "codes": "   機関別符号: {codes_asked:,} persons asked for = set {codes_set:,} + failed "
        "{codes_failed:,} (late answers and double ones taken in once)",
        "reissue": "   reissue of codes: suzuki's list of {reissue_listed} persons = set "
        "{reissue_set} + failed {reissue_failed} (old codes count no more; the list is erased once "
        "checked)",
        "disclosure": "   self-disclosure (マイナポータル): {disclosure_given} of "
        "{disclosure_asked} requests get cards; {disclosure_recorded} records, shown without codes",
        "online": "   {pushes} pushes to OQS: {pushed:,} persons taken in, {push_refused} refused "
        "(told again). A process that holds no key for numbers makes them",
        "usage_opened": "   The welfare office opens a package: {file} ({count:,} lines)",
        "usage": "   資格確認実績ログ: {usage_packaged:,} lines handed over, {usage_held:,} held "
        "for want of an office, {usage_rejected:,} rejected or duplicate",
        "verify": "11. Work the ledger out again from originals, results, tables and records",
        "files": "files: accepted {accepted}, refused {refused}, duplicate {duplicate}, "
        "held {held}",
        "lines": "lines: received {received:,} = accepted {accepted:,} + rejected {rejected:,}"
        " + duplicate {duplicate:,} + held {held:,}",
        "questions": "questions: {asked:,} = answered {answered:,} + several {ambiguous:,} + "
        "unanswered {unanswered:,}",
        "packages": "packages: built {built:,}, delivered {delivered:,}, erased {erased:,}",
        "planned": "Everything ended as planned. {seconds:.1f} seconds; the ledger balances.",
        "differs": "These did not end as planned: {names}",
        "unbalanced": "The ledger does not balance.",
        "digest": "state digest: {digest}",
        "next": "try next:",
    },
}
