"""ANOMALY: one row an episode in which a meter looks wrong; how episodes are cut; pure.

A kind is judged by *signals*: a condition that begins an episode and one that ends it, over the
rows that hold every column it needs. Rows further apart than the meter's allowed gap belong to
different episodes: what was in between nobody saw. So an episode is a function of the rows in and
beside it, whatever order they came in.
"""

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
`observed` and `reference`, in `measure` (V, A, kW, kWh). `basis` what the reference current or
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


def episodes(
    rows: pl.DataFrame, signal: Signal, before: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the episodes of a signal, and what was judged.

    Args:
        rows: sorted by `meter_id` and `at`, with `end` (of a block or day; of a reading `at`), with
            `gap_s`, the longest pause (s) an episode may bridge, and the signal's columns.
        signal: the condition.
        before: ANOMALY rows that were open when the rows were last looked at: such an episode is in
            force at the meter's first row, if it began before it.

    Returns:
        Columns of ANOMALY but those of the meter's site and the bound's, and `goes_on`: it was in
        force before the first row; and `meter_id, judged, since, until`.
    """
    judged = _judged(rows, signal).join(
        _begun(before, signal), on="meter_id", how="left", maintain_order="left"
    )
    seen = judged.group_by("meter_id").agg(
        pl.len().cast(pl.Int64).alias("judged"),
        pl.col("at").min().alias("since"),
        pl.col("end").max().alias("until"),
    )
    return _cut(judged, signal), seen


def _begun(before: pl.DataFrame | None, signal: Signal) -> pl.DataFrame:
    """Return since when each meter's episode of this signal was open."""
    if before is None:
        return pl.DataFrame(schema={"meter_id": pl.String(), "begun": UTC_US})
    mine = before.filter(pl.col("until").is_null(), kind=signal.kind.value, phase=signal.phase)
    return mine.group_by("meter_id").agg(pl.col("since").min().alias("begun"))


def _judged(rows: pl.DataFrame, signal: Signal) -> pl.DataFrame:
    whole = [pl.col(name).is_not_null() for name in signal.needs]
    keep = pl.all_horizontal(*whole, *([] if signal.applies is None else [signal.applies]))
    basis = pl.lit("") if signal.basis is None else pl.col(signal.basis)
    return rows.filter(keep.fill_null(value=False)).select(
        *("meter_id", "at", "end", "gap_s"),
        signal.on.fill_null(value=False).alias("on"),
        (~signal.on if signal.off is None else signal.off).fill_null(value=False).alias("off"),
        signal.value.alias("value"),
        signal.observed.alias("observed"),
        signal.reference.alias("reference"),
        basis.alias("basis"),
        signal.threshold.cast(pl.Float64).alias("threshold"),
        (pl.lit(0.0) if signal.delay_s is None else signal.delay_s).alias("delay_s"),
    )


def _cut(judged: pl.DataFrame, signal: Signal) -> pl.DataFrame:
    """Cut the judged rows into episodes."""
    meter = pl.col("meter_id")
    pause = (pl.col("at") - pl.col("end").shift()).dt.total_microseconds() / 1e6
    other = (meter != meter.shift()).fill_null(value=True)
    was = pl.col("other") & (pl.col("begun") <= pl.col("at")).fill_null(value=False)
    in_force = pl.col("on") | (pl.col("was") & ~pl.col("off"))
    state = pl.when(in_force).then(1).when(pl.col("off") | pl.col("begins")).then(0)
    marked = (
        judged.with_columns(other.alias("other"))
        .with_columns((pl.col("other") | (pause > pl.col("gap_s"))).alias("begins"), was=was)
        .with_columns(state.cast(pl.Int8).forward_fill().alias("state"))
    )
    changes = pl.col("begins") | (pl.col("state") != pl.col("state").shift()).fill_null(value=True)
    ahead = {name: pl.col(name).shift(-1) for name in ("at", "other", "begins")}
    until = (
        pl.when(~ahead["begins"])
        .then(ahead["at"])
        .when(~ahead["other"])
        .then(pl.col("end"))
        .otherwise(None)
    )
    shown = marked.with_columns(changes.cum_sum().alias("run"), until.alias("until")).filter(
        pl.col("state") == 1
    )
    return _summed(shown, signal)


def _summed(shown: pl.DataFrame, signal: Signal) -> pl.DataFrame:
    value = pl.col("value")
    worst = value.arg_max() if signal.greatest else value.arg_min()
    observed = pl.col("observed")
    held = (pl.col("end").last() - pl.col("at").first()).dt.total_microseconds() / 1e6
    found = shown.group_by("run", maintain_order=True).agg(
        pl.col("meter_id").first(),
        pl.col("at").first().alias("since"),
        pl.col("until").last(),
        (pl.col("begins").first() & (not signal.steps)).alias("since_is_bound"),
        value.get(worst),
        observed.sum() if signal.total else observed.get(worst),
        pl.col("reference").get(worst),
        pl.col("threshold").get(worst),
        *(pl.col(name).first() for name in ("basis", "delay_s")),
        pl.col("was").first().alias("goes_on"),
        pl.len().cast(pl.Int64).alias("samples"),
        held.alias("held_s"),
    )
    lasted = pl.col("goes_on") | (pl.col("held_s") >= pl.col("delay_s"))
    return found.filter(lasted).select(
        "meter_id",
        pl.lit(signal.kind.value).alias("kind"),
        pl.lit(signal.phase).alias("phase"),
        *("since", "until", "since_is_bound", "value", "threshold"),
        pl.lit(signal.unit).alias("unit"),
        *("observed", "reference"),
        pl.lit(signal.measure).alias("measure"),
        *("basis", "samples", "held_s", "goes_on"),
    )
