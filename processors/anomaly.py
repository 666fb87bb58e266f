"""ANOMALY: one row an episode in which a meter looks wrong; what each kind is judged by; pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from collector.anomaly_limits import LIMITS, AnomalyLimits, Kind, over
from collector.reading import UTC_US
from processors.anomaly_settings import AnomalySettings
from processors.policy.anomaly_pack import AnomalyPack
from processors.policy.header import Provenance

CLUE = "clue"
"""The standing of every anomaly (线索): a reason to go and look, never evidence."""

ANOMALY: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "kind": pl.String(),
    "phase": pl.String(),
    "since": UTC_US,
    "until": UTC_US,
    "since_is_bound": pl.Boolean(),
    "value": pl.Float64(),
    "threshold": pl.Float64(),
    "unit": pl.String(),
    "observed": pl.Float64(),
    "reference": pl.Float64(),
    "measure": pl.String(),
    "basis": pl.String(),
    "samples": pl.Int64(),
    "held_s": pl.Float64(),
    "document": pl.String(),
    "provenance": pl.String(),
    "standing": pl.String(),
}
"""One row an episode. `phase` a, b, c, or empty where it is the whole meter's. `since` the first
row that shows it, `until` the first one that does not, or the last that did where a gap follows;
null: it was so in the meter's last row. `since_is_bound`: it was so in the first row after nothing,
and may have begun earlier. `value` (in `unit`) at its worst, against `threshold`; made of
`observed` and `reference`, in `measure` (V, A, kW, kWh, h). `basis` what the reference current or
power rests on: basic_current, rated_power, or empty. `samples` rows (readings, blocks or days) that
showed it, over `held_s` seconds. `document` the standard and event number, `provenance` of the
least known limit used (published, unverified, illustrative, settings)."""

SOUGHT: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "kind": pl.String(),
    "judged": pl.Int64(),
    "since": UTC_US,
    "until": UTC_US,
    "reason": pl.String(),
}
"""One row a meter and kind: how many rows were judged, from when to when; null `reason` and none
found means that nothing was wrong in these. `judged` 0: it could not be looked for, and `reason`
says why (`anomalies.Why`)."""

_RANK = [Provenance.PUBLISHED, Provenance.UNVERIFIED, Provenance.ILLUSTRATIVE]
SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Bound:
    """What one kind is judged by."""

    kind: Kind
    limits: Mapping[str, float]
    document: str = ""
    provenance: str = SETTINGS

    def __getitem__(self, name: str) -> pl.Expr:
        return pl.lit(self.limits[name], pl.Float64())


def bounds(
    pack: AnomalyPack | None, settings: AnomalySettings, local: AnomalyLimits | None = None
) -> dict[Kind, Bound | str]:
    """Return what each kind is judged by, or why it is not: `switched_off`, `no_threshold`.

    Args:
        pack: the thresholds; None: there are none.
        settings: what differs for all meters.
        local: what differs for a site or meter.
    """
    here = over(settings, local or AnomalyLimits())
    rules = {one.kind: one for one in pack.rules} if pack else {}
    found: dict[Kind, Bound | str] = {}
    for kind in Kind:
        rule, own = rules.get(kind), here.limits.get(kind, {})
        told = rule.limits if rule else {}
        values = {name: one.value for name, one in told.items()} | dict(own)
        known = {name: one for name, one in values.items() if one is not None}
        if kind in (here.off or ()):
            found[kind] = "switched_off"
        elif set(known) != set(LIMITS[kind]) or (rule is None and not own):
            found[kind] = "no_threshold"
        else:
            used = [one.provenance for name, one in told.items() if name not in own]
            least = max(used, key=_RANK.index, default=Provenance.UNVERIFIED).value
            document = rule.document if rule else ""
            found[kind] = Bound(kind, known, document, SETTINGS if own else least)
    return found


@dataclass(frozen=True, slots=True)
class Signal:
    """One condition over rows; expressions may name any of their columns."""

    kind: Kind
    phase: str
    needs: tuple[str, ...]
    """Columns without which a row says nothing."""
    on: pl.Expr
    value: pl.Expr
    observed: pl.Expr
    reference: pl.Expr
    threshold: pl.Expr
    unit: str
    measure: str
    off: pl.Expr | None = None
    """None: as soon as `on` is false; else between the two an episode goes on."""
    applies: pl.Expr | None = None
    """Facts of the meter under which the condition means anything."""
    greatest: bool = True
    """The greatest value is the worst; else the least."""
    delay_s: pl.Expr | None = None
    basis: str | None = None
    """Column that names the basis."""
    total: bool = False
    """`observed` is summed over the episode."""
    steps: bool = False
    """A row speaks of the step to it: its episode is dated, however it is preceded."""
