"""What goes into a weather-normalised baseline and what is summed: without the models."""

from datetime import timedelta

import polars as pl
import pytest
from baseline_rows import instant
from baseline_rows import rows as blocks_of
from history_rows import readings

from processors.normalised import FINDING, NORMALISED, Fitted, Method, Span, days, hours, savings

ZONE = "Europe/Berlin"
SHORT = instant("2026-03-29 00:00", ZONE), instant("2026-03-30 00:00", ZONE)
LONG = instant("2026-10-25 00:00", ZONE), instant("2026-10-26 00:00", ZONE)


def day_of(part, kwh=lambda n: 1.0):
    """Blocks of a local day, and a reading of 10 °C at each quarter."""
    count = int((part[1] - part[0]) / timedelta(minutes=15))
    told = {part[0] + timedelta(minutes=15 * n): (kwh(n), 1.0, False) for n in range(count)}
    read = readings(["w"], part[0], count, 900).with_columns(temperature_c=pl.lit(10.0))
    return blocks_of(told), read


@pytest.mark.parametrize(("part", "expected"), [(SHORT, 23), (LONG, 25)])
def test_days_of_23_and_25_hours_are_whole(part, expected):
    hourly = hours(*day_of(part), *part)
    assert hourly.height == expected
    assert hourly["energy_kwh"].to_list() == [4.0] * expected
    assert days(hourly, ZONE).select("start", "energy_kwh", "temperature_c").rows() == [
        (part[0], 4.0 * expected, 10.0)
    ]


def test_a_block_that_is_missing_or_estimated_makes_its_hour_and_day_unknown():
    blocks, read = day_of(SHORT)
    estimated = pl.when(pl.col("start") == SHORT[0] + timedelta(hours=2)).then(
        pl.lit("estimated", blocks.schema["quality"])
    )
    blocks = blocks.with_columns(quality=estimated.otherwise("quality"))
    blocks = blocks.filter(pl.col("start") != SHORT[0] + timedelta(hours=5, minutes=15))
    hourly = hours(blocks, read, *SHORT)
    unknown = hourly.with_row_index().filter(pl.col("energy_kwh").is_null())["index"].to_list()
    assert unknown == [2, 5]
    assert days(hourly, ZONE)["energy_kwh"].to_list() == [None]


def test_hours_begin_where_the_zone_begins_them():
    begin, end = instant("2026-06-01 00:00", "Asia/Kolkata"), instant("2026-06-02", "Asia/Kolkata")
    assert begin.minute == 30
    hourly = hours(*day_of((begin, end)), begin, end)
    assert hourly["start"][0] == begin
    assert hourly["energy_kwh"].null_count() == 0


def test_of_two_temperatures_of_one_instant_the_later_received_counts_and_nan_never():
    blocks, read = day_of(SHORT)
    again = read.head(1).with_columns(
        temperature_c=pl.lit(30.0), received_at=pl.col("received_at") + timedelta(minutes=1)
    )
    broken = read.slice(4, 4).with_columns(
        temperature_c=pl.lit(float("nan")), received_at=pl.col("received_at") + timedelta(1)
    )
    hourly = hours(blocks, pl.concat([again, read, broken]), *SHORT)
    assert hourly["temperature_c"].to_list()[:3] == [15.0, None, 10.0]


def _fitted(rows, findings=()):
    schema = {n: t for n, t in NORMALISED.items() if n != "site_id"}
    said = {n: t for n, t in FINDING.items() if n != "site_id"}
    return Fitted(
        pl.DataFrame(rows, schema=schema, orient="row"),
        pl.DataFrame(list(findings), schema=said, orient="row"),
        0.1,
        "m",
    )


SPAN = Span(ZONE, SHORT[0] - timedelta(365), SHORT[0], SHORT[0], SHORT[0] + timedelta(hours=4))
HOUR = timedelta(hours=1)
ROWS = [
    (SHORT[0], 10.0, 80.0, 100.0, 3.0),
    (SHORT[0] + HOUR, 10.0, 90.0, 100.0, 4.0),
    (SHORT[0] + 2 * HOUR, 10.0, None, 100.0, 4.0),
    (SHORT[0] + 3 * HOUR, None, 70.0, None, None),
]


def test_only_what_is_known_on_both_sides_is_compared():
    row = savings("s", Method.HOURLY, "w", SPAN, _fitted(ROWS)).row(0, named=True)
    assert (row["baseline_kwh"], row["actual_kwh"], row["savings_kwh"]) == (200.0, 170.0, 30.0)
    assert (row["savings_ratio"], row["uncertainty_kwh"], row["coverage"]) == (0.15, 5.0, 0.5)
    assert (row["verdict"], row["reason"]) == ("sufficient", None)


def test_without_sufficient_data_no_figure_is_stated():
    wrong = [("baseline", "too_short", True, "", "{}"), ("baseline", "extreme", False, "", "{}")]
    row = savings("s", Method.DAILY, "w", SPAN, _fitted(ROWS, wrong)).row(0, named=True)
    assert (row["verdict"], row["reason"]) == ("insufficient", "too_short")
    assert row["baseline_kwh"] is row["actual_kwh"] is row["savings_kwh"] is None


def test_nothing_to_compare_is_said():
    row = savings("s", Method.DAILY, "w", SPAN, _fitted(ROWS[2:])).row(0, named=True)
    assert (row["verdict"], row["reason"]) == ("insufficient", "nothing_to_compare")
    assert row["savings_kwh"] is None
