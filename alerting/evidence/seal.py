"""The seal: Ed25519 keys and signatures (RFC 8032); the one user of `cryptography`."""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

KEY_BYTES = 32
SIGNATURE_BYTES = 64


class KeyFileError(ValueError):
    """The key file is not a private Ed25519 key, or others may read it."""


class Sealer:
    """Signs with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()
        """The public key, 32 bytes: what verifiers are given to trust."""

    @classmethod
    def of_file(cls, path: Path) -> "Sealer":
        """Load the key, or make one on first use, readable by its owner only.

        Raises:
            KeyFileError: the file holds something else or is open to others.
        """
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others; chmod 600 it")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise KeyFileError(f"{path} is not a private key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} is not an Ed25519 key")
        return cls(key)

    def sign(self, content: bytes) -> bytes:
        """Return the signature (64 bytes) over `content`."""
        return self._key.sign(content)


def _make(path: Path) -> None:
    """Write a new key; if another process was first, its key stands."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # complete or not at all, and never over a key that is in use
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def signed_by(public: bytes, signature: bytes, content: bytes) -> bool:
    """Return whether `signature` over `content` was made with the private half of `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public: bytes) -> str:
    """Return a short name of a public key, to be read over the telephone."""
    digest = hashlib.sha256(public).hexdigest()[:20]
    return "-".join(digest[n : n + 4] for n in range(0, 20, 4))
