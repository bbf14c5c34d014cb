"""`loaf sign` and `loaf verify --key`, against the program whose signatures they are."""

from __future__ import annotations

import base64
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.changing.defaults import set_defaults
from bundler.errors import KeyUnusable, SignatureWrong
from bundler.file.baked import Baked
from bundler.trust import minisign
from support.bundles import loaf
from support.dying import Death, Died, dying
from support.small_bundles import build_small, small_gguf, small_runtime

PASSWORD = "pass word é"

pytestmark = pytest.mark.skipif(shutil.which("minisign") is None, reason="needs minisign: install the package minisign")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `open.key`, and `locked.key` with a password, their public keys, and those of a stranger."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("open", "stranger"):
        minisign_program("-G", "-W", "-p", f"{name}.pub", "-s", f"{name}.key", cwd=folder)
    minisign_program("-G", "-p", "locked.pub", "-s", "locked.key", cwd=folder, input=f"{PASSWORD}\n{PASSWORD}\n")
    return folder


@pytest.fixture(scope="module")
def signed(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with its signature by `open.key`. Read-only for tests."""
    folder = tmp_path_factory.mktemp("signed")
    build_small(folder / "x.loaf", small_gguf(folder / "m.gguf"), small_runtime(folder / "r", "one"))
    made = loaf("sign", str(folder / "x.loaf"), "--key", str(keys / "open.key"), check=True)
    assert made.stdout == f"{folder / 'x.loaf'}.minisig\n"
    return folder / "x.loaf"


@pytest.fixture
def copied(signed: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    for name in ("x.loaf", "x.loaf.minisig"):
        shutil.copy(signed.with_name(name), tmp_path / name)
    return tmp_path / "x.loaf"


def test_minisign_takes_our_signatures(signed: Path, keys: Path) -> None:
    said = minisign_program("-V", "-m", str(signed), "-p", str(keys / "open.pub"))
    assert "file:x.loaf" in said
    assert "build:" in said


def test_we_take_minisign_s(signed: Path, keys: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.loaf"
    shutil.copy(signed, target)
    minisign_program("-S", "-m", str(target), "-s", str(keys / "open.key"), "-t", "said by me")
    said = loaf("verify", str(target), "--key", str(keys / "open.pub"), check=True).stdout
    assert "said by me" in said
    assert "intact" in said


def test_a_key_may_be_given_as_text(signed: Path, keys: Path) -> None:
    text = (keys / "open.pub").read_text().splitlines()[1]
    assert "signed" in loaf("verify", str(signed), "--key", text, check=True).stdout


def test_a_key_with_a_password(copied: Path, keys: Path) -> None:
    command = ("sign", str(copied), "--key", str(keys / "locked.key"))
    assert "password is wrong" in loaf(*command, input="something else\n").stderr
    loaf(*command, input=f"{PASSWORD}\n", check=True)
    minisign_program("-V", "-m", str(copied), "-p", str(keys / "locked.pub"))


def test_a_password_is_asked_for_at_a_terminal(copied: Path, keys: Path) -> None:
    """And not shown."""
    program = str(Path(sys.executable).with_name("loaf"))
    child, terminal = pty.fork()
    if child == 0:
        os.execv(program, [program, "sign", str(copied), "--key", str(keys / "locked.key")])
    said = b""
    while b"Password" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, f"{PASSWORD}\n".encode())
    try:
        while more := os.read(terminal, 1000):
            said += more
    except OSError:  # the other end is closed
        pass
    assert os.waitpid(child, 0)[1] == 0, said
    assert PASSWORD.encode() not in said
    minisign_program("-V", "-m", str(copied), "-p", str(keys / "locked.pub"))


def test_what_was_changed_is_not_trusted(copied: Path, keys: Path) -> None:
    assert "sign it again" in loaf("set", str(copied), "--system", "x", check=True).stderr
    refused = loaf("verify", str(copied), "--key", str(keys / "open.pub"))
    assert (refused.returncode, "not the one that was signed" in refused.stderr) == (1, True), refused.stderr
    assert loaf("verify", str(copied)).returncode == 0


@pytest.mark.parametrize(("line", "says"), [(1, "not to be trusted"), (2, "comment"), (3, "comment")])
def test_a_changed_signature_is_not_trusted(copied: Path, keys: Path, line: int, says: str) -> None:
    signature = copied.with_name("x.loaf.minisig")
    lines = signature.read_text().splitlines()
    lines[line] = lines[line].replace("build:", "built:") if line == 2 else flipped(lines[line])
    signature.write_text("\n".join(lines))
    refused = loaf("verify", str(copied), "--key", str(keys / "open.pub"))
    assert (refused.returncode, says in refused.stderr) == (1, True), refused.stderr


FAILURES = [
    ("another's key", ["verify", "x.loaf", "--key", "{keys}/stranger.pub"], "is signed with the key"),
    ("a secret key for a public one", ["verify", "x.loaf", "--key", "{keys}/open.key"], "no public key"),
    ("a public key for a secret one", ["sign", "x.loaf", "--key", "{keys}/open.pub"], "no secret key"),
    ("a key that is none", ["verify", "x.loaf", "--key", "me"], "no public key"),
    ("a missing key", ["sign", "x.loaf", "--key", "none.key"], "none.key"),
    ("no signature", ["verify", "y.loaf", "--key", "{keys}/open.pub"], "y.loaf.minisig is missing"),
    ("no bundle", ["sign", "x.loaf.minisig", "--key", "{keys}/open.key"], "not a loaf bundle"),
]


@pytest.mark.parametrize(("command", "says"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_failures_are_told(copied: Path, keys: Path, command: list[str], says: str) -> None:
    shutil.copy(copied, copied.with_name("y.loaf"))
    result = loaf(*(part.format(keys=keys) for part in command), cwd=copied.parent)
    assert (result.returncode, says in result.stderr) == (1, True), result.stderr
    assert "Traceback" not in result.stderr


def test_the_old_form_is_told(copied: Path, keys: Path) -> None:
    """Over the file itself, which would have to be in memory whole."""
    minisign_program("-S", "-l", "-m", str(copied), "-s", str(keys / "open.key"))
    assert "the old form" in loaf("verify", str(copied), "--key", str(keys / "open.pub")).stderr


@given(st.one_of(st.text(), st.binary(max_size=200).map(lambda data: "x\n" + base64.b64encode(data).decode())))
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(KeyUnusable):
        minisign.parse_public_key(text)
    with pytest.raises(KeyUnusable):
        minisign.parse_secret_key(text, lambda: "")
    with pytest.raises(SignatureWrong):
        minisign.parse_signature(Path("x"), text)


def test_a_key_that_asks_for_too_much_is_refused(keys: Path) -> None:
    """Of memory, before there is a password to check."""
    data = bytearray(base64.b64decode((keys / "locked.key").read_text().splitlines()[1]))
    data[46 + 5] = 1  # 2 ** 40 bytes
    with pytest.raises(KeyUnusable, match="more time or memory"):
        minisign.parse_secret_key(base64.b64encode(data).decode(), lambda: PASSWORD)


def test_a_bundle_that_is_half_changed_is_not_signed(copied: Path, keys: Path) -> None:
    with pytest.raises(Died), dying(Death(copied.parent, 3, 0.5)):
        set_defaults(copied, None, Baked(system="x"))
    assert "was interrupted" in loaf("sign", str(copied), "--key", str(keys / "open.key")).stderr


def minisign_program(*arguments: str, **options: object) -> str:
    """What minisign says; it succeeds."""
    run = subprocess.run(["minisign", *arguments], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert run.returncode == 0, run.stderr
    return str(run.stdout)


def flipped(line: str) -> str:
    """The same base64 with another bit in its last bytes."""
    data = bytearray(base64.b64decode(line))
    data[-5] ^= 1
    return base64.b64encode(data).decode()
