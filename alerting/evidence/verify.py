"""Verifies a package offline: seal, hashes, acts, blocks and verdict; says what differs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from alerting.acts import Act, Link, fold
from alerting.evidence.container import NotAPackageError, Opened, opened
from alerting.evidence.export import finding_of
from alerting.evidence.finding import Finding, same
from alerting.evidence.manifest import FORMAT, Manifest, differences
from alerting.evidence.material import Material, of_files
from alerting.evidence.meter_words import word_differences
from alerting.evidence.recompute import block_differences, blocks, recompute
from alerting.evidence.seal import fingerprint, signed_by
from alerting.notices import alert_id as id_of

LOOSE = frozenset({"manifest.json", "manifest.sig", "key.pub"})
"""Files the manifest cannot list; their own signatures cover them."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found."""

    ok: bool
    """Nothing is wrong; says nothing about how the verdict turned out."""
    findings: tuple[str, ...]
    """What is wrong, one sentence each; empty if `ok`."""
    notes: tuple[str, ...]
    """What a reader should know though it is not wrong."""
    verdict: Finding | None
    """Computed here, from the readings in the package; None if it could not be."""
    manifest: Manifest | None
    key: str
    """Fingerprint of the sealing key; empty if there is none."""
    words: int = 0
    """Readings whose register words were decoded again."""


def verify(path: Path, trusted_key: bytes | None = None) -> Report:
    """Verify a package without network or database.

    Args:
        path: the package.
        trusted_key: public key (32 bytes) the reader got by another way; without it a package
            re-sealed with another key cannot be told from the original, and a note says so.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        container = opened(path)
    except NotAPackageError as error:
        return Report(False, (f"the file {error}",), (), None, None, "")
    wrong = _seal(container, trusted_key)
    manifest = _manifest(container, wrong)
    verdict, notes, words = _content(container, manifest, wrong)
    if trusted_key is None:
        notes.insert(
            0, f"sealed by key {fingerprint(container.public)}; not compared with a trusted one"
        )
    key = fingerprint(container.public)
    return Report(not wrong, tuple(wrong), tuple(notes), verdict, manifest, key, words)


def _seal(container: Opened, trusted_key: bytes | None) -> list[str]:
    if not container.public:
        return ["the seal is missing or was changed"]
    if not container.sealed:
        return ["the container was changed after it was sealed"]
    if trusted_key is not None and container.public != trusted_key:
        mine, theirs = fingerprint(container.public), fingerprint(trusted_key)
        return [f"sealed by key {mine}, not by the trusted {theirs}"]
    return []


def _manifest(container: Opened, wrong: list[str]) -> Manifest | None:
    files = container.files
    raw = files.get("manifest.json", b"")
    try:
        manifest = Manifest.model_validate_json(raw)
        signature = bytes.fromhex(files.get("manifest.sig", b"").decode())
        key = bytes.fromhex(files.get("key.pub", b"").decode())
    except ValueError:
        wrong.append("manifest.json, manifest.sig or key.pub is missing or unreadable")
        return None
    if key != container.public or not signed_by(key, signature, raw):
        wrong.append("manifest.json is not signed by the key that sealed the package")
    if manifest.format != FORMAT:
        wrong.append(f"format {manifest.format} is not known to this version")
    listed = {name: content for name, content in files.items() if name not in LOOSE}
    wrong += differences(manifest.files, listed)
    return manifest


def _content(
    container: Opened, manifest: Manifest | None, wrong: list[str]
) -> tuple[Finding | None, list[str], int]:
    """Check what the files say; faults go to `wrong`, the rest is returned."""
    try:
        material = of_files(container.files)
        claimed = finding_of(container.files["finding.json"])
        computed = blocks(material)
        verdict = recompute(material, computed)
        wrong += block_differences(material, computed)
        wrong += same(claimed, verdict)
        wrong += _acts(material, manifest)
    except (KeyError, ValueError, TypeError, StopIteration, pl.exceptions.PolarsError) as error:
        wrong.append(f"the content cannot be read: {type(error).__name__}: {error}")
        return None, [], 0
    return verdict, _notes(material, verdict), material.readings["register_words"].count()


def _acts(material: Material, manifest: Manifest | None) -> list[str]:
    """Return how the acts contradict themselves, the alert or the manifest."""
    alert, links = material.alert, material.links
    told = [
        f"act {link.seq} was changed after it was recorded"
        for link in links
        if link.digest() != link.hash
    ]
    fired = next((link for link in links if link.act is Act.FIRED), None)
    if fired is None:
        return [*told, "no act says that the alert fired"]
    rule = material.rule
    identity = id_of(rule.id, str(alert["subject_id"]), material.instant("fired_at"))
    if not (identity == alert["alert_id"] == fired.alert_id):
        told.append("the alert's id does not follow from its rule, subject and time")
    if rule.digest() != alert["rule_digest"] or fired.facts()["rule"] != rule.written():
        told.append("the rule is not the one that fired the alert")
    if material.site.id != alert["site_id"]:
        told.append("the site is not the alert's")
    if _folded(links) != dict(alert):
        told.append("the alert is not what its acts say")
    if manifest is not None:
        told += _position(links, manifest, str(alert["alert_id"]))
    return told


def _folded(links: Iterable[Link]) -> dict[str, object] | None:
    """Return the alert that the acts add up to."""
    alert: dict[str, object] | None = None
    for link in links:
        alert = fold(alert, link)
    return alert


def _position(links: tuple[Link, ...], manifest: Manifest, alert_id: str) -> list[str]:
    last = max(links, key=lambda link: link.seq)
    told = []
    if manifest.alert_id != alert_id:
        told.append("the manifest is another alert's")
    if last.seq > manifest.ledger_seq:
        told.append("an act lies beyond the ledger position of the export")
    if last.seq == manifest.ledger_seq and last.hash != manifest.ledger_hash:
        told.append("the ledger position does not match the alert's last act")
    return told


def _notes(material: Material, verdict: Finding) -> list[str]:
    """Return what register words say otherwise, and which figures were corrected since."""
    fired = material.row()
    notes = word_differences(material)
    for name in ("demand_kw", "energy_kwh", "contract_demand_kw", "quota_kwh", "actual"):
        before, now = fired.get(name), verdict.row.get(name)
        known = isinstance(before, float) and isinstance(now, float)
        if known and before != now and abs(float(str(before)) - float(str(now))) > 1e-6:
            notes.append(f"{name} was {before} when the alert fired, and is {now} by the readings")
    return notes
