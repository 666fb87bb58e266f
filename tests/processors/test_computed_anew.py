"""Orders to compute anew, a span over many days, and readings whose words say something else."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from collector.polls import Ratios
from collector.profiles import Profile
from collector.reading import conform
from collector.redecode import corrected
from collector.rescale import LEFT
from processors.book import CHANGE
from processors.edits import EDIT, by_day, standing, stated
from processors.interval import INTERVAL
from processors.recompute import changes, torn

T0 = datetime(2026, 3, 2, 16, tzinfo=UTC)
AT = {"measured_at": INTERVAL["start"], "received_at": INTERVAL["start"]}
TICK = timedelta(microseconds=1)
PROFILE = Profile.model_validate({
    "id": "p", "title": "t", "reference": "this test",
    "registers": [
        {"quantity": "energy_import_kwh", "address": 0, "type": "u32", "scale": 0.1,
         "secondary": True},
        {"quantity": "power_kw", "address": 2, "type": "u16", "sentinels": [0xFFFF]},
    ],
})  # fmt: skip


def span(meter, first, last):
    return {"meter_id": meter, "first": first, "last": last}


def test_a_span_is_cut_at_midnights_without_a_hole_or_an_overlap():
    frame = pl.DataFrame([span("m", T0, T0 + timedelta(days=3)), span("n", T0, T0)])
    cut = by_day(frame.cast({"first": INTERVAL["start"], "last": INTERVAL["start"]}))
    assert cut["first"].is_sorted()
    mine = cut.filter(pl.col("meter_id") == "m").select("first", "last").rows()
    assert (mine[0][0], mine[-1][1]) == (T0, T0 + timedelta(days=3))
    assert all(later - end == TICK for (_, end), (later, _) in pairwise(mine))
    assert all(first.date() == last.date() for first, last in mine)
    assert cut.filter(pl.col("meter_id") == "n").height == 1
    assert by_day(pl.concat([cut, cut])).equals(cut), "asked for twice is asked for once"


def test_an_order_states_nothing_and_shadows_no_edit():
    end = T0 + timedelta(minutes=15)
    acts = pl.DataFrame(
        [
            (1, "m", T0, end, 5.0, "王工", "w", T0, None),
            (2, "m", T0, end, None, "李工", "new ratio", T0, None),
        ],
        schema=EDIT, orient="row",
    )  # fmt: skip
    assert standing(acts)["edit_id"].to_list() == [1]
    assert stated(acts)["stated_kwh"].to_list() == [5.0]


def read(words, energy, power, at=T0, received=T0):
    return {
        "meter_id": "m", "measured_at": at, "received_at": received, "source": "modbus:b",
        "energy_import_kwh": energy, "power_kw": power, "register_words": words,
    }  # fmt: skip


def test_readings_are_corrected_where_their_words_say_otherwise_and_only_there():
    later = T0 + timedelta(minutes=15)
    rows = conform(pl.DataFrame([
        read("3:0=0000006400FF", 40.0, 255.0),  # 100 x 0.1 x 4: right by a ratio of 4
        read("3:0=000000C8FFFF", 20.0, None, later),
        read(None, 7.0, 1.0, later + TICK),
        read("3:0=0000000000FF", 1.0, 255.0, T0, T0 - TICK),  # an older version: no longer counts
    ], schema_overrides=AT))  # fmt: skip
    found = corrected(rows, PROFILE, Ratios((0,), (4.0,), (1.0,)))
    assert found["measured_at"].to_list() == [later]
    assert found["energy_import_kwh"].to_list() == [80.0]
    assert found["power_kw"].to_list() == [None]
    assert found["register_words"].to_list() == ["3:0=000000C8FFFF"]
    assert corrected(rows, PROFILE, Ratios((0,), (4.0,), (1.0,))).equals(found)
    with pytest.raises(ValueError, match="not register words"):
        corrected(rows.with_columns(register_words=pl.lit("nonsense")), PROFILE, Ratios((), (), ()))


def block(n, energy, meter="m"):
    return {"meter_id": meter, "start": T0 + n * timedelta(minutes=15),
            "end": T0 + (n + 1) * timedelta(minutes=15), "energy_kwh": energy,
            "max_demand_kw": None if energy is None else energy * 4}  # fmt: skip


def blocks(*rows):
    frame = pl.DataFrame(list(rows), infer_schema_length=None)
    missing = [pl.lit(None, kind).alias(n) for n, kind in INTERVAL.items() if n not in frame]
    return frame.with_columns(missing).select(pl.col(n).cast(k) for n, k in INTERVAL.items())


def test_changes_never_make_a_zero_of_what_is_not_known():
    before = blocks(block(0, 1.0), block(1, None), block(2, 3.0), block(0, None, "n"))
    after = blocks(block(0, 2.0), block(1, 5.0), block(2, None), block(0, None, "n"))
    at = {"measured_at": "start", "received_at": "start", "source": pl.lit("s")}
    left = pl.DataFrame([("m", T0, "edge", True, 3)], schema=LEFT, orient="row")
    corrections = conform(before.head(1).select("meter_id", **at))
    found = changes(before, after, corrections, left)
    one, other = found.to_dicts()
    assert (one["blocks"], one["now_known"], one["now_missing"]) == (3, 1, 1)
    assert (one["energy_before_kwh"], one["energy_after_kwh"]) == (4.0, 7.0)
    assert (one["max_demand_before_kw"], one["max_demand_after_kw"]) == (12.0, 20.0)
    assert (one["readings_corrected"], other["readings_corrected"]) == (1, 0)
    assert (one["readings_left"], other["readings_left"]) == (3, 0)
    assert (other["energy_before_kwh"], other["energy_after_kwh"]) == (None, None)


def test_a_register_corrected_in_part_is_torn_but_for_a_change_between():
    def left(hour, meter="m", *, register=True):
        return (meter, T0 + timedelta(hours=hour), "not_noted", register, 1)

    rows = [left(0), left(1, register=False), left(2), left(0, "n"), left(9, "o")]
    told = pl.DataFrame(rows, schema=LEFT, orient="row")
    late = {"measured_at": T0 + timedelta(hours=4), "received_at": T0, "source": "s"}
    mended = [late | {"meter_id": meter} for meter in ("m", "n")]
    fixed = conform(pl.DataFrame(mended, schema_overrides=AT))
    step = ("m", T0 + timedelta(hours=1), "ratio", None, None)
    steps = pl.DataFrame([step], schema=CHANGE, orient="row")
    kept = torn(fixed, told, steps.clear())
    assert kept.sort("meter_id", "measured_at").rows() == [left(0), left(2), left(0, "n")]
    parted = torn(fixed, told, steps)
    assert parted.sort("meter_id", "measured_at").rows() == [left(2), left(0, "n")]
