"""The parts of a package: tables that read back exactly, sums that state what they cover."""

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.evidence.container import NotAPackageError, opened
from alerting.evidence.finding import Finding, Outcome, same
from alerting.evidence.pdf import FONTS, report
from alerting.evidence.seal import Sealer, fingerprint, signed_by
from alerting.evidence.tables import from_csv, to_csv
from alerting.site_blocks import contracts, site_blocks
from collector.reading import READING, conform
from collector.site import Site
from processors import interval
from processors.book import Book
from processors.interval import INTERVAL

T0 = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
BLOCK = timedelta(minutes=15)
SITE = Site.model_validate({
    "id": "a", "name": {"zh": "甲", "en": "A"}, "kind": "factory", "district": "d",
    "contract_demand_kw": [
        {"from": "2026-01-01", "value": 100}, {"from": "2026-11-24", "value": 200},
    ],
    "meters": [{"id": "m1"}, {"id": "m2"}, {"id": "s1", "role": "sub"}],
})  # fmt: skip

texts = st.one_of(
    st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1)
)
floats = st.one_of(st.none(), st.floats(allow_nan=False))
times = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(times, texts, floats, floats), max_size=8))
def test_readings_read_back_exactly(rows):
    frame = pl.DataFrame(
        [("m", at, at, source, one, other) for at, source, one, other in rows],
        schema=["meter_id", "measured_at", "received_at", "source", "power_kw", "voltage_a_v"],
        orient="row",
        infer_schema_length=None,
    ).cast(dict.fromkeys(["meter_id", "source"], pl.String()))  # fmt: skip
    times = dict.fromkeys(["measured_at", "received_at"], pl.Datetime("us", "UTC"))
    known = conform(frame.cast(times | dict.fromkeys(["power_kw", "voltage_a_v"], pl.Float64())))
    assert from_csv(to_csv(known), READING).equals(known)


def test_intervals_read_back_with_flags_and_quality():
    rows = [
        {"meter_id": "m1", "start": T0, "end": T0 + BLOCK, "energy_kwh": 0.1 + 0.2,
         "quality": "measured", "flags": ["rollover", "partial"], "revision": 0},
        {"meter_id": "m1", "start": T0 + BLOCK, "end": T0 + 2 * BLOCK, "energy_kwh": None,
         "quality": "missing", "flags": [], "revision": 1},
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=INTERVAL)
    assert from_csv(to_csv(frame), INTERVAL).equals(frame)
    assert from_csv(to_csv(interval.empty()), INTERVAL).equals(interval.empty())


def test_a_table_with_a_strange_column_is_refused():
    with pytest.raises(ValueError, match="'watt'"):
        from_csv(b"meter_id,watt\nm,1\n", READING)


def blocks(*rows):
    full = [
        {"meter_id": meter, "start": at, "end": at + BLOCK, "energy_kwh": kwh, "coverage": cover,
         "demand_kw": None if kwh is None else 4 * kwh}
        for meter, at, kwh, cover in rows
    ]  # fmt: skip
    return pl.DataFrame(full, schema=INTERVAL)


def test_a_site_is_the_sum_of_its_main_meters_with_the_contract_in_force():
    next_day = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)  # midnight in Shenzhen
    given = blocks(("m1", T0, 10.0, 1.0), ("m2", T0, 20.0, 0.5), ("s1", T0, 99.0, 1.0),
                   ("m1", next_day, 1.0, 1.0), ("m2", next_day, 1.0, 1.0))  # fmt: skip
    sums = site_blocks(given, Book.of([SITE]), contracts([SITE])).to_dicts()
    assert [(one["energy_kwh"], one["demand_kw"], one["coverage"]) for one in sums] == [
        (30.0, 120.0, 0.75),
        (2.0, 8.0, 1.0),
    ]
    assert [one["contract_demand_kw"] for one in sums] == [100.0, 200.0]
    assert sums[0]["at"] == T0 + BLOCK


def test_an_absent_meter_lowers_coverage_and_no_known_meter_is_null_not_zero():
    given = blocks(("m1", T0, 10.0, 1.0), ("m1", T0 + BLOCK, None, None))
    sums = site_blocks(given, Book.of([SITE]), contracts([SITE])).to_dicts()
    assert [(one["energy_kwh"], one["coverage"]) for one in sums] == [(10.0, 0.5), (None, 0.0)]


def test_a_site_without_a_contract_has_none():
    free = SITE.model_copy(update={"contract_demand_kw": ()})
    sums = site_blocks(blocks(("m1", T0, 1.0, 1.0)), Book.of([free]), contracts([free]))
    assert sums["contract_demand_kw"].to_list() == [None]


def test_findings_differ_by_more_than_the_order_of_a_sum():
    one = Finding(outcome=Outcome.OVERRUN, standing="clue", row={"energy_kwh": 1.0})
    near = one.model_copy(update={"row": {"energy_kwh": math.nextafter(1.0, 2.0)}})
    assert same(one, near) == []
    assert same(one, one.model_copy(update={"row": {}}))[0].startswith("energy_kwh")


def test_a_signature_holds_for_its_own_content_and_key_only(tmp_path):
    one, other = Sealer.of_file(tmp_path / "one"), Sealer.of_file(tmp_path / "other")
    signature = one.sign(b"content")
    assert signed_by(one.public, signature, b"content")
    assert not signed_by(one.public, signature, b"Content")
    assert not signed_by(other.public, signature, b"content")
    assert not signed_by(b"short", signature, b"content")
    assert fingerprint(one.public) != fingerprint(other.public)


def test_a_file_that_is_no_zip_is_said_to_be_none(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK not really")
    with pytest.raises(NotAPackageError):
        opened(tmp_path / "x.zip")


@pytest.mark.parametrize("fonts", [(), FONTS])
def test_the_report_is_made_with_a_chinese_font_or_without(tmp_path, fonts):
    from evidence_world import World

    from alerting.evidence.gather import gather
    from alerting.evidence.recompute import recompute

    world = World(tmp_path)
    material = gather(world.fire(), world.sources)
    made = report(material, recompute(material), {"software": "demandwatch"}, fonts)
    world.ledger.close()
    assert made.startswith(b"%PDF")
