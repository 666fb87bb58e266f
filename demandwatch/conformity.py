"""The signed conformity report: JSON and text, each verifiable offline.

Signed with the Ed25519 key that seals evidence. The JSON holds the map and every word that was
read: a verifier decodes them and judges anew, and nothing has to be believed but the measurement.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from pydantic import ValidationError

from alerting.evidence.seal import Sealer, fingerprint, signed_by
from collector.bench.checks import Check, Outcome
from collector.bench.conform import judge, outcome_of
from collector.bench.record import Record
from demandwatch import __version__

FORMAT = "demandwatch-conformity/1"
SIGN = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.UNKNOWN: "not proven"}
_SEAL = "\n---- seal ----\n"


def documents(record: Record, made_at: datetime, sealer: Sealer) -> tuple[str, str]:
    """Return the signed report as JSON and as text."""
    lines = judge(record)
    report = {
        "format": FORMAT,
        "program": __version__,
        "made_at": made_at.isoformat(),
        "outcome": outcome_of(lines),
        "lines": [asdict(one) for one in lines],
        "record": record.model_dump(mode="json", exclude_defaults=True),
    }
    content = canonical(report)
    seal = {
        "algorithm": "Ed25519",
        "public_key": sealer.public.hex(),
        "signature": sealer.sign(content).hex(),
    }
    whole = json.dumps({"report": report, "seal": seal}, ensure_ascii=False, indent=1) + "\n"
    text = text_of(record, lines, made_at) + f"\nsha-256 of the JSON's report: {_digest(content)}\n"
    signature = sealer.sign(text.encode()).hex()
    return whole, f"{text}{_SEAL}Ed25519 {sealer.public.hex()} {signature}\n"


def canonical(report: object) -> bytes:
    """Return the bytes that are signed: sorted keys, no blanks, UTF-8."""
    return json.dumps(
        report, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def text_of(record: Record, lines: Sequence[Check], made_at: datetime) -> str:
    """Return the report for people."""
    first, last = record.readings[0].at, record.readings[-1].at
    who = f"unit {record.unit}" if record.unit is not None else f"address {record.address}"
    by = "DL/T 645-2007"
    if record.profile is not None:
        by = f"{record.profile.id}: {record.profile.title} ({record.profile.reference})"
    head = [
        "Conformity of a meter with its map",
        f"meter    {record.meter}, {who} at {record.where}",
        f"map      {by}",
        f"ratios   CT {record.ct:g}, PT {record.pt:g}",
        f"read     {len(record.readings)} times, {first:%Y-%m-%d %H:%M:%S}Z to {last:%H:%M:%S}Z",
        f"made     {made_at:%Y-%m-%d %H:%M:%S}Z by demandwatch {__version__}",
        "",
    ]
    body = [f"{SIGN[one.outcome]:<11} {one.name:<14} {one.said}" for one in lines]
    return "\n".join([*head, *body, "", f"as a whole: {SIGN[outcome_of(lines)]}"]) + "\n"


class NoReportError(ValueError):
    """The file is no conformity report."""


def verified(text: str, trusted: bytes | None = None) -> tuple[str, list[str]]:
    """Verify a report, JSON or text, without meter or network.

    Args:
        text: the file.
        trusted: public key received by another way; None: whichever signed it.

    Returns:
        Who signed what, for people; and what is wrong, nothing if it is sound.

    Raises:
        NoReportError: it is no report.
    """
    found = _json(text) if text.lstrip().startswith("{") else _text(text)
    public, sound, outcome, wrong = found
    if not sound:
        wrong = ["the signature does not fit: the report was changed, or another key signed it"]
    if trusted is not None and public != trusted:
        wrong.append(f"signed by {fingerprint(public)}, not by the key trusted")
    return f"outcome: {outcome}; signed by {fingerprint(public)}", wrong


def _json(text: str) -> tuple[bytes, bool, str, list[str]]:
    try:
        whole = json.loads(text)
        report, seal = whole["report"], whole["seal"]
        public, signature = bytes.fromhex(seal["public_key"]), bytes.fromhex(seal["signature"])
        record = Record.model_validate(report["record"])
        told, outcome = report["lines"], str(report["outcome"])
        if report["format"] != FORMAT:
            raise NoReportError(f"format {report['format']!r} is not {FORMAT!r}")
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise NoReportError(f"no conformity report: {error}") from error
    lines = judge(record)
    wrong = []
    for name, mine, theirs in _pairs(lines, told):
        if mine != theirs:
            wrong.append(f"{name}: the readings say {mine}, the report {theirs}")
    if outcome != outcome_of(lines):
        wrong.append(f"as a whole: the readings say {outcome_of(lines)}, the report {outcome}")
    return public, signed_by(public, signature, canonical(report)), outcome, wrong


def _pairs(
    lines: Sequence[Check], told: Sequence[dict[str, str]]
) -> list[tuple[str, str, str | None]]:
    """Return each line's name with its outcome now and in the report."""
    theirs = {one["name"]: one["outcome"] for one in told}
    return [(one.name, str(one.outcome), theirs.get(one.name)) for one in lines]


def _text(text: str) -> tuple[bytes, bool, str, list[str]]:
    body, mark, seal = text.rpartition(_SEAL)
    parts = seal.split()
    if not mark or len(parts) != 3 or parts[0] != "Ed25519":
        raise NoReportError("no conformity report: it has no seal")
    try:
        public, signature = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except ValueError as error:
        raise NoReportError(f"no conformity report: {error}") from error
    whole = next((x for x in body.splitlines() if x.startswith("as a whole: ")), "")
    outcome = whole.removeprefix("as a whole: ")
    return public, signed_by(public, signature, body.encode()), outcome, []
