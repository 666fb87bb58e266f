"""What the examples of docs/arithmetic-indices.md call; not a test itself."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from history_rows import DAY0, T0, book, intervals

from collector.reading import READING, conform
from processors.history.days import day_rows
from processors.indices import Length, indices
from processors.interval import BLOCK, INTERVAL
from processors.power_quality import SUPPLY, power_quality
from processors.shapes import Span, duration, period_shares, slots
from processors.yearly import year_on_year

LATER = datetime(2027, 1, 1, tzinfo=UTC)
ZONES = book("m").meters
SPAN = Span(DAY0, DAY0 + timedelta(days=1), Length.DAY, LATER, 0.95)


def _blocks(demands_kw, first=T0):
    rows = intervals(["m"], first, len(demands_kw), LATER)
    kw = pl.Series(demands_kw, dtype=pl.Float64)
    return rows.with_columns(demand_kw=kw, energy_kwh=kw / 4, max_demand_kw=kw).cast(INTERVAL)


def _index(rows, length):
    return indices(day_rows(rows, ZONES, LATER), ZONES, length, LATER, 0.95)


def index_of(demands_kw):
    """INDICES row of a day of blocks."""
    return _index(_blocks(demands_kw), Length.DAY).row(0, named=True)


def duration_of(demands_kw):
    """Demands of the duration curve at 0, 1, .. 100 %."""
    return duration(_blocks(demands_kw), ZONES, SPAN)["demand_kw"].to_list()


def compared(before_kw, after_kw):
    """YEAR_ON_YEAR row of February 2024 beside February 2023."""
    local = timedelta(hours=8)
    parts = [
        _blocks([kw] * 96 * days, datetime(year, 2, 1, tzinfo=UTC) - local)
        for kw, days, year in ((before_kw, 28, 2023), (after_kw, 29, 2024))
    ]
    rows = year_on_year(_index(pl.concat(parts), Length.MONTH))
    return rows.filter(day=date(2024, 2, 1)).row(0, named=True)


def shares_of(demands_kw):
    """Share by tariff period, valley 0-8 and the rest flat."""
    valley = pl.col("clock").dt.hour() < 8
    labels = slots(ZONES, SPAN).select(
        "start",
        meter_id=pl.lit("m"),
        tariff_period=pl.when(valley).then(pl.lit("valley")).otherwise(pl.lit("flat")),
    )
    rows = period_shares(_blocks(demands_kw), ZONES, labels, SPAN)
    return {period: round(share, 3) for period, share in rows[["tariff_period", "share"]].rows()}


def quality_of(quantity, **columns):
    """POWER_QUALITY row of a day of readings at 220 V, three phases; values repeat."""
    at = [T0 + BLOCK * n for n in range(96)]
    told = {
        name: (values * 96)[:96] if isinstance(values, list) else [values] * 96
        for name, values in columns.items()
    }
    frame = pl.DataFrame({"meter_id": "m", "measured_at": at, "source": "example", **told})
    readings = conform(frame.with_columns(received_at="measured_at"))
    supply = pl.DataFrame([("m", 220.0, 3)], schema=SUPPLY, orient="row")
    rows = power_quality(readings, intervals([], T0, 0, T0), ZONES, supply, SPAN)
    return rows.filter(quantity=quantity).row(0, named=True)


def quality_of_factor(active, drawn, fed_back=None):
    """Power factor, basis and provenance of a day whose blocks have these energies."""
    each = {"energy_kwh": active, "reactive_kvarh": drawn, "fed_back_kvarh": fed_back}
    told = {name: pl.lit(value, pl.Float64) for name, value in each.items()}
    blocks = intervals(["m"], T0, 96, T0).with_columns(**told)
    readings = pl.DataFrame(schema=READING)
    supply = pl.DataFrame([("m", 220.0, 3)], schema=SUPPLY, orient="row")
    row = power_quality(readings, blocks, ZONES, supply, SPAN).row(0, named=True)
    return round(row["mean"], 3), row["basis"], row["provenance"]


HELPERS = {
    "quality_of_factor": quality_of_factor,
    "index_of": index_of,
    "duration_of": duration_of,
    "compared": compared,
    "shares_of": shares_of,
    "quality_of": quality_of,
}
