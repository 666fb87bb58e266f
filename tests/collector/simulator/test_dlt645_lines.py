"""The fleet's DL/T 645 meters: what they show, how they fail, read by our reader."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from services_dlt645 import line, site_of
from waiting import until

from collector.dlt645.items import DEFAULT
from collector.polls import micros
from collector.simulator.dlt645_manners import LineFault
from collector.simulator.dlt645_meters import Dlt645Meters
from collector.simulator.faults import FleetSettings
from collector.simulator.fleet import Fleet
from collector.simulator.lines import lines_of

STARTED = datetime(2026, 11, 23, 1, tzinfo=UTC)
RATIO = {"ct_ratio": [{"from": "2020-01-01", "value": 80}]}
HOUR = timedelta(hours=1)


def fleet_of(site, **settings):
    made = FleetSettings.model_validate(settings)
    return Fleet.of([site], made, STARTED), made.dlt645


def show_of(**settings):
    """Return what the one meter of a fleet shows at an instant."""
    fleet, manners = fleet_of(site_of([1]), **settings)
    return lines_of(fleet, [line(1)], manners)[0].meters[0].show


def test_a_reading_says_what_the_fleet_shows(station):
    site = site_of([1, 2], RATIO, items=list(DEFAULT))
    fleet, _ = fleet_of(site)
    lines = [replace(one, port=0) for one in lines_of(fleet, [line(1)])]
    simulator = Dlt645Meters(lines, station.clock.now)
    station.simulators.append(simulator)
    station.reader(line(simulator.start()["line-1"]), site)
    until(lambda: station.readings("m2").height)
    row = station.readings("m2").row(0, named=True)
    true = fleet.values(np.array([micros(row["measured_at"])]), [fleet.by_id["m2"]])
    for name in ("energy_import_kwh", "energy_export_kwh", "power_kw", "current_a_a"):
        assert row[name] == pytest.approx(true[name][0, 0], rel=1e-2, abs=80 * 0.005), name
    rates = sum(row[f"energy_import_t{i}_kwh"] for i in range(1, 5))
    assert rates == pytest.approx(row["energy_import_kwh"], abs=4 * 80 * 0.005)


def test_a_manner_holds_for_its_time_and_the_last_counts():
    drift = {"meter": "m1", "clock_ahead_s": 10, "clock_gains_s_per_day": 24, "wake": 2}
    split = {"meter": "m1", "after_s": 3600, "for_s": 3600, "frame_bytes": 8, "fault": "late"}
    show = show_of(dlt645=[drift, split])
    first, then, after = (show(STARTED + HOUR * i) for i in range(3))
    assert (first.clock_ahead_s, first.wake, first.frame_bytes) == (10, 2, 0)
    assert (then.frame_bytes, then.fault, then.wake) == (8, LineFault.LATE, 4)
    assert (after.fault, after.clock_ahead_s) == (None, pytest.approx(12))


def test_troubles_and_wire_faults_of_the_fleet_file_hit_these_meters_too():
    show = show_of(wire=[{"meter": "m1", "kind": "wrong_crc", "every": 2}])
    assert [show(STARTED).fault for _ in range(4)] == [None, LineFault.CHECKSUM] * 2
    silent = show_of(troubles=[{"meter": "m1", "kind": "silent", "after_s": 3600}])
    assert [silent(STARTED + HOUR * i).fault for i in (0, 1)] == [None, LineFault.SILENT]
    mute = show_of(troubles=[{"meter": "m1", "kind": "sentinel"}])
    assert set(mute(STARTED).values.values()) == {None}


def test_what_cannot_be_simulated_is_refused():
    with pytest.raises(ValueError, match="meter m1: DL/T 645 knows no swapped_words"):
        show_of(wire=[{"meter": "m1", "kind": "swapped_words"}])
    with pytest.raises(ValueError, match="names meters that are none: m9"):
        show_of(dlt645=[{"meter": "m9"}])
