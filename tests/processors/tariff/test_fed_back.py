"""Reactive energy fed back counts in the power factor, and the line says where it is not told."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from bill_world import LATER, PACKS, PRICE, billed, midnight
from policy_rows import meter
from tariff_rows import blocks

from collector.reading import conform
from processors.book import Book
from processors.indices import Length
from processors.load_report import Wanted
from processors.quality_report import quality_of
from processors.settings import Prices, TariffSettings
from processors.tariff.desk import Tariffs
from processors.tariff.fedback import FED_BACK, fed_back

JUNE, HOURS = date(2026, 6, 1), 24 * 30
TARIFFS = Tariffs(
    PACKS, TariffSettings(prices={"p": (Prices(**PRICE),)}, power_factor="power-factor-1983")
)


def registers(gains, name="m", column="reactive_export_kvarh", first=None, step=timedelta(hours=1)):
    """Readings of a meter that gains 40 kWh an hour and `gains` of another register a step."""
    at = [(first or midnight(JUNE).astimezone(UTC)) + n * step for n in range(len(gains) + 1)]
    per = step / timedelta(hours=1)
    told = {
        "meter_id": [name] * len(at),
        "measured_at": at,
        "received_at": at,
        "source": ["test"] * len(at),
        "energy_import_kwh": [40.0 * per * n for n in range(len(at))],
        "reactive_import_kvarh": [20.0 * per * n for n in range(len(at))],
        column: np.concatenate([[0.0], np.cumsum(gains)]).tolist(),
    }
    times = {n: pl.Datetime("us", "UTC") for n in ("measured_at", "received_at")}
    return conform(pl.DataFrame(told, schema_overrides=times))


class History:
    """A month of 10 kWh and 5 kvarh a block, and these readings."""

    def __init__(self, readings, names=("m",)):
        self.told = readings
        self.rows = pl.concat(blocks(midnight(JUNE), [10.0] * HOURS * 4, one) for one in names)

    def intervals(self, start, end, meters=None, as_of=None):
        return self.rows

    def days(self, start, end, meters=None, as_of=None):
        raise NotImplementedError

    def readings(self, start, end, meters=None):
        return self.told.filter(pl.col("meter_id").is_in(meters))


def factor_line(readings, names=("m",), as_of=None):
    site = billed(meters=[meter(one) for one in names])
    frame = TARIFFS.bill(site, JUNE, History(readings, names), LATER, as_of)
    return frame.filter(item="power_factor").row(0, named=True)


def test_what_is_fed_back_adds_to_what_is_drawn():
    row = factor_line(registers([12.0] * HOURS))
    assert row["price_yuan"] == pytest.approx(0.06)  # 10 / hypot(10, 5 + 3) = 0.78: +6 %
    assert not {"reactive_drawn_only", "fed_back_incomplete"} & set(row["notes"])
    text = "power factor 0.78 of 28,800.00 kWh, 14,400.00 kvarh drawn, 8,640.00 kvarh fed back"
    assert text in row["factors"]
    assert any("recalled: unverified" in one for one in row["factors"])
    chinese = "力率 0.78：有功 28,800.00 kWh，正向无功 14,400.00 kvarh，反向无功 8,640.00 kvarh"
    assert chinese in row["factors_zh"]
    assert "正向与反向无功绝对值相加（凭记忆，未核实）" in row["factors_zh"]


@pytest.mark.parametrize("column", ["reactive_export_kvarh", "reactive_power_kvar"])
def test_query_quality_states_the_power_factor_of_the_bill(column):
    class Known(History):
        def days(self, start, end, meters=None, as_of=None):
            return pl.DataFrame({"day": [JUNE, date(2026, 6, 30)]})

    readings, site = registers([12.0] * HOURS, column=column), billed(meters=[meter("m")])
    asked = Wanted(JUNE, date(2026, 7, 1), Length.MONTH, LATER, 0.9)
    rows = quality_of(asked, ["m"], [site], Known(readings))
    found = rows.filter(quantity="power_factor").row(0, named=True)
    billed_factor = factor_line(readings)["factors"]
    assert any(f"power factor {found['mean']:.2f} of" in one for one in billed_factor)
    assert found["coverage"] == 1.0
    assert found["basis"] == ("drawn" if "power" in column else "drawn_and_fed_back")


def test_a_meter_without_the_register_is_named_as_such():
    row = factor_line(registers([12.0] * HOURS, column="reactive_power_kvar"))
    assert row["price_yuan"] == pytest.approx(0.005)  # 0.89
    assert "reactive_drawn_only" in row["notes"]


def test_a_register_at_rest_changes_nothing_and_leaves_no_doubt():
    row = factor_line(registers([0.0] * HOURS))
    assert row["price_yuan"] == pytest.approx(0.005)
    assert "0.00 kvarh fed back" in " ".join(row["factors"])
    assert "reactive_drawn_only" not in row["notes"]


@pytest.mark.parametrize(
    ("readings", "names"),
    [
        (registers([12.0] * (HOURS // 2)), ("m",)),
        (registers([12.0] * HOURS), ("m", "n")),
    ],
)
def test_half_a_register_is_a_lower_bound_and_says_so(readings, names):
    row = factor_line(readings, names)
    assert "fed_back_incomplete" in row["notes"]
    # half of the month, or one of two meters: 1.5 of each 10 kWh
    assert row["price_yuan"] == pytest.approx(0.03)  # 10 / hypot(10, 6.5) = 0.84


def test_what_was_not_yet_received_does_not_count_as_of_then():
    row = factor_line(registers([12.0] * HOURS), as_of=datetime(2026, 1, 1, tzinfo=UTC))
    assert "reactive_drawn_only" in row["notes"]


@pytest.mark.parametrize("seed", range(3))
def test_blocks_add_up_to_the_registers_difference(seed):
    """On a grid of minutes, over a change of clocks; one fall of the register loses one block."""
    rng = np.random.default_rng(seed)
    gains = np.round(rng.uniform(0, 0.3, 60 * 48), 3)
    first = datetime(2026, 10, 24, 22, tzinfo=UTC)
    readings = registers(gains, first=first, step=timedelta(minutes=1))
    book = Book.of([billed(timezone="Europe/Berlin", meters=[meter("m")])])
    told = fed_back(readings, book, LATER)
    assert told.schema == pl.Schema(FED_BACK)
    assert told.height == 48 * 4
    assert told["fed_back_kvarh"].sum() == pytest.approx(gains.sum())
    value = pl.col("reactive_export_kvarh")
    reset = pl.when(pl.int_range(pl.len()) > 100).then(value - 1e3).otherwise(value)
    broken = fed_back(readings.with_columns(reset.alias("reactive_export_kvarh")), book, LATER)
    assert broken["start"].to_list() == [
        one for n, one in enumerate(told["start"].to_list()) if n != 6
    ]
    assert broken["fed_back_kvarh"].sum() == pytest.approx(gains.sum() - gains[90:105].sum())


def test_many_meters_are_told_as_each_alone():
    names = [f"m{n:02}" for n in range(12)]
    each = [registers([1.0 + n] * 5, name) for n, name in enumerate(names)]
    book = Book.of([billed(meters=[meter(one) for one in names])])
    told = fed_back(pl.concat(each), book, LATER)
    alone = pl.concat([fed_back(one, book, LATER) for one in each])
    assert told.sort("meter_id", "start").equals(alone.sort("meter_id", "start"))
    assert told["meter_id"].n_unique() == len(names)
