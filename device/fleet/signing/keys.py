"""Private keys: one file each, so that those of root can be carried away.

A file is called ROLE-ID.pem. The id is the beginning of what signed metadata calls the key, so a
key is found without opening it, in any of the folders that are given.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from device.fleet.errors import NoKeyError
from device.fleet.signing import passphrase
from device.fleet.signing.folder import write_secret

ID_CHARACTERS = 16
"""Of a key's id that are in its file's name."""


def create(role: str, folder: Path, secret: str) -> CryptoSigner:
    """Make a key and its file.

    Args:
        role: which it is for.
        folder: of the file.
        secret: the passphrase that encrypts it; empty: none does.
    """
    private = Ed25519PrivateKey.generate()
    signer = CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))
    lock: KeySerializationEncryption = NoEncryption()
    if secret:
        lock = BestAvailableEncryption(secret.encode())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    write_secret(folder / file_name(role, signer.public_key.keyid), pem)
    return signer


def file_name(role: str, keyid: str) -> str:
    """What the file of a key is called."""
    return f"{role}-{keyid[:ID_CHARACTERS]}.pem"


@dataclass
class Keyring:
    """Finds and opens the keys that signed metadata names."""

    folders: Sequence[Path]
    ask: Callable[[str], str] = passphrase.on_terminal
    """Asks for the passphrase of a key."""
    _opened: dict[str, CryptoSigner] = field(default_factory=dict)

    def remember(self, signers: Iterable[CryptoSigner]) -> None:
        """Take keys that were just made, without asking for what opens their files."""
        self._opened.update({each.public_key.keyid: each for each in signers})

    def has(self, keys: Iterable[Key], threshold: int) -> bool:
        """Whether the files of enough of these keys are here."""
        return sum(self._file(key) is not None for key in keys) >= threshold

    def signers(self, role: str, keys: Sequence[Key], threshold: int) -> list[CryptoSigner]:
        """As many of a role's keys as must sign, opened.

        Raises:
            NoKeyError: if too few are here, or one does not open.
        """
        here = [(key, path) for key in keys if (path := self._file(key)) is not None]
        if len(here) < threshold:
            places = "; ".join(self._looked_at(role, keys))
            raise NoKeyError(
                f"{role} is signed with {threshold} of {len(keys)} keys, and {len(here)} are here "
                f"({places}): bring their files ({role}-....pem) and name their folder with KEYS="
            )
        return [self._open(key, path) for key, path in here[:threshold]]

    def _looked_at(self, role: str, keys: Sequence[Key]) -> Iterator[str]:
        """Each folder, and why what lies there does not help."""
        right = {file_name(role, key.keyid) for key in keys}
        for folder in self.folders:
            try:
                there = [path.name for path in folder.iterdir() if path.name not in right]
                is_old = any(re.fullmatch(rf"{role}-[0-9a-f]+\.pem", name) for name in there)
                why = f"what is there of {role} is older, or another fleet's" if is_old else ""
            except OSError as error:
                why = error.strerror or str(error)
            yield f"{folder}: {why}" if why else str(folder)

    def _file(self, key: Key) -> Path | None:
        ending = file_name("", key.keyid)
        for folder in self.folders:
            try:
                found = sorted(p for p in folder.iterdir() if p.name.endswith(ending))
            except OSError:
                continue
            if found:
                return found[0]
        return None

    def _open(self, key: Key, path: Path) -> CryptoSigner:
        if key.keyid not in self._opened:
            private = self._private(path)
            if SSlibKey.from_crypto(private.public_key()).keyid != key.keyid:
                raise NoKeyError(f"{path}: it holds another key than its name says; bring the key")
            public = SSlibKey.from_dict(key.keyid, key.to_dict())
            self._opened[key.keyid] = CryptoSigner(private, public)
        return self._opened[key.keyid]

    def _private(self, path: Path) -> Ed25519PrivateKey:
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise NoKeyError(f"{path}: {error.strerror}") from error
        secret = None
        if b"ENCRYPTED" in pem.partition(b"\n")[0]:
            secret = passphrase.given()
            secret = self.ask(f"Passphrase of {path}: ") if secret is None else secret
        try:
            private = load_pem_private_key(pem, secret.encode() if secret is not None else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            why = "not a private key" if secret is None else "this passphrase does not open it"
            raise NoKeyError(f"{path}: {why}; nothing was changed") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise NoKeyError(f"{path}: not an ed25519 key; bring one that was made here")
        return private
