"""A meter with a payload mapping, and what comes out of its messages."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from collector.payloads.foreign import Foreign
from collector.payloads.mapping import PayloadMapping, load_payload_mappings
from collector.payloads.routes import Routes
from collector.quantity import QUANTITIES
from collector.rows import Decoded, Message
from collector.site import Meter, Site

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHIPPED = load_payload_mappings(ROOT / "config" / "payload-mappings").by_id


def site(*meters: dict[str, object]) -> Site:
    """Return a site whose meters are told as in a site file."""
    named = [Meter.model_validate(one) for one in meters]
    return Site(id="s", name={"zh": "厂", "en": "Works"}, kind="factory", district="d",
                meters=named)  # fmt: skip


def foreign(*mappings: PayloadMapping, **source: object) -> Foreign:
    """Return the decoder of one meter `m`; `source` as in a site file."""
    ct = source.pop("ct", None)
    meter: dict[str, object] = {"id": "m", "source": {"via": "mqtt"} | source}
    if ct is not None:
        meter["ct_ratio"] = [{"from": "2020-01-01", "value": ct}]
    known = {one.id: one for one in mappings} or SHIPPED
    return Foreign(Routes([site(meter)], known))


def message(topic: str, payload: str | bytes, stale: object = None) -> Message:
    return Message(topic, payload.encode() if isinstance(payload, str) else payload, stale)


def rows(decoded: Decoded) -> list[dict[str, object]]:
    """Return the readings as dictionaries of what they state, in order of time."""
    frame = decoded.frame.sort("measured_at")
    named = [name for name in frame.columns if name in QUANTITIES]
    told = frame.select("measured_at", pl.col(named).round(9)).to_dicts()
    return [{name: value for name, value in row.items() if value is not None} for row in told]


def reasons(decoded: Decoded) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in decoded.rejected:
        found[str(one.reason)] = found.get(str(one.reason), 0) + one.count
    return found
