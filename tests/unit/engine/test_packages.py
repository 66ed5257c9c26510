"""Packages: the same whenever they are laid, open to other programs, refused if anything is off."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from package_support import (
    ABOUT,
    FILES,
    KINDS,
    NAME,
    SIGNER,
    STRANGER,
    archive_of,
    content,
    contents,
    laid,
    manifest_of,
    names,
    new_pair,
    packed,
    pair,
    program,
    put,
    put_sealed,
    signed,
)

import koukan
from koukan.engine.packages import Content, Opened, lay, open_package, signature_path
from koukan.errors import IntegrityError, KoukanError, SealBroken, SecretError, SignatureRefused
from koukan.keys.package import NAMESPACE, PackageIdentity
from koukan.rules.package import MANIFEST, SIGNATURE, parse

TESTS = Path(__file__).parents[2]


def opened(path: Path, into: Path | None = None, kind: str = "age") -> Opened:
    key = path.parent / "keys"
    key.mkdir(exist_ok=True)
    return open_package(path, pair(kind).identity(key), SIGNER.ssh, into)


def refused(path: Path, identity: PackageIdentity | None = None) -> KoukanError:
    """The error of a package that is refused, with and without taking it out; nothing is left."""
    folder = path.parent
    before = names(folder)
    for into in (None, folder / "out"):
        with pytest.raises(KoukanError) as caught:
            open_package(path, identity or pair().identity(folder.parent), SIGNER.ssh, into)
        assert names(folder) == before
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "outbox"
    found.mkdir()
    return found


# --- what comes out


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_comes_out_as_it_went_in(folder: Path, kind: str) -> None:
    made = laid(folder, kind)
    into = folder / "out"
    found = opened(folder / NAME, into, kind)

    assert {path.name: path.read_bytes() for path in into.iterdir()} == {
        **FILES,
        MANIFEST: manifest_of(),
        SIGNATURE: signed(manifest_of()),
    }
    assert {path.stat().st_mode & 0o777 for path in into.iterdir()} == {0o600}
    assert into.stat().st_mode & 0o777 == 0o700
    assert found.manifest == parse(manifest_of())
    assert (found.manifest.about, found.files) == (ABOUT, found.manifest.files)
    assert found.archive_sha256 == made.archive_sha256
    assert opened(folder / NAME, None, kind) == found


def test_what_was_laid_is_described(folder: Path) -> None:
    made = laid(folder)
    package = (folder / NAME).read_bytes()
    archive = archive_of(manifest_of(), signed(manifest_of()))
    assert (made.sha256, made.length) == (hashlib.sha256(package).hexdigest(), len(package))
    expected = (hashlib.sha256(archive).hexdigest(), len(archive))
    assert (made.archive_sha256, made.archive_length) == expected
    assert names(folder) == [NAME, f"{NAME}.sig"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}


def test_again_it_is_the_same_archive_in_another_sealing(folder: Path) -> None:
    first, second = laid(folder), laid(folder)
    assert first.archive_sha256 == second.archive_sha256
    assert first.sha256 != second.sha256
    assert opened(folder / NAME).archive_sha256 == first.archive_sha256
    assert names(folder) == ["PK_kenpo-a_0000000012.age", "PK_kenpo-a_0000000012.age.sig", "keys"]


def test_blocks_and_recipients_do_not_change_the_archive(folder: Path) -> None:
    first = laid(folder)
    small = [content(name, body, 7) for name, body in FILES.items()]
    second = lay(
        folder / NAME,
        small,
        ABOUT,
        signer=SIGNER,
        recipients=[pair("rsa").public, pair("ed25519").public],
    )
    assert second.archive_sha256 == first.archive_sha256
    for kind in ("rsa", "ed25519"):
        assert opened(folder / NAME, None, kind).archive_sha256 == first.archive_sha256


def test_a_package_may_hold_no_file(folder: Path) -> None:
    lay(folder / NAME, [], ABOUT, signer=SIGNER, recipients=[pair().public])
    assert opened(folder / NAME).files == ()


def test_a_signature_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    laid(folder)
    moved = signature_path(folder / NAME).rename(tmp_path / "s")
    identity = pair().identity(tmp_path)
    assert open_package(folder / NAME, identity, SIGNER.ssh, signature=moved).files
    error = refused(folder / NAME)
    assert (error.key, error.where) == ("package.no_signature", {"path": f"{NAME}.sig"})


# --- programs of others


@pytest.mark.parametrize("kind", KINDS)
def test_age_opens_it(folder: Path, tmp_path: Path, kind: str) -> None:
    age = program("age", "age")
    laid(folder, kind)
    key = pair(kind).file(tmp_path)
    ran = subprocess.run(
        [age, "--decrypt", "--identity", key, folder / NAME], capture_output=True, check=True
    )
    assert ran.stdout == archive_of(manifest_of(), signed(manifest_of()))


def test_age_and_tar_take_the_files_out(folder: Path, tmp_path: Path) -> None:
    age, tar = program("age", "age"), program("tar", "tar")
    laid(folder)
    key = pair().file(tmp_path)
    plain = tmp_path / "plain.tar"
    subprocess.run([age, "-d", "-i", key, "-o", plain, folder / NAME], check=True)
    into = tmp_path / "out"
    into.mkdir()
    subprocess.run([tar, "--extract", "--file", plain], cwd=into, check=True)
    taken = {path.name: path.read_bytes() for path in into.iterdir()}
    assert taken == {**FILES, MANIFEST: manifest_of(), SIGNATURE: signed(manifest_of())}
    with tarfile.open(plain) as archive:
        assert archive.getnames() == [MANIFEST, SIGNATURE, *FILES]


def test_ssh_keygen_checks_both_signatures(folder: Path, tmp_path: Path) -> None:
    keygen = program("ssh-keygen", "openssh-client")
    laid(folder)
    opened(folder / NAME, tmp_path / "out")
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f'koukan namespaces="{NAMESPACE}" {SIGNER.ssh}\n')

    def verified(signature: Path, body: bytes) -> bool:
        call = [keygen, "-Y", "verify", "-f", allowed, "-I", "koukan", "-n", NAMESPACE]
        ran = subprocess.run([*call, "-s", signature], input=body, capture_output=True, check=False)
        return ran.returncode == 0

    for signature, signs in (
        (folder / f"{NAME}.sig", folder / NAME),
        (tmp_path / "out" / SIGNATURE, tmp_path / "out" / MANIFEST),
    ):
        assert verified(signature, signs.read_bytes())
        assert not verified(signature, signs.read_bytes() + b"x")


def test_what_age_and_ssh_keygen_made_is_opened(folder: Path, tmp_path: Path) -> None:
    """Nothing that we take depends on who wrote the sealing."""
    age = program("age", "age")
    archive = archive_of(manifest_of(), signed(manifest_of()))
    ran = subprocess.run(
        [age, "--encrypt", "--recipient", pair("rsa").public],
        input=archive,
        capture_output=True,
        check=True,
    )
    put_sealed(folder, ran.stdout)
    assert opened(folder / NAME, None, "rsa").archive_sha256 == hashlib.sha256(archive).hexdigest()


# --- what is refused


def test_a_package_for_another_key_is_refused(folder: Path, tmp_path: Path) -> None:
    laid(folder)
    for kind in KINDS:
        other = new_pair(kind).identity(tmp_path)
        error = refused(folder / NAME, other)
        assert isinstance(error, SecretError)
        assert (error.key, error.where) == ("keys.package_not_ours", {"path": NAME})


def laid_small(folder: Path) -> bytes:
    lay(folder / NAME, [content("a", b"x")], ABOUT, signer=SIGNER, recipients=[pair().public])
    return (folder / NAME).read_bytes()


def flips(content: bytes, *, long: bool) -> Iterator[tuple[int, bytes]]:
    """The content with one bit flipped, and where: every bit, or one of every byte."""
    for place in range(len(content)):
        for bit in range(8) if long else [(place * 5 + 3) % 8]:
            broken = bytearray(content)
            broken[place] ^= 1 << bit
            yield place, bytes(broken)


def test_every_flipped_bit_is_refused_before_anything_is_decrypted(
    folder: Path, tmp_path: Path, long: bool
) -> None:
    good = laid_small(folder)
    identity = pair().identity(tmp_path)
    with (folder / NAME).open("r+b", buffering=0) as file:
        for _, broken in flips(good, long=long):
            file.seek(0)
            file.write(broken)
            with pytest.raises(SignatureRefused) as caught:
                open_package(folder / NAME, identity, SIGNER.ssh, folder / "out")
            assert (caught.value.key, caught.value.where) == ("package.signature", {"path": NAME})
    assert names(folder) == [NAME, f"{NAME}.sig"]


def test_a_flipped_bit_of_every_byte_is_refused_by_the_encryption_too(
    folder: Path, tmp_path: Path
) -> None:
    """As if the signer had signed the altered file: then age notices."""
    good = laid_small(folder)
    identity = pair().identity(tmp_path)
    for place, broken in flips(good, long=False):
        put_sealed(folder, broken)
        into = folder / "out" if place % 16 == 0 else None  # folders take their time
        with pytest.raises((SealBroken, SecretError)) as caught:
            open_package(folder / NAME, identity, SIGNER.ssh, into)
        assert caught.value.key in ("keys.package_broken", "keys.package_not_ours")
    assert names(folder) == [NAME, f"{NAME}.sig"]


def test_every_flipped_bit_of_a_signature_is_refused(
    folder: Path, tmp_path: Path, long: bool
) -> None:
    laid(folder)
    path = signature_path(folder / NAME)
    good = path.read_bytes()
    identity = pair().identity(tmp_path)
    for _, broken in flips(good, long=long):
        path.write_bytes(broken)
        with pytest.raises(SignatureRefused):
            open_package(folder / NAME, identity, SIGNER.ssh, folder / "out")
    assert names(folder) == [NAME, f"{NAME}.sig"]


def test_a_package_cut_anywhere_is_refused(folder: Path) -> None:
    laid(folder)
    good = (folder / NAME).read_bytes()
    for length in (0, 1, 200, len(good) // 2, len(good) - 16, len(good) - 1):
        (folder / NAME).write_bytes(good[:length])
        assert refused(folder / NAME).key == "package.signature"
        put_sealed(folder, good[:length])
        assert refused(folder / NAME).key == "keys.package_broken"
    put_sealed(folder, good + b"x")
    assert refused(folder / NAME).key == "keys.package_broken"


def test_the_signature_of_another_package_is_refused(folder: Path) -> None:
    laid(folder)
    laid(folder, name="PK_other.age")
    one, other = (signature_path(folder / name) for name in (NAME, "PK_other.age"))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    assert refused(folder / NAME).key == "package.signature"
    one.write_bytes(kept)
    assert opened(folder / NAME).files


def test_a_package_in_the_place_of_another_is_refused(folder: Path) -> None:
    laid(folder, name="PK_older.age")
    for end in (".age", ".age.sig"):
        (folder / f"PK_older{end}").rename(folder / f"PK_newer{end}")
    error = refused(folder / "PK_newer.age")
    assert isinstance(error, SealBroken)
    told = {"path": "PK_newer.age", "known": "PK_older.age"}
    assert (error.key, error.where) == ("package.renamed", told)


@pytest.mark.parametrize(
    "signature",
    [b"", b"\xff", b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n", b"x" * 9999],
)
def test_what_is_no_signature_is_refused(folder: Path, signature: bytes) -> None:
    laid(folder)
    signature_path(folder / NAME).write_bytes(signature)
    assert refused(folder / NAME).key == "package.signature"


def test_a_signature_for_another_use_is_refused(folder: Path) -> None:
    laid(folder)
    body = (folder / NAME).read_bytes()
    signature_path(folder / NAME).write_bytes(signed(body, namespace="koukan"))
    assert refused(folder / NAME).key == "package.signature"


def test_another_signer_is_refused_inside_and_outside(folder: Path) -> None:
    put(folder, archive_of(manifest_of(), signed(manifest_of())), STRANGER)
    error = refused(folder / NAME)
    assert isinstance(error, SignatureRefused)
    told = {"path": NAME, "known": STRANGER.ssh.fingerprint}
    assert (error.key, error.where) == ("package.signer", told)
    put(folder, archive_of(manifest_of(), signed(manifest_of(), STRANGER)))
    error = refused(folder / NAME)
    assert (error.key, error.where["path"]) == ("package.signer", MANIFEST)


def changed(**parts: object) -> bytes:
    """An archive with something replaced, everything else right."""
    manifest = parts.get("manifest", manifest_of())
    assert isinstance(manifest, bytes)
    files = parts.get("files", FILES)
    assert isinstance(files, dict)
    signature = parts.get("signature", signed(manifest))
    assert isinstance(signature, bytes)
    return archive_of(manifest, signature, files)


SWAPPED = dict(reversed(list(FILES.items())))
GOOD_ARCHIVE = changed()


@pytest.mark.parametrize(
    ("archive", "key", "where"),
    [
        (
            changed(manifest=manifest_of(name="other"), signature=signed(manifest_of())),
            "package.signature",
            {"path": MANIFEST},
        ),
        (
            changed(signature=signed(manifest_of(), namespace="koukan")),
            "package.signature",
            {"path": MANIFEST},
        ),
        (changed(manifest=b"{}"), "package.manifest", {}),
        (changed(manifest=manifest_of() + b"\n"), "package.manifest", {}),
        (
            changed(manifest=manifest_of().replace(b"package.v1", b"package.v9")),
            "package.layout",
            {"known": "koukan.package.v1"},
        ),
        (
            changed(manifest=manifest_of().replace(b'"reception":12', b'"reception":-1')),
            "package.field",
            {"field": "reception"},
        ),
        (
            changed(manifest=b" " * (1 << 20) + b" "),
            "package.first",
            {"file": MANIFEST},
        ),
        (changed(signature=b"x" * 4097), "package.first", {"file": SIGNATURE}),
        (
            changed(files={**FILES, "QR_2.csv": b"x"}),
            "package.file_other",
            {"file": "QR_2.csv"},
        ),
        (
            changed(files={**FILES, "QR_1.csv": FILES["QR_1.csv"].swapcase()}),
            "package.file_other",
            {"file": "QR_1.csv"},
        ),
        (changed(files={"QR_1.csv": FILES["QR_1.csv"]}), "package.file_missing", None),
        (changed(files={**FILES, "more.csv": b""}), "package.file_unexpected", None),
        (changed(files=SWAPPED), "package.file_unexpected", None),
        (GOOD_ARCHIVE + b"x", "archive.trailing", {}),
        (GOOD_ARCHIVE[:-512], "archive.cut", {}),
        (packed(*FILES.items()), "package.first", {"file": MANIFEST}),
        (packed((MANIFEST, b"{}"), *FILES.items()), "package.first", {"file": SIGNATURE}),
        (bytes(1024), "package.first", {"file": MANIFEST}),
        (b"", "archive.cut", {}),
        (b"\x1f\x8b" + bytes(2000), "archive.foreign", {}),
    ],
)
def test_what_the_signer_would_never_sign_is_refused_all_the_same(
    folder: Path, archive: bytes, key: str, where: dict[str, str] | None
) -> None:
    error = refused(put(folder, archive))
    assert error.key == key
    assert where is None or error.where == where
    assert error.exit_code == 50


def test_the_archive_that_those_were_changed_from_is_right(folder: Path) -> None:
    assert opened(put(folder, GOOD_ARCHIVE)).files


def test_a_folder_that_is_there_already_is_left_alone(folder: Path, tmp_path: Path) -> None:
    laid(folder)
    identity = pair().identity(tmp_path)
    (folder / "out").mkdir()
    (folder / "link").symlink_to(tmp_path / "nowhere")
    for into, key in (
        (folder / "out", "package.into_exists"),
        (folder / "link", "package.into_exists"),
        (folder / "no" / "out", "package.into_nowhere"),
    ):
        with pytest.raises(KoukanError) as caught:
            open_package(folder / NAME, identity, SIGNER.ssh, into)
        assert (caught.value.key, caught.value.exit_code) == (key, 64)
    assert names(folder) == [NAME, f"{NAME}.sig", "link", "out"]
    assert names(folder / "out") == []


def test_what_is_no_file_is_told(folder: Path) -> None:
    os.mkfifo(folder / NAME)
    assert refused(folder / NAME).key == "package.no_file"
    assert refused(folder / "none.age").key == "package.no_file"


# --- laying


def test_contents_that_are_not_what_was_said_lay_nothing(folder: Path) -> None:
    body = FILES["QR_1.csv"]
    right = content("QR_1.csv", body)
    shorter = right._replace(length=right.length - 1)
    other = right._replace(open=lambda: [body.swapcase()])
    longer = right._replace(length=right.length + 1)
    for wrong, key in (
        (shorter, "archive.length"),
        (longer, "package.content"),
        (other, "package.content"),
    ):
        with pytest.raises(IntegrityError) as caught:
            lay(folder / NAME, [wrong], ABOUT, signer=SIGNER, recipients=[pair().public])
        assert (caught.value.key, caught.value.where) == (key, {"file": "QR_1.csv"})
        assert names(folder) == []


def test_a_failure_leaves_the_package_that_is_there(folder: Path) -> None:
    made = laid(folder)

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise OSError(5, "the disk")

    with pytest.raises(OSError, match="the disk"):
        lay(
            folder / NAME,
            [Content("QR_1.csv", 9, "0" * 64, broken)],
            ABOUT,
            signer=SIGNER,
            recipients=[pair().public],
        )
    assert opened(folder / NAME).archive_sha256 == made.archive_sha256


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "PK"},
        {"target": ".age"},
        {"target": "P K.age"},
        {"contents": [content("../x", b"")]},
        {"contents": [content("a", b""), content("A", b"")]},
        {"contents": [content(MANIFEST, b"")]},
        {"recipients": []},
    ],
)
def test_names_that_are_not_allowed_are_a_bug_of_the_caller(
    folder: Path, wrong: dict[str, object]
) -> None:
    told = {"target": NAME, "contents": contents(), "recipients": [pair().public], **wrong}
    listed, keys = told["contents"], told["recipients"]
    assert isinstance(listed, list) and isinstance(keys, list)
    with pytest.raises(ValueError):  # noqa: PT011 - which one does not matter
        lay(folder / str(told["target"]), listed, ABOUT, signer=SIGNER, recipients=keys)
    assert names(folder) == []


@pytest.mark.parametrize(("key", "told"), [("", "no_key"), ("age1x", "recipient")])
def test_a_wrong_key_is_told_with_its_insurer(folder: Path, key: str, told: str) -> None:
    with pytest.raises(SecretError) as caught:
        lay(folder / NAME, contents(), ABOUT, signer=SIGNER, recipients=[key])
    expected = (f"keys.package_{told}", {"insurer": ABOUT.insurer})
    assert (caught.value.key, caught.value.where) == expected
    assert names(folder) == []


# --- processes of their own


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    source = Path(koukan.__file__).parent.parent
    return subprocess.run(
        [sys.executable, TESTS / "unit" / "engine" / script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("before", ["nothing", "a package"])
def test_killed_at_every_step_there_is_never_a_package_without_its_signature(
    folder: Path, before: str
) -> None:
    """The next run gives the same archive, whatever the last one left."""
    expected = laid(folder).archive_sha256
    for step in itertools.count(1):
        for path in folder.glob("PK*"):
            path.unlink()
        if before == "a package":
            laid(folder)
        ran = run("killed_laying.py", folder, step, pair().public)
        if ran.returncode == 0:
            break
        assert ran.returncode == 137, ran.stderr
        if (folder / NAME).exists():
            assert opened(folder / NAME).archive_sha256 == expected
        assert laid(folder).archive_sha256 == expected
        assert opened(folder / NAME).archive_sha256 == expected
    assert opened(folder / NAME).archive_sha256 == expected
    steps = ran.stdout.split()
    signature, package = f"{NAME}.sig", NAME
    assert steps.index(f"os.rename:{signature}") < steps.index(f"os.rename:{package}")
    assert step > 4


def test_a_package_that_is_rewritten_while_it_is_opened_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    """By one that is signed and encrypted as rightly, and has the same name."""
    laid(folder)
    other = tmp_path / "other"
    other.mkdir()
    lay(
        other / NAME,
        [content("QR_1.csv", b"older")],
        ABOUT,
        signer=SIGNER,
        recipients=[pair().public],
    )
    pair().file(tmp_path)
    ran = run("rewritten_opening.py", folder / NAME, other / NAME, tmp_path / "insurer.key")
    assert ran.stdout.split() == ["rewritten", "package.changed"], ran.stderr
    assert names(folder) == [NAME, f"{NAME}.sig"]


def test_memory_does_not_grow_with_the_content(tmp_path: Path) -> None:
    """Peak of a process that lays a package, checks it and takes it out."""
    peaks = []
    for mebibytes in (20, 200):
        ran = run("large_package.py", tmp_path, mebibytes)
        assert ran.returncode == 0, ran.stderr
        found = re.fullmatch(r"VmHWM: +(\d+) kB\n", ran.stdout)
        assert found is not None
        peaks.append(int(found[1]) * 1024)
    small, large = peaks
    assert large - small < 32 << 20
