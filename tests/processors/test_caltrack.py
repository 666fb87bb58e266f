"""CalTRACK by opendsm on a site whose law is known, beside a plain change-point fit of ours."""

import importlib.util
import math
import random
from datetime import timedelta
from statistics import fmean

import polars as pl
import pytest
from baseline_rows import instant
from services import skip

from processors.caltrack import fit
from processors.normalised import HOUR, Method, Span, days, savings

ZONE = "Europe/Berlin"
BEGIN, TURN, END = (instant(day, ZONE) for day in ("2024-03-02", "2025-03-02", "2026-03-02"))
SPAN = Span(ZONE, BEGIN, TURN, TURN, END)
SAVED = 0.12


@pytest.fixture(scope="module", autouse=True)
def _installed():
    if importlib.util.find_spec("opendsm") is None:
        skip("opendsm is not installed (make setup EXTRAS=dev,savings)")


@pytest.fixture(scope="module")
def world():
    """Two years of hours: a base load, cooling above 18 °C, 12 % less of all in the second year."""
    chance, rows = random.Random(4), []
    for n in range(int((END - BEGIN) / timedelta(hours=1))):
        at = BEGIN + timedelta(hours=n)
        season = math.sin(2 * math.pi * (at.timetuple().tm_yday - 110) / 365.25)
        warm = 12 + 11 * season + 5 * math.sin(2 * math.pi * (at.hour - 9) / 24)
        warm += chance.gauss(0, 1.5)
        kwh = 20 + 1.5 * max(0.0, warm - 18) + chance.gauss(0, 0.5)
        rows.append((at, kwh * (1 - SAVED if at >= TURN else 1), warm))
    return pl.DataFrame(rows, schema=HOUR, orient="row")


@pytest.fixture(scope="module")
def daily(world):
    return fit(world, SPAN, Method.DAILY)


@pytest.fixture(scope="module")
def hourly(world):
    return fit(world, SPAN, Method.HOURLY)


def change_point(known, asked):
    """Least squares of kWh on max(0, t - point), the point by trial: energy of the days asked."""
    best = (math.inf, 0.0, 0.0, 0.0)
    for tenth in range(100, 220, 5):
        point = tenth / 10
        xs = [max(0.0, t - point) for t, _ in known]
        ys = [kwh for _, kwh in known]
        mx, my = fmean(xs), fmean(ys)
        spread = sum((x - mx) ** 2 for x in xs)
        slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / spread
        base = my - slope * mx
        error = sum((y - base - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
        best = min(best, (error, point, base, slope))
    _, point, base, slope = best
    return sum(base + slope * max(0.0, t - point) for t in asked)


def test_daily_agrees_with_a_plain_change_point_fit(world, daily):
    told = days(world, ZONE)
    before = told.filter(pl.col("start") < TURN)
    after = told.filter(pl.col("start") >= TURN)
    known = before.select("temperature_c", "energy_kwh").rows()
    expected = change_point(known, after["temperature_c"].to_list())
    row = savings("s", Method.DAILY, "w", SPAN, daily).row(0, named=True)
    assert row["verdict"] == "sufficient", daily.findings
    assert row["baseline_kwh"] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("method", list(Method))
def test_a_known_saving_is_found_within_its_own_uncertainty(method, request, world):
    told = request.getfixturevalue(method.value)
    row = savings("s", method, "w", SPAN, told).row(0, named=True)
    assert row["verdict"] == "sufficient", told.findings
    assert row["savings_ratio"] == pytest.approx(SAVED, abs=0.01)
    assert row["coverage"] == 1.0
    expected = world.filter(pl.col("start") >= TURN)["energy_kwh"].sum()
    assert row["actual_kwh"] == pytest.approx(expected, abs=1e-6)
    assert 0 < row["uncertainty_kwh"] < 0.02 * row["baseline_kwh"]
    assert row["model"].startswith("opendsm 1.2.7, CalTRACK 2")


def test_days_of_23_and_25_hours_have_their_baseline(daily, hourly):
    at = [instant("2025-03-30", ZONE), instant("2025-10-26", ZONE)]
    assert daily.rows.filter(pl.col("start").is_in(at))["baseline_kwh"].null_count() == 0
    assert daily.rows.height == 365
    assert hourly.rows.height == 365 * 24
    assert hourly.rows["baseline_kwh"].null_count() == 0


@pytest.mark.parametrize("method", list(Method))
def test_a_year_with_holes_does_not_suffice_and_says_so(world, method):
    hole = pl.col("start").is_between(BEGIN + timedelta(30), BEGIN + timedelta(80))
    told = fit(world.with_columns(pl.when(~hole).then(pl.col("energy_kwh"))), SPAN, method)
    row = savings("s", method, "w", SPAN, told).row(0, named=True)
    assert row["verdict"] == "insufficient"
    assert "too_many_days_with_missing" in row["reason"]
    assert row["savings_kwh"] is None


@pytest.mark.parametrize("method", list(Method))
def test_half_a_year_does_not_suffice(world, method):
    late = pl.col("start") >= BEGIN + timedelta(200)
    told = fit(world.filter(late), SPAN, method)
    row = savings("s", method, "w", SPAN, told).row(0, named=True)
    assert row["verdict"] == "insufficient"
    assert "incorrect_number_of_total_days" in row["reason"]


def test_no_temperature_at_all_is_a_finding_and_no_error(world):
    blind = world.with_columns(temperature_c=pl.lit(None, pl.Float64))
    told = fit(blind, SPAN, Method.DAILY)
    assert told.findings["finding"].to_list() == ["no_data"]
    assert told.rows.is_empty()
