"""Signatures, as the program minisign makes and checks them (https://jedisct1.github.io/minisign/).

A signature lies beside its file, as FILE.minisig: Ed25519 over the file's BLAKE2b-512, and over that signature and a
comment which can be trusted. Keys and their passwords are minisign's, too: `minisign -G` makes them.

Knows the three forms of text and how they are computed. Refuses to know what the signed files are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nacl import encoding, exceptions, pwhash, signing

from bundler.errors import KeyUnusable, SignatureWrong
from bundler.file.content import FileRange
from bundler.file.copying import Advance, read

_ED25519, _HASHED, _SCRYPT, _NO_PASSWORD, _BLAKE2B = b"Ed", b"ED", b"Sc", b"\0\0", b"B2"
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "
_MOST_OPERATIONS, _MOST_MEMORY = 1 << 25, 1 << 30
"""What minisign asks of scrypt when it makes a key; a file that asks for more is not one of its own."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`number` tells keys from each other: 8 bytes, as `key` are 32."""

    number: bytes
    key: bytes

    @property
    def id(self) -> str:
        """The number as minisign prints it."""
        return f"{int.from_bytes(self.number, 'little'):016X}"


@dataclass(frozen=True, slots=True, repr=False)
class SecretKey:
    """`seed` are the 32 bytes that the key is made of."""

    number: bytes
    seed: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """`comment` was signed with the file; `number` is that of the key."""

    number: bytes
    signature: bytes
    comment: str
    signature_with_comment: bytes


def sign(path: Path, key: SecretKey, comment: str, advance: Advance) -> str:
    """The text of the signature of the file at `path`. `comment` is one line. Raises `OSError`."""
    signer = signing.SigningKey(key.seed)
    signature = signer.sign(_hash_of(path, advance)).signature
    with_comment = signer.sign(signature + comment.encode()).signature
    return (
        f"{_UNTRUSTED}signature from loaf, to be checked by minisign\n{_text(_HASHED + key.number + signature)}\n"
        f"{_TRUSTED}{comment}\n{_text(with_comment)}\n"
    )


def check(path: Path, signature: Signature, key: PublicKey, advance: Advance) -> None:
    """Raises `SignatureWrong` where `signature` is not of the file at `path`, or by another key; `OSError`."""
    if signature.number != key.number:
        other = PublicKey(signature.number, b"")
        raise SignatureWrong(path, f"it is signed with the key {other.id}, not with {key.id}")
    checker = signing.VerifyKey(key.key)
    try:
        checker.verify(signature.signature + signature.comment.encode(), signature.signature_with_comment)
    except exceptions.BadSignatureError as error:
        raise SignatureWrong(path, "the signature itself, or its comment, was changed") from error
    try:
        checker.verify(_hash_of(path, advance), signature.signature)
    except exceptions.BadSignatureError as error:
        raise SignatureWrong(path, "the file is not the one that was signed") from error


def parse_signature(path: Path, text: str) -> Signature:
    """The signature of the file at `path`, from the text of its FILE.minisig. Raises `SignatureWrong`."""
    lines = text.splitlines()
    try:
        first, second = _bytes(lines[1], 74), _bytes(lines[3], 64)
    except (ValueError, IndexError) as error:
        raise SignatureWrong(path, "what should be the signature is none of minisign's") from error
    if not lines[2].startswith(_TRUSTED) or first[:2] != _HASHED:
        raise SignatureWrong(path, "its signature has the old form, which is not over a hash")
    return Signature(first[2:10], first[10:], lines[2].removeprefix(_TRUSTED), second)


def parse_public_key(text: str) -> PublicKey:
    """A key as `minisign -P` takes it, or the text of a .pub file. Raises `KeyUnusable`."""
    try:
        data = _bytes(text.strip().splitlines()[-1], 42)
    except (ValueError, IndexError) as error:
        raise KeyUnusable("it is no public key of minisign's") from error
    if data[:2] != _ED25519:
        raise KeyUnusable("it is no public key of minisign's")
    return PublicKey(data[2:10], data[10:])


def parse_secret_key(text: str, ask_password: Callable[[], str]) -> SecretKey:
    """The key in the text of a .key file; where it is encrypted, with the password. Raises `KeyUnusable`."""
    try:
        data = _bytes(text.strip().splitlines()[-1], 158)
    except (ValueError, IndexError) as error:
        raise KeyUnusable("it is no secret key of minisign's") from error
    algorithm, derivation, checksum = data[:2], data[2:4], data[4:6]
    if algorithm != _ED25519 or checksum != _BLAKE2B or derivation not in (_SCRYPT, _NO_PASSWORD):
        raise KeyUnusable("it is no secret key of minisign's")
    secret = data[54:]
    if derivation == _SCRYPT:
        secret = _decrypted(secret, ask_password(), salt=data[6:38], limits=data[38:54])
    number, seed, public = secret[:8], secret[8:40], secret[40:72]
    if signing.SigningKey(seed).verify_key.encode() != public:  # keys without a password have no checksum
        raise KeyUnusable("the password is wrong" if derivation == _SCRYPT else "it is damaged")
    return SecretKey(number, seed)


def _decrypted(secret: bytes, password: str, salt: bytes, limits: bytes) -> bytes:
    operations, memory = (int.from_bytes(limit, "little") for limit in (limits[:8], limits[8:]))
    if operations > _MOST_OPERATIONS or memory > _MOST_MEMORY:
        raise KeyUnusable("its password takes more time or memory to check than minisign's do")
    stream = pwhash.scrypt.kdf(len(secret), password.encode(), salt, operations, memory, encoding.RawEncoder)
    return bytes(a ^ b for a, b in zip(secret, stream, strict=True))


def _hash_of(path: Path, advance: Advance) -> bytes:
    digest = hashlib.blake2b()
    for chunk in read((FileRange(path, 0, path.stat().st_size),)):
        digest.update(chunk)
        advance(len(chunk))
    return digest.digest()


def _bytes(text: str, size: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error
    if len(data) != size:
        raise ValueError(text)
    return data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
