"""Readings without words by other ratios than they were received with, against plain arithmetic."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from collector.multiplied import NOTE, Multiplied
from collector.polls import Ratios, micros
from collector.profiles import Profile
from collector.quantity import QUANTITIES
from collector.reading import READING, conform
from collector.rescale import Left, Rescale
from collector.site import Site

T0 = datetime(2026, 3, 2, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTED = T0 - 10 * HOUR
ALL = frozenset(QUANTITIES)
VALUES = {
    "energy_import_kwh": 1000.0, "reactive_import_kvarh": 10.0, "power_kw": -50.0,
    "reactive_power_kvar": 5.0, "apparent_power_kva": 51.0, "demand_register_kw": 80.0,
    "voltage_a_v": 220.0, "current_a_a": 120.0, "power_factor": 0.9, "frequency_hz": 50.0,
    "clock_offset_s": 3.0, "output_count": 7.0, "demand_register_at_s": 1e9,
    "thd_voltage_pct": 2.0,
}  # fmt: skip
TIMES = {"V": "pt", "A": "ct", "1": "", "Hz": "", "s": "", "%": ""}
"""What multiplies a unit; every other is power or energy, and takes both."""


def ratios(*steps):
    since, ct, pt = zip(*steps, strict=True)
    return Ratios(tuple(map(micros, since)), ct, pt)


def how(ct=40.0, pt=1.0, behind=ALL, via="dlt645"):
    return Multiplied(via, behind, ratios((T0 - 1000 * HOUR, ct, pt)))


def notes(*told):
    rows = [(n, "m", at, *one.written()) for n, (at, one) in enumerate(told, 1)]
    return pl.DataFrame(rows, schema=NOTE, orient="row")


def reading(at=T0, received=None, source="dlt645:line", **values):
    return {"meter_id": "m", "measured_at": at, "received_at": received or at, "source": source,
            **(values or VALUES)}  # fmt: skip


def frame(*rows):
    kinds = {name: READING[name] for row in rows for name in row}
    return conform(pl.DataFrame(list(rows), schema=kinds))


def figures(row):
    return {name: row[name] for name in QUANTITIES if row[name] is not None}


def why(then, now, *rows):
    told = Rescale(then, {"m": now}).left(frame(*rows))
    return told["why"].to_list()


def test_each_quantity_is_scaled_by_the_transformers_it_lies_behind():
    then, now = how(40.0, 100.0), how(60.0, 110.0)
    scale = Rescale(notes((NOTED, then)), {"m": now})
    (row,) = scale.corrected(frame(reading())).to_dicts()
    share = {"ct": 60 / 40, "pt": 110 / 100, "": 1.0, None: 60 / 40 * 110 / 100}
    assert figures(row) == pytest.approx(
        {name: v * share[TIMES.get(QUANTITIES[name].unit)] for name, v in VALUES.items()}
    )
    assert row["power_factor"] == 0.9
    assert row["frequency_hz"] == 50.0
    assert scale.left(frame(reading())).is_empty()


def test_the_ratio_is_that_of_the_note_when_received_dated_when_measured():
    first = Multiplied("dlt645", ALL, ratios((T0, 40.0, 1.0), (T0 + 10 * HOUR, 50.0, 1.0)))
    later = Multiplied("dlt645", ALL, ratios((T0, 60.0, 1.0)))
    now = Multiplied("dlt645", ALL, ratios((T0, 60.0, 1.0), (T0 + 20 * HOUR, 80.0, 1.0)))
    scale = Rescale(notes((NOTED, first), (T0 + 15 * HOUR, later)), {"m": now})
    rows = [reading(T0 + n * HOUR, energy_import_kwh=1.0) for n in (5, 12, 16, 25)]
    late = reading(T0 + 6 * HOUR, T0 + 16 * HOUR, energy_import_kwh=1.0)  # came after the note
    found = scale.corrected(frame(*rows, late)).sort("measured_at")
    told = {
        (at - T0) // HOUR: v for at, v in found.select("measured_at", "energy_import_kwh").rows()
    }
    assert told == pytest.approx({5: 60 / 40, 12: 60 / 50, 25: 80 / 60})


def test_only_what_its_source_multiplies_is_scaled():
    some = frozenset({"energy_import_kwh"})
    then, now = how(behind=some, via="modbus"), how(60.0, behind=some, via="modbus")
    scale = Rescale(notes((NOTED, then)), {"m": now})
    (row,) = scale.corrected(frame(reading(source="modbus:b"))).to_dicts()
    assert figures(row) == VALUES | {"energy_import_kwh": 1500.0}
    primary = how(60.0, behind=frozenset(), via="mqtt")
    never = Rescale(notes(), {"m": primary})
    assert never.corrected(frame(reading(source="mqtt"))).is_empty()
    assert never.left(frame(reading(source="mqtt"))).is_empty()


def test_imports_are_never_scaled_and_what_they_state_stands():
    scale = Rescale(notes((NOTED, how())), {"m": how(60.0)})
    told = reading(T0, T0 + HOUR, "import:0123456:year.csv", energy_import_kwh=7.0)
    alone = frame(told)
    assert scale.corrected(alone).is_empty()
    assert scale.left(alone).is_empty()
    (row,) = scale.corrected(frame(reading(energy_import_kwh=4.0, power_kw=8.0), told)).to_dicts()
    assert figures(row) == {"power_kw": 12.0}
    undone = reading(T0, T0 + 2 * HOUR, "import-undo:0123456:year.csv", energy_import_kwh=None)
    (row,) = scale.corrected(frame(reading(energy_import_kwh=4.0), told, undone)).to_dicts()
    assert row["energy_import_kwh"] == 6.0


def test_what_was_corrected_is_not_corrected_twice_and_may_be_corrected_again():
    then, now = how(), how(60.0)
    told = notes((NOTED, then), (T0 + 20 * HOUR, now))
    fixed = reading(T0, T0 + 21 * HOUR, "recompute:abc", energy_import_kwh=6.0)
    both = frame(reading(energy_import_kwh=4.0), fixed)
    scale = Rescale(told, {"m": now})
    assert scale.corrected(both).is_empty()
    assert scale.left(both).is_empty()
    (row,) = Rescale(told, {"m": how(80.0)}).corrected(both).to_dicts()
    assert row["energy_import_kwh"] == 8.0


def test_readings_with_words_are_left_to_their_words():
    worded = reading(energy_import_kwh=4.0) | {"register_words": "3:0=0001"}
    scale = Rescale(notes((NOTED, how())), {"m": how(60.0)})
    assert scale.corrected(frame(worded)).is_empty()
    assert scale.left(frame(worded)).is_empty()


def test_what_is_not_known_is_left_and_told():
    noted, now, row = notes((T0, how())), how(60.0), reading(T0 - HOUR, power_kw=1.0)
    assert why(noted, now, row) == [Left.NOT_NOTED]
    assert Rescale(noted, {"m": now}).corrected(frame(row)).is_empty()
    assert why(notes(), how(via="edge", behind=frozenset()), reading(source="modbus:b")) == ["edge"]
    unrated = replace(now, ratios=Ratios((), (), ()))
    assert why(notes(), unrated, row) == [], "no ratio was ever told of it"
    noted = notes((NOTED, how()))
    assert why(noted, unrated, row) == []
    (freed,) = Rescale(noted, {"m": unrated}).corrected(frame(row)).to_dicts()
    assert freed["power_kw"] == 1 / 40
    assert why(noted, how(60.0, behind=frozenset(), via="dlt645"), row) == [Left.SOURCE]
    assert why(noted, now, reading(source="modbus:b")) == [Left.SOURCE]
    begins = Multiplied("dlt645", ALL, ratios((T0 + HOUR, 60.0, 1.0)))
    assert why(noted, begins, reading()) == [Left.NO_RATIO_NOW]
    assert why(notes((NOTED, begins)), now, reading(frequency_hz=50.0)) == [Left.NO_RATIO_THEN]
    assert why(noted, how(4e9), reading(power_kw=40.0)) == [Left.OUT_OF_RANGE]
    back = notes((NOTED + HOUR, how()), (NOTED, now))
    assert why(back, now, reading(NOTED + 2 * HOUR)) == [Left.CLOCK]
    assert why(back, now, reading(NOTED + HOUR / 2)) == []


def test_the_settings_tell_which_quantities_are_multiplied():
    profile = Profile.model_validate({
        "id": "p", "title": "t", "reference": "this test",
        "registers": [
            {"quantity": "energy_import_kwh", "address": 0, "type": "u32", "secondary": True},
            {"quantity": "power_kw", "address": 2, "type": "u16"},
        ],
    })  # fmt: skip
    of = {
        "a": {"via": "modbus", "bus": "b", "profile": "p"},
        "b": {"via": "dlt645", "line": "l", "address": "000000000001"},
        "c": {"via": "mqtt", "mapping": "x", "device": "d", "side": "secondary"},
        "d": {"via": "mqtt", "mapping": "x", "device": "e", "side": "primary"},
        "e": {"via": "file"},
    }
    meters = [
        {"id": one, "source": told, "ct_ratio": [{"from": "2020-01-01", "value": 40}]}
        for one, told in of.items()
    ]
    site = Site.model_validate({"id": "s", "name": {"zh": "站", "en": "S"}, "kind": "retail",
                                "district": "d", "meters": meters})  # fmt: skip
    found = {m.id: Multiplied.of(site, m, {"p": profile}) for m in site.meters}
    assert {name: len(one.quantities) for name, one in found.items()} == {
        "a": 1, "b": len(QUANTITIES), "c": len(QUANTITIES), "d": 0, "e": 0,
    }  # fmt: skip
    assert all(Multiplied.read(*one.written()) == one for one in found.values())


def test_what_is_not_odd_at_all_is_told_in_one_row_a_meter():
    """Of thousands of readings of the time before notes only their number is kept."""
    rows = [reading(at=T0 + timedelta(seconds=n)) for n in range(50)]
    scale = Rescale(pl.DataFrame(schema=NOTE), {"m": how(60.0)})
    (one,) = scale.left(frame(*rows)).rows(named=True)
    assert (one["why"], one["readings"]) == ("not_noted", 50)
    assert one["measured_at"] == T0 + timedelta(seconds=49)
