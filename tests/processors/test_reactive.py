"""Reactive energy of a block whose register jumps."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import book_of

from collector.reading import conform
from processors.blocks import intervals_of

START = datetime(2026, 3, 2, tzinfo=UTC)


def blocks(reactive):
    """Blocks of a meter at 60 kW whose reactive register each minute is `reactive(minute)`."""
    rows = [
        {
            "meter_id": "m",
            "measured_at": START + timedelta(minutes=minute),
            "energy_import_kwh": 1000.0 + minute,
            "reactive_import_kvarh": reactive(minute),
        }
        for minute in range(46)
    ]
    kinds = {"measured_at": pl.Datetime("us", "UTC")}
    frame = pl.DataFrame(rows, schema_overrides=kinds)
    frame = frame.with_columns(received_at=pl.col("measured_at"), source=pl.lit("mqtt"))
    found = intervals_of(conform(frame), book_of(["m"])).sort("start")
    return found["reactive_kvarh"].to_list(), found["power_factor"].to_list()


@pytest.mark.parametrize("step", [1e6, -400.0])
def test_a_register_that_jumps_gives_no_reactive_energy_for_that_block(step):
    energy, factor = blocks(lambda minute: 500 + 0.5 * minute + (step if minute > 20 else 0))
    assert energy == [pytest.approx(7.5), None, pytest.approx(7.5)]
    assert factor == [pytest.approx(0.8944, abs=1e-4), None, pytest.approx(0.8944, abs=1e-4)]
