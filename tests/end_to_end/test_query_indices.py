"""`demandwatch query indices|quality` and their kin on readings brought by a file."""

import io
from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest
from program import Program

from demandwatch import query
from demandwatch.query import Question, Table
from demandwatch.settings import load
from processors.indices import Length

START = datetime(2026, 3, 1, 16, tzinfo=UTC)
"""2 March, 00:00 in Shenzhen, a Monday."""
MAPPING = """\
title: {zh: 示值, en: Registers}
layout: meter_a_row
meter_column: meter
time: {column: at, format: "%Y-%m-%d %H:%M", zone: UTC}
values:
  - {column: kwh, quantity: energy_import_kwh}
  - {column: kvarh, quantity: reactive_import_kvarh}
  - {column: volts, quantity: voltage_a_v, gives: momentary}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A shop of two main meters, and two days: 40 kW by day and 10 by night beside 20 kW flat."""
    meters = [
        {"id": one, "source": {"via": "file"}, "nominal_voltage_v": 220} for one in ("a", "b")
    ]
    site = {
        "id": "shop",
        "name": {"zh": "店", "en": "Shop"},
        "kind": "retail",
        "district": "d",
        "meters": meters,
    }
    made = Program.make(tmp_path_factory.mktemp("indices") / "bureau", [site])
    lines, kwh = ["at,meter,kwh,kvarh,volts"], {"a": 0.0, "b": 0.0}
    for n in range(2 * 96 + 1):
        at = START + timedelta(minutes=15 * n)
        for meter, value in kwh.items():
            told = f"{value:.3f},{value * 0.75:.3f}"
            lines.append(f"{at:%Y-%m-%d %H:%M},{meter},{told},{238 if n % 4 == 0 else 225}")
        kwh["a"] += 10.0 if 32 <= n % 96 < 80 else 2.5
        kwh["b"] += 5.0
    file, mapping = made.folder / "readings.csv", made.folder / "mapping.yaml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    made.call("import", file, "-c", made.config, "--mapping", mapping)
    return made


@pytest.fixture(scope="module")
def ask(program):
    """Ask in this process: another one takes a second to begin."""
    config = load(program.config)

    def answer(table, period="day", meters=(), sites=(), end=None):
        asked = Question(meters, sites, end=end, period=Length(period))
        return query.ask(Table(table), asked, config)

    return answer


def test_indices_of_a_meter_and_of_the_site_as_a_sum(ask):
    rows = ask("indices", meters=("a",), sites=("shop",))
    assert rows.select("subject", "subject_id", "day").rows() == [
        (kind, name, date(2026, 3, n)) for kind, name in (("meter", "a"), ("site", "shop"))
        for n in (2, 3)
    ]  # fmt: skip
    meter, shop = (rows.filter(subject=kind).row(0, named=True) for kind in ("meter", "site"))
    assert (meter["energy_kwh"], shop["energy_kwh"]) == (600.0, 1080.0)
    assert meter["load_factor"] == pytest.approx(25 / 40)
    assert shop["load_factor"] == pytest.approx(45 / 60)
    assert shop["peak_valley_ratio"] == pytest.approx(30 / 60)
    assert meter["utilisation_h"] == pytest.approx(600 / 40)
    assert (shop["blocks"], shop["coverage"], shop["reason"]) == (96, 1.0, None)


def test_a_month_of_two_days_is_too_little_and_says_so(program):
    span = ["--from", "2026-03-02", "--to", "2026-03-03", "--format", "parquet"]
    words = ["query", "indices", "-c", program.config, "--period", "month", *span]
    (row,) = pl.read_parquet(io.BytesIO(program.call(*words))).to_dicts()
    assert (row["subject_id"], row["period"], row["day"]) == ("shop", "month", date(2026, 3, 1))
    assert (row["load_factor"], row["reason"]) == (None, "low_coverage")
    assert row["max_block_demand_kw"] == pytest.approx(60.0)
    assert row["coverage"] == pytest.approx(2 / 31)


def test_typical_days_follow_the_calendar_and_the_curve_is_a_duration(ask):
    rows = ask("typical-days", sites=("shop",))
    assert set(rows["day_type"]) == {"working"}
    noon = rows.filter(clock=time(12), day=date(2026, 3, 2)).row(0, named=True)
    assert (noon["mean_kw"], noon["blocks"]) == (pytest.approx(60.0), 1)
    curve = ask("duration").filter(day=date(2026, 3, 2))
    assert curve.filter(share=0.5)["demand_kw"].to_list() == [pytest.approx(60.0)]
    assert curve.filter(share=0.51)["demand_kw"].to_list() == [pytest.approx(30.0)]


def test_quality_counts_readings_and_names_the_standard(ask):
    rows = ask("quality", meters=("a",), end="2026-03-03")
    got = {row["quantity"]: row for row in rows.iter_rows(named=True)}
    volts = got["voltage_deviation_a"]
    assert (volts["readings"], volts["qualified_share"]) == (96, 0.75)
    assert (volts["standard"], volts["provenance"]) == ("GB/T 12325", "published")
    assert got["power_factor"]["mean"] == pytest.approx(0.8)


def test_energy_of_a_site_without_a_contract_belongs_to_no_tariff_period(ask):
    rows = ask("tariff-shares", end="2026-03-03")
    assert rows.select("subject", "subject_id", "period", "tariff_period").rows() == [
        ("site", "shop", "day", None)
    ]
    row = rows.row(0, named=True)
    assert (row["energy_kwh"], row["share"], row["reason"]) == (1080.0, None, "no_supply")
    assert ask("tariff-shares", end="2020-01-01").is_empty()


def test_weeks_and_years_are_told_and_an_empty_month_is_no_fault(ask):
    profile = ask("weekdays", "month")
    monday = profile.filter(weekday=1).row(0, named=True)
    assert (monday["days"], monday["days_expected"], monday["reason"]) == (1, 5, "low_coverage")
    assert set(ask("year-on-year")["reason"]) == {"no_last_year"}
    assert ask("quality", end="2020-01-01").is_empty()
    assert ask("typical-days", end="2020-01-01").is_empty()


def test_a_span_that_ends_before_it_begins_is_refused(ask):
    with pytest.raises(ValueError, match="--to must be later than --from"):
        ask("indices", end="1999-03-02")
