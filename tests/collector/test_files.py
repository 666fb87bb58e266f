from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from collector.health import Health
from collector.intake import Desk
from collector.journal import Journal
from collector.mappings import FileMapping, load_mapping
from collector.metadata import sites_from_metadata
from collector.metrics import Metrics
from collector.rejects import Rejects
from collector.sources.files import Contents, FileError, import_file, plain, read_file, reader_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAPPINGS = Path(__file__).parents[2] / "config" / "mappings"
TITLE = {"zh": "试", "en": "test"}


def mapping(layout: str, time: dict[str, object], *values: dict[str, str], **more) -> FileMapping:
    whole = {"title": TITLE, "layout": layout, "time": {"column": "t"} | time, "values": values}
    return FileMapping.model_validate(whole | more)


HOURLY = {"stamp": "start", "every_minutes": 60, "format": "%Y-%m-%d %H:%M", "zone": "UTC"}
ENERGY = {"column": "kwh", "quantity": "energy_import_kwh", "gives": "interval"}
COLUMNS = {"quantity": "energy_import_kwh", "gives": "interval"}


def read(tmp_path: Path, text: str, how: FileMapping, **more) -> Contents:
    path = tmp_path / "file.csv"
    path.write_text(text)
    return read_file(path, how, NOW, **more)


def registers(contents: Contents, meter: str | None = None) -> list[tuple[str, float]]:
    frame = contents.frame
    if meter is not None:
        frame = frame.filter(meter_id=meter)
    at = frame["measured_at"].dt.strftime("%d %H:%M").to_list()
    return list(zip(at, frame["energy_import_kwh"].to_list(), strict=True))


def reasons(contents: Contents) -> list[str]:
    return sorted(contents.bad["reason"].to_list())


def test_interval_values_become_a_running_register_read_at_each_end(tmp_path: Path):
    text = "t,kwh\n2025-01-01 00:00,0.1\n2025-01-01 01:00,0.2\n2025-01-01 02:00,0\n"
    contents = read(tmp_path, text, mapping("one_meter", HOURLY, ENERGY), meter_id="m")
    assert registers(contents) == [
        ("01 00:00", 0.0),
        ("01 01:00", 0.1),
        ("01 02:00", 0.3),
        ("01 03:00", 0.3),
    ]
    assert contents.bad.is_empty()


@pytest.mark.parametrize("hole", ["2025-01-01 01:00,\n", "", "2025-01-01 01:00,oops\n"])
def test_a_missing_hour_is_a_gap_in_the_readings_and_no_zero(tmp_path: Path, hole: str):
    text = f"t,kwh\n2025-01-01 00:00,1\n{hole}2025-01-01 02:00,4\n"
    contents = read(tmp_path, text, mapping("one_meter", HOURLY, ENERGY))
    assert registers(contents) == [
        ("01 00:00", 0.0),
        ("01 01:00", 1.0),
        ("01 02:00", 1.0),
        ("01 03:00", 5.0),
    ]
    assert reasons(contents) == (["not_a_number"] if "oops" in hole else [])


def test_columns_that_are_meters_have_gaps_of_their_own(tmp_path: Path):
    text = "t,a,b\n2025-01-01 00:00,1,\n2025-01-01 01:00,2,3\n"
    contents = read(tmp_path, text, mapping("meter_a_column", HOURLY, COLUMNS))
    assert registers(contents, "a") == [("01 00:00", 0.0), ("01 01:00", 1.0), ("01 02:00", 3.0)]
    assert registers(contents, "b") == [("01 01:00", 0.0), ("01 02:00", 3.0)]


def test_rows_that_are_meters_with_registers_and_a_momentary_value(tmp_path: Path):
    how = mapping(
        "meter_a_row",
        {"format": "%Y-%m-%d %H:%M", "zone": "Asia/Shanghai"},
        {"column": "wh", "quantity": "energy_import_kwh", "scale": 0.001},
        {"column": "kw", "quantity": "power_kw", "gives": "momentary"},
        meter_column="id",
    )
    text = (
        "id,t,wh,kw\na,2025-01-01 08:00,5000,2\nb,2025-01-01 08:00,,3\na,2025-01-01 24:00,6000,\n"
    )
    contents = read(tmp_path, text, how)
    assert contents.frame.drop("received_at", "source").rows() == [
        ("a", datetime(2025, 1, 1, tzinfo=UTC), 5.0, 2.0),
        ("b", datetime(2025, 1, 1, tzinfo=UTC), None, 3.0),
        ("a", datetime(2025, 1, 1, 16, tzinfo=UTC), 6.0, None),  # 24:00 is the next midnight
    ]
    only = read(tmp_path, text, how, zones={"a": "UTC"})
    assert reasons(only) == ["unknown_meter"]
    assert only.frame["measured_at"].to_list()[0] == datetime(2025, 1, 1, tzinfo=UTC)


def test_a_zone_is_the_mappings_or_by_its_wish_the_sites(tmp_path: Path):
    text = "t,a,b\n2025-01-01 00:00,1,1\n"
    zones = {"a": "Asia/Shanghai", "b": "Asia/Seoul"}
    hours = {zone: HOURLY | {"zone": zone} for zone in ("UTC", "site")}
    told = read(tmp_path, text, mapping("meter_a_column", hours["UTC"], COLUMNS), zones=zones)
    assert set(told.frame["measured_at"].dt.hour()) == {0, 1}
    local = read(tmp_path, text, mapping("meter_a_column", hours["site"], COLUMNS), zones=zones)
    assert set(local.frame.filter(meter_id="a")["measured_at"].dt.hour()) == {16, 17}
    assert set(local.frame.filter(meter_id="b")["measured_at"].dt.hour()) == {15, 16}
    with pytest.raises(FileError, match="name a zone"):
        read(tmp_path, text, mapping("meter_a_column", hours["site"], COLUMNS))


def test_bad_figures_and_times_are_told_one_by_one(tmp_path: Path):
    lines = [
        "2025-01-01 00:00,1",
        "2025-01-01 01:00,nan",
        "2025-01-01 02:00,inf",
        "2025-01-01 03:00,-2",
        "2025-01-01 04:00,1",
        "2025-01-01 04:00,7",
        "1999-01-01 00:00,1",
        "2026-01-01 00:00,1",
        "yesterday,1",
        ",1",
    ]
    contents = read(tmp_path, "t,kwh\n" + "\n".join(lines), mapping("one_meter", HOURLY, ENERGY))
    assert reasons(contents) == [
        "bad_time",
        "duplicate_key",
        "no_time",
        "not_finite",
        "not_finite",
        "out_of_range",
        "time_before_2000",
        "time_in_future",
    ]
    assert registers(contents)[-1] == ("01 05:00", 2.0)
    negative = contents.bad.row(by_predicate=pl.col("value") == "-2", named=True)
    assert negative == {
        "line": 5,
        "meter_id": "file",
        "column": "kwh",
        "at": "2025-01-01 03:00",
        "value": "-2",
        "reason": "out_of_range",
    }


def test_the_hour_the_clocks_skip_and_the_one_they_repeat(tmp_path: Path):
    spring = "t,a\n2025-03-09 01:00,1\n2025-03-09 02:00,9\n2025-03-09 03:00,2\n"
    autumn = "t,a\n2025-11-02 00:00,1\n2025-11-02 01:00,9\n2025-11-02 02:00,2\n"
    twice = "t,a\n2025-11-02 00:00,1\n2025-11-02 01:00,2\n2025-11-02 01:00,3\n2025-11-02 02:00,4\n"
    how = mapping("meter_a_column", HOURLY | {"zone": "US/Eastern"}, COLUMNS)
    contents = read(tmp_path, spring, how)
    assert reasons(contents) == ["nonexistent_time"]
    assert registers(contents) == [("09 06:00", 0.0), ("09 07:00", 1.0), ("09 08:00", 3.0)]
    contents = read(tmp_path, autumn, how)
    assert reasons(contents) == ["ambiguous_time"]
    assert registers(contents) == [
        ("02 04:00", 0.0),
        ("02 05:00", 1.0),
        ("02 07:00", 1.0),
        ("02 08:00", 3.0),
    ]
    contents = read(tmp_path, twice, how)
    assert reasons(contents) == []
    assert [register for _, register in registers(contents)] == [0.0, 1.0, 3.0, 6.0, 10.0]


def test_a_file_without_its_columns_is_refused_with_the_ones_it_has(tmp_path: Path):
    with pytest.raises(FileError, match=r"no column t; it has time, kwh"):
        read(tmp_path, "time,kwh\n1,2\n", mapping("one_meter", HOURLY, ENERGY))
    with pytest.raises(FileError, match=r"absent\.csv"):
        read_file(tmp_path / "absent.csv", mapping("one_meter", HOURLY, ENERGY), NOW)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8-sig"])
def test_headings_in_chinese_as_head_end_systems_export_them(tmp_path: Path, encoding: str):
    path = tmp_path / "file.csv"
    path.write_text("时间,电量\n2025-01-01 00:00,1\n", encoding=encoding)
    read_as = {"encoding": "gb18030"} if encoding == "gb18030" else {}
    how = mapping("one_meter", HOURLY | {"column": "时间"}, ENERGY | {"column": "电量"}, **read_as)
    assert registers(read_file(path, how, NOW)) == [("01 00:00", 0.0), ("01 01:00", 1.0)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"layout": "meter_a_row"}, "meter_column"),
        ({"time": {"column": "t"}}, "every_minutes"),
        ({"time": {"column": "t", "zone": "Mars/Olympus"}}, "Mars/Olympus"),
        ({"values": [ENERGY | {"quantity": "wh"}]}, "wh"),
        ({"values": [ENERGY | {"quantity": "power_kw"}]}, "power_kw"),
        ({"values": [ENERGY | {"column": ""}]}, "column"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(change: dict[str, object], told: str):
    sound = {"title": TITLE, "layout": "one_meter", "time": {"column": "t"} | HOURLY}
    with pytest.raises(ValidationError, match=told):
        FileMapping.model_validate(sound | {"values": [ENERGY]} | change)


def test_every_shipped_mapping_loads():
    for path in sorted(MAPPINGS.glob("*.yaml")):
        found, faults = load_mapping(path)
        assert faults == []
        assert found is not None


def test_csv_and_parquet_are_the_same_and_importing_twice_changes_nothing(tmp_path: Path):
    text = "t,kwh\n2025-01-01 00:00,1\n2025-01-01 01:00,x\n2025-01-01 02:00,4\n"
    csv, parquet = tmp_path / "one.csv", tmp_path / "one.parquet"
    csv.write_text(text)
    pl.read_csv(csv).with_columns(pl.col("t").str.to_datetime("%Y-%m-%d %H:%M")).write_parquet(
        parquet
    )
    metrics = Metrics()
    desk = Desk(
        Journal(tmp_path / "j.sqlite", lambda: NOW),
        Rejects(None, metrics=metrics),
        metrics,
        Health(),
        lambda: NOW,
    )
    how = mapping("one_meter", HOURLY, ENERGY)
    for path in (csv, parquet, csv):
        done = import_file(reader_of(path, how, NOW, meter_id="m"), desk)
        assert (done.readings, done.meters, done.rejected) == (4, ("m",), 1)
    frame = desk.journal.read(0, 100).frame
    assert_frame_equal(frame[:4], frame[8:])
    assert frame.drop("source").unique().height == 4
    assert desk.rejects.counts() == {"not_a_number": 3}
    desk.journal.close()
    desk.rejects.close()


@pytest.mark.realdata
def test_the_steel_works_year(real_data: Path):
    how, _ = load_mapping(MAPPINGS / "steel-works.yaml")
    assert how is not None
    contents = read_file(real_data / "steel_industry_data.csv", how, NOW)
    assert contents.bad.is_empty()
    frame = plain(contents.frame)
    assert frame.height == 35_041
    assert frame["energy_import_kwh"][-1] == pytest.approx(959_636.71, abs=0.01)
    steps = frame["measured_at"].diff().drop_nulls().unique().dt.total_minutes().to_list()
    assert steps == [15]
    used = frame["energy_import_kwh"].diff()
    top = used.arg_max()
    assert top is not None
    assert used[top] * 4 == pytest.approx(628.72)
    assert frame["measured_at"][top - 1] == datetime(
        2018, 11, 22, 9, 30, tzinfo=ZoneInfo("Asia/Seoul")
    )


@pytest.mark.realdata
def test_the_shops_and_hotels_with_their_areas_and_zones(real_data: Path):
    how, _ = load_mapping(MAPPINGS / "bdg2.yaml")
    assert how is not None
    path = real_data / "bdg2" / "bgd_Retail_25001_50000.csv"
    buildings = pl.read_csv(path, n_rows=0).columns[1:]
    sites = sites_from_metadata(real_data / "bdg2" / "metadata.csv", buildings)
    assert [(one.id, one.floor_area_m2[0].value, one.timezone) for one in sites] == [
        ("Fox_retail_Manie", 4201.4, "US/Mountain"),
        ("Panther_retail_Felix", 2941.9, "US/Eastern"),
    ]
    assert sites[0].floor_area_m2[0].since == date(2016, 1, 1)
    zones = {one.id: one.timezone for one in sites}
    contents = read_file(path, how, NOW, zones=zones)
    raw = pl.read_csv(path)["Fox_retail_Manie"].sum()
    told = contents.bad["meter_id"].value_counts().rows()
    # Two clock changes a year; one of Panther's four hours has no figure anyway.
    assert dict(told) == {"Fox_retail_Manie": 4, "Panther_retail_Felix": 3}
    fox = contents.frame.filter(meter_id="Fox_retail_Manie")
    assert fox["energy_import_kwh"][-1] == pytest.approx(raw, rel=1e-3)
