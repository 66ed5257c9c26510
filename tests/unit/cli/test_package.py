"""`koukan package`: what insurers call at their own side, and the key that they are told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from package_support import (
    ABOUT,
    FILES,
    KINDS,
    NAME,
    SIGNER,
    STRANGER,
    contents,
    laid,
    names,
    new_pair,
    pair,
    program,
)

from koukan.engine.centre import open_centre
from koukan.engine.packages import lay
from koukan.keys.package import NAMESPACE
from koukan.rules.package import MANIFEST, SIGNATURE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "collected"
    found.mkdir()
    laid(found)
    return found


def asked(folder: Path, *more: str, signer: str = str(SIGNER.ssh)) -> tuple[str, ...]:
    key = pair().file(folder.parent)
    return ("package", "open", str(folder / NAME), "--key", str(key), "--signer", signer, *more)


@pytest.mark.parametrize("kind", KINDS)
def test_from_the_site_to_the_insurers_folder(call, fresh, tmp_path, kind) -> None:
    """The whole way: the centre's key told, a package laid for a registered key, and opened."""
    text = (fresh.root / "site.toml").read_text("utf-8")
    registered = f'code = "06990019"\npackage_key = "{pair(kind).public}"'
    code = text.split('code = "')[2].split('"')[0]
    text = text.replace(f'code = "{code}"', registered.replace("06990019", code), 1)
    (fresh.root / "site.toml").write_text(text, "utf-8")
    assert call("check", "--root", str(fresh.root)).code == 0

    centre = open_centre(fresh.root, fresh.key)
    (sender,) = (item for item in centre.site.senders if code in item.insurers)
    outbox = centre.outbox(sender.name).folder
    about = ABOUT._replace(insurer=code)
    recipients = [centre.site.insurer(code).package_key]
    made = lay(outbox / NAME, contents(), about, signer=centre.signer, recipients=recipients)
    centre.close()

    line = tmp_path / "centre.pub"
    line.write_text(call("package", "key", *fresh.options).out, "utf-8")
    key, into = pair(kind).file(tmp_path), tmp_path / "out"
    said = call(
        "package", "open", str(outbox / NAME), "--key", str(key), "--signer", str(line),
        "--into", str(into), "--json",
    )  # fmt: skip
    assert said.code == 0
    assert said.document == {
        "schema": "koukan.package_open.v1",
        "exit": 0,
        "package": NAME.removesuffix(".age"),
        "package_name": NAME,
        "insurer": code,
        "reception": 12,
        "kind": "query_result",
        "counts": {"rows": 3, "answered": 2, "ambiguous": 1, "still_open": 4},
        "files": [
            {"name": one.name, "length": one.length, "sha256": one.sha256} for one in contents()
        ],
        "archive_sha256": made.archive_sha256,
        "into": str(into),
    }
    assert names(into) == sorted([*FILES, MANIFEST, SIGNATURE])
    assert all((into / name).read_bytes() == body for name, body in FILES.items())


def test_a_person_reads_counts_files_and_the_packages_identity(call, folder) -> None:
    said = call(*asked(folder, "--into", str(folder / "out")))

    assert said.code == 0
    lines = said.out.splitlines()
    told = "".join(lines[:2])
    assert told == (
        f"{NAME}：保険者 06990014 の受付番号 12 に対する query_result"
        "です。署名と内容に異常はありません。"
    )
    assert [line.split() for line in lines if "未回答" in line] == [
        ["行数", "回答あり", "複数該当", "未回答"]
    ]
    assert ["3", "2", "1", "4"] in [line.split() for line in lines]
    assert "  QR_1.csv  3,500 バイト" in lines
    assert lines[-4:] == [
        "受領確認に書くパッケージ名：",
        f"  {NAME}",
        "受領確認に書く書庫ハッシュ値（SHA-256）：",
        f"  {laid(folder).archive_sha256}",
    ]
    assert said.err == "フォルダー out に取り出しました。個人の情報が暗号化されずに入っています。\n"


def test_without_into_nothing_is_written(call, folder) -> None:
    said = call(*asked(folder, "--lang", "en"))

    assert said.code == 0
    assert "Signatures and content are right." in said.out
    assert "--into" in said.err
    assert names(folder) == [NAME, f"{NAME}.sig"]


def test_it_speaks_to_an_insurer_who_has_no_site(call, folder, monkeypatch) -> None:
    """No root is looked for, nor made."""
    monkeypatch.chdir(folder)
    assert call(*asked(folder, "--json")).code == 0
    assert names(folder) == [NAME, f"{NAME}.sig"]


def test_a_signature_may_lie_elsewhere(call, folder, tmp_path) -> None:
    moved = (folder / f"{NAME}.sig").rename(tmp_path / "s.sig")

    assert call(*asked(folder, "--signature", str(moved))).code == 0
    said = call(*asked(folder, "--json"))
    assert (said.code, said.error["key"]) == (50, "package.no_signature")


def test_what_is_refused_is_told_and_nothing_is_left(call, folder, tmp_path) -> None:
    into = str(folder / "out")
    said = call(*asked(folder, "--into", into, "--json", signer=str(STRANGER.ssh)))
    assert (said.code, said.out, said.error["key"]) == (50, "", "package.signer")
    assert said.error["where"]["known"] == SIGNER.ssh.fingerprint

    other = new_pair("age").file(tmp_path, "other.key")
    said = call(*asked(folder, "--into", into, "--key", str(other), "--json"))
    assert (said.code, said.error["key"]) == (40, "keys.package_not_ours")

    body = bytearray((folder / NAME).read_bytes())
    body[-1] ^= 1
    (folder / NAME).write_bytes(body)
    said = call(*asked(folder, "--into", into))
    assert (said.code, said.out) == (50, "")
    assert f"{NAME} の署名が正しくありません" in said.err
    assert names(folder) == [NAME, f"{NAME}.sig"]


def test_what_is_no_package_is_told_so(call, folder, tmp_path) -> None:
    key = str(pair().file(folder.parent))
    for name in (f"{NAME}.sig", "answers.tar"):
        path = folder / name
        path.touch()
        options = ("--key", key, "--signer", str(SIGNER.ssh), "--json")
        said = call("package", "open", str(path), *options)
        assert (said.code, said.error["key"]) == (50, "package.not_age")
        assert name in said.error["sentence"] and ".age" in said.error["next"]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_public_key_in_the_place_of_the_private_one_is_told(call, folder, language) -> None:
    path = folder.parent / "mine.pub"
    path.write_text(f"{pair().public}\n")
    said = call(*asked(folder, "--key", str(path), "--lang", language))
    assert said.code == 40
    assert "mine.pub" in said.err and ".pub" in said.err.splitlines()[-1]


@pytest.mark.parametrize(
    "signer",
    ["", "ssh-ed25519", "nowhere.pub", "ssh-rsa AAAA", f"x {SIGNER.ssh}", f"{SIGNER.ssh}\nx"],
)
def test_a_signer_that_is_no_key_is_told(call, folder, signer) -> None:
    said = call(*asked(folder, "--json", signer=signer))
    assert (said.code, said.error["key"]) == (64, "package.signer_wrong")


def test_a_fido_key_cannot_be_a_centres(call, folder) -> None:
    fido = (
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIHgwmQ6oXJtGsEBf"
        "bKvQqZGbDNo1wUYTWfWqlYrTQyqTAAAABHNzaDo="
    )
    path = folder.parent / "fido.pub"
    path.write_text(fido)
    said = call(*asked(folder, "--json", signer=str(path)))
    assert (said.code, said.error["key"]) == (64, "package.signer_wrong")


@pytest.mark.parametrize("missing", ["--key", "--signer"])
def test_key_and_signer_must_be_given(call, folder, missing) -> None:
    arguments = list(asked(folder, "--json"))
    place = arguments.index(missing)
    said = call(*arguments[:place], *arguments[place + 2 :])
    assert (said.code, said.error["key"]) == (64, "cli.missing")
    assert said.error["where"]["key"] == missing


def test_the_centres_key_is_one_that_ssh_keygen_takes(call, fresh, tmp_path) -> None:
    keygen = program("ssh-keygen", "openssh-client")
    said = call("package", "key", *fresh.options)
    assert said.code == 0
    assert said.out.startswith("ssh-ed25519 AAAA") and said.out.endswith(" koukan\n")
    document = call("package", "key", "--json", *fresh.options).document
    assert f"{document['key']}\n" == said.out

    path = tmp_path / "centre.pub"
    path.write_text(said.out)
    shown = subprocess.run([keygen, "-l", "-f", path], capture_output=True, text=True, check=True)
    assert shown.stdout.split()[:3] == ["256", document["fingerprint"], "koukan"]
    assert document["fingerprint"] in said.err


def test_its_signatures_are_checked_with_it(call, fresh, tmp_path) -> None:
    keygen = program("ssh-keygen", "openssh-client")
    centre = open_centre(fresh.root, fresh.key)
    lay(tmp_path / NAME, contents(), ABOUT, signer=centre.signer, recipients=[pair().public])
    centre.close()
    allowed = tmp_path / "allowed_signers"
    allowed.write_text("koukan " + call("package", "key", *fresh.options).out)
    with (tmp_path / NAME).open("rb") as body:
        ran = subprocess.run(
            [
                keygen, "-Y", "verify", "-f", allowed, "-I", "koukan", "-n", NAMESPACE,
                "-s", tmp_path / f"{NAME}.sig",
            ],
            stdin=body, capture_output=True, check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_a_key_that_only_looks_like_one_is_found_by_check(call, fresh) -> None:
    text = (fresh.root / "site.toml").read_text("utf-8")
    wrong = pair().public[:-1] + ("q" if pair().public[-1] != "q" else "p")
    place = text.index("code = ")
    code = text[place + 8 : place + 16]
    (fresh.root / "site.toml").write_text(
        text[:place] + f'package_key = "{wrong}"\n' + text[place:], "utf-8"
    )
    said = call("check", "--root", str(fresh.root))
    assert said.code == 40
    assert f"site.toml insurer[{code}].package_key\n  package_key が、正しい公開鍵では" in said.out
    assert wrong not in said.out + said.err
