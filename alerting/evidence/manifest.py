"""The manifest: SHA-256 of every file of a package, and where it came from."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from collector.site import Strict

FORMAT = "demandwatch-evidence/1"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Entry(Strict):
    """One file."""

    sha256: Sha256
    bytes: Annotated[int, Field(ge=0)]


class Manifest(Strict):
    """What manifest.json holds; signed as it stands, byte for byte."""

    format: str = FORMAT
    alert_id: str
    exported_at: str
    """ISO 8601, UTC."""
    exported_by: str
    software: str
    """Name and version of the software that wrote the package."""
    settings_sha256: str
    """Digest of the settings in force at the export."""
    ledger_seq: Annotated[int, Field(ge=0)]
    """Position of the ledger's last act before the export, and its hash."""
    ledger_hash: Sha256
    files: dict[str, Entry]

    def written(self) -> bytes:
        """Return the bytes to sign and store."""
        plain = self.model_dump(mode="json")
        return (json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def entries(files: Mapping[str, bytes]) -> dict[str, Entry]:
    """Return the entry of each file."""
    return {
        name: Entry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for name, content in sorted(files.items())
    }


def differences(listed: Mapping[str, Entry], files: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with `files`, one sentence a file."""
    found = entries(files)
    missing = [f"{name} is missing" for name in sorted(listed.keys() - found.keys())]
    added = [f"{name} is not in the manifest" for name in sorted(found.keys() - listed.keys())]
    changed = [
        f"{name} was changed after it was sealed"
        for name in sorted(listed.keys() & found.keys())
        if listed[name] != found[name]
    ]
    return missing + added + changed
