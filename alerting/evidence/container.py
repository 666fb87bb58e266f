"""The container: a zip any tool opens, whose every byte is under the seal.

The seal is the zip's closing comment: public key and signature over the SHA-256 of all bytes before
it. The hashes of the files alone would not notice a byte changed between them.
"""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alerting.evidence.seal import KEY_BYTES, SIGNATURE_BYTES, Sealer, signed_by

_HEAD = "demandwatch-seal/1"
_SEAL = re.compile(
    rf"{_HEAD} ([0-9a-f]{{{2 * KEY_BYTES}}}) ([0-9a-f]{{{2 * SIGNATURE_BYTES}}})\n".encode()
)
SEAL_BYTES = len(_HEAD) + 1 + 2 * KEY_BYTES + 1 + 2 * SIGNATURE_BYTES + 1
_LARGEST = 4 * 2**30
"""Bytes a package may unpack to; a year of a site at 15 s is far below, a zip bomb above."""


class NotAPackageError(ValueError):
    """The file is no zip that this program could have written."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A container read back."""

    files: Mapping[str, bytes]
    public: bytes
    """Key of the seal; empty if there is none."""
    sealed: bool
    """Every byte of the container is as it was sealed with `public`."""


def packed(files: Mapping[str, bytes], at: datetime, sealer: Sealer) -> bytes:
    """Return the container of `files`, in order, stamped `at`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
        archive.comment = b" " * SEAL_BYTES  # its length is part of what is sealed
    body = buffer.getvalue()[:-SEAL_BYTES]
    signature = sealer.sign(hashlib.sha256(body).digest())
    return body + f"{_HEAD} {sealer.public.hex()} {signature.hex()}\n".encode()


def opened(path: Path) -> Opened:
    """Read a container; a broken seal is told in the result.

    Raises:
        NotAPackageError: it is no zip, is damaged beyond reading, or unpacks beyond measure.
        OSError: the file cannot be read.
    """
    raw = path.read_bytes()
    body, seal = raw[:-SEAL_BYTES], _SEAL.fullmatch(raw[-SEAL_BYTES:])
    public = bytes.fromhex(seal[1].decode()) if seal else b""
    signature = bytes.fromhex(seal[2].decode()) if seal else b""
    sealed = bool(seal) and signed_by(public, signature, hashlib.sha256(body).digest())
    return Opened(_files(raw), public, sealed)


def _files(raw: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > _LARGEST:
                raise NotAPackageError("unpacks to more than 4 GiB")
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise NotAPackageError(f"cannot be opened as a package: {error}") from error
    except (OSError, zipfile.LargeZipFile, zlib.error) as error:
        raise NotAPackageError(f"is damaged: {error}") from error
    if len(files) != len(entries):
        raise NotAPackageError("holds two files of one name")
    return files
