"""Writes the evidence package of an alert: a sealed zip that verifies without the system."""

import hashlib
import json
import os
from datetime import UTC
from pathlib import Path

from alerting.acts import stamp
from alerting.evidence.container import packed
from alerting.evidence.finding import Finding
from alerting.evidence.gather import EvidenceSources, gather
from alerting.evidence.manifest import Manifest, entries
from alerting.evidence.material import Material, to_files, to_json
from alerting.evidence.pdf import report
from alerting.evidence.recompute import blocks, recompute
from alerting.evidence.seal import Sealer, fingerprint

README = """\
证据包 / Evidence package

manifest.json lists the SHA-256 of every file; manifest.sig is its Ed25519 signature (hex) and
key.pub the public key (hex). The zip's closing comment seals every byte of the container.

验证 / Verify:  demandwatch evidence verify FILE [--key PUBLIC_KEY]

The verifier needs no network and no database: it checks the seal and the hashes, computes the
15-minute blocks and the verdict again from readings.csv, decodes the register words again, and says
what differs.
验证无需网络和数据库：核对封印与摘要，重新解码寄存器原文，由 readings.csv 重新计算各区间与判定，
并指出任何不符之处。

readings.csv   raw readings, every version received 抄读; where the meter's source keeps them,
               register_words are what the meter sent: FUNCTION:FIRST_REGISTER=HEX
profiles.json  the register maps those words are decoded by 寄存器表
intervals.csv  15-minute blocks with coverage, quality and flags 区间
edits.csv      energy that people stated by hand, who and why, where there is any 人工修改
finding.json   the verdict computed from them 判定
alert.json, timeline.json, rule.json, site.json, policy.json, scope.json
               the alert, every act upon it, the rule, the site, the guide's row, the span
report.pdf     the same for reading 报告
"""


def export(alert_id: str, sources: EvidenceSources, out: Path, exported_by: str) -> Path:
    """Write the package and record the export in the ledger.

    Args:
        alert_id: the alert.
        sources: the running system, or its files opened for reading.
        out: the file to write, or a folder that gets `evidence-<alert_id>.zip`.
        exported_by: name of who exports; stands in the ledger.

    Returns:
        The file written.

    Raises:
        LedgerError: there is no such alert, or its site is unknown.
        ValueError: `exported_by` is empty.
        KeyFileError: the sealing key cannot be used.
        OSError: the file cannot be written.
    """
    if not exported_by.strip():
        raise ValueError("an export needs the name of who exports")
    sealer = Sealer.of_file(sources.key)
    material = gather(alert_id, sources)
    finding = recompute(material, blocks(material))
    content = package(material, finding, sources, sealer, exported_by.strip())
    target = out / f"evidence-{alert_id}.zip" if out.is_dir() else out
    _write(target, content)
    sources.ledger.exported(alert_id, exported_by.strip(), hashlib.sha256(content).hexdigest())
    return target


def package(
    material: Material,
    finding: Finding,
    sources: EvidenceSources,
    sealer: Sealer,
    exported_by: str,
) -> bytes:
    """Return the bytes of a package."""
    head, at = sources.ledger.head(), sources.now().astimezone(UTC)
    files = to_files(material)
    files["finding.json"] = to_json(finding.model_dump(mode="json"))
    about = {
        "exported_at": stamp(at),
        "exported_by": exported_by,
        "software": sources.software,
        "key": fingerprint(sealer.public),
        "ledger": f"{head.seq} {head.hash}",
    }
    files["report.pdf"] = report(material, finding, about)
    files["README.txt"] = README.encode()
    manifest = Manifest(
        alert_id=str(material.alert["alert_id"]),
        exported_at=about["exported_at"],
        exported_by=exported_by,
        software=sources.software,
        settings_sha256=sources.settings_sha256,
        ledger_seq=head.seq,
        ledger_hash=head.hash,
        files=entries(files),
    ).written()
    signed = {
        "manifest.json": manifest,
        "manifest.sig": sealer.sign(manifest).hex().encode(),
        "key.pub": sealer.public.hex().encode(),
    }
    return packed(files | signed, at, sealer)


def finding_of(content: bytes) -> Finding:
    """Read finding.json.

    Raises:
        ValueError: it is not one.
    """
    return Finding.model_validate(json.loads(content))


def _write(path: Path, content: bytes) -> None:
    """Write the file complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
