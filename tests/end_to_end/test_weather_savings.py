"""`demandwatch savings` on two years of a shop that cools, and what it says of wrong questions."""

import importlib.util
import json
import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from baseline_rows import instant
from history_rows import intervals, readings
from program import Program
from services import skip
from typer.testing import CliRunner

from demandwatch.cli import app
from demandwatch.settings import load
from processors.history.store import History

FIRST, TURN = instant("2024-03-02 00:00"), instant("2025-03-02 00:00")
END = instant("2025-06-01 00:00")
NOW = datetime(2026, 11, 18, tzinfo=UTC)
SITES = [
    {
        "id": "inn",
        "name": {"zh": "店", "en": "Inn"},
        "kind": "lodging",
        "district": "d",
        "timezone": "Asia/Tokyo",
        "meters": [{"id": "m-inn", "source": {"via": "file"}}],
    },
    {
        "id": "shop",
        "name": {"zh": "店", "en": "Shop"},
        "kind": "retail",
        "district": "d",
        "meters": [
            {"id": "m-shop", "source": {"via": "file"}},
            {"id": "sky", "role": "weather", "source": {"via": "file"}},
        ],
    },
]


def warm(hour):
    """Return °C of an hour since FIRST."""
    season = math.sin(2 * math.pi * (hour / 24 - 48) / 365)
    return 22 + 7 * season + 3 * math.sin(2 * math.pi * (hour - 9) / 24) + (hour * 37 % 11) / 10


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Return 20 kW and 1 kW a degree above 20 °C, 10 % less of all from TURN on."""
    made = Program.make(tmp_path_factory.mktemp("weather") / "bureau", SITES)
    made.write()
    config = load(made.config)
    count = int((END - FIRST) / timedelta(hours=1))
    degrees = [warm(n) for n in range(count)]
    kwh = [
        (5 + max(0.0, t - 20) / 4) * (0.9 if FIRST + timedelta(hours=n) >= TURN else 1.0)
        for n, t in enumerate(degrees)
        for _ in range(4)
    ]
    rows = intervals(["m-shop"], FIRST, 4 * count, NOW).with_columns(
        energy_kwh=pl.Series(kwh), demand_kw=pl.Series(kwh) * 4
    )
    sky = readings(["sky"], FIRST, count, 3600).with_columns(temperature_c=pl.Series(degrees))
    history = History(config.data / "history", lambda: NOW, config.book)
    history.add(1, sky, rows)
    history.flush()
    return made


def called(program, *words):
    return CliRunner().invoke(app, ["savings", "-c", str(program.config), "--site", "shop", *words])


ASKED = ("--baseline-end", "2025-03-02", "--to", "2025-06-01", "--station", "sky")


def test_what_a_shop_saved_is_told_with_the_verdict_on_its_data(program):
    if importlib.util.find_spec("opendsm") is None:
        skip("opendsm is not installed (make setup EXTRAS=dev,savings)")
    done = called(program, *ASKED, "--method", "hourly", "--format", "json")
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout_bytes)
    assert (row["verdict"], row["station"], row["coverage"]) == ("sufficient", "sky", 1.0)
    assert row["savings_ratio"] == pytest.approx(0.1, abs=0.01)
    assert row["savings_kwh"] == pytest.approx(row["baseline_kwh"] - row["actual_kwh"])
    wanted = ("--show", "findings", "--format", "json")
    early = called(program, "--baseline-end", "2024-12-01", *ASKED[2:], *wanted)
    assert "incorrect_number_of_total_days" in {one["finding"] for one in json.loads(early.stdout)}


def test_the_weather_is_read_once_however_many_sites_are_asked_for(program, monkeypatch):
    if importlib.util.find_spec("opendsm") is None:
        skip("opendsm is not installed (make setup EXTRAS=dev,savings)")
    read, real = [], History.readings

    def readings_of(self, start, end, meters=None):
        found = real(self, start, end, meters)
        read.append(found.select("meter_id", "measured_at"))
        return found

    monkeypatch.setattr(History, "readings", readings_of)
    wanted = (*ASKED, "--format", "json")
    alone = json.loads(called(program, *wanted).stdout_bytes)
    seen = pl.concat(read).height
    read.clear()
    both = json.loads(called(program, *wanted, "--site", "inn").stdout_bytes)
    assert [one for one in both if one["site_id"] == "shop"] == alone
    assert {one["site_id"] for one in both} == {"inn", "shop"}
    assert not pl.concat(read).is_duplicated().any()
    assert seen <= pl.concat(read).height <= seen + 4  # one zone's midnight is an hour earlier


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (ASKED[:4], "name a weather station"),
        ((*ASKED[:4], "--station", "moon"), "no meter moon"),
        ((*ASKED, "--from", "2025-01-01"), "lies in the baseline"),
        (("--baseline-end", "2025-03-02", "--to", "2025-03-02", "--station", "sky"), "nothing to"),
        ((*ASKED, "--site", "barn"), "no site barn"),
    ],
)
def test_wrong_questions_are_answered_by_what_to_do(program, words, told):
    done = called(program, *words)
    assert done.exit_code != 0
    assert told in done.output
