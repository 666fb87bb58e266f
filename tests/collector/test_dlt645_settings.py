"""What `demandwatch check` says of lines and of the meters on them."""

from pathlib import Path

import pytest
from services_dlt645 import SHOWN, line, site_of
from waiting import until

from collector.intake import Desk
from collector.settings import CollectorSettings
from collector.simulator.dlt645_answers import Showing
from demandwatch.crosscheck import crosscheck
from demandwatch.readers import readers

PLACE = (Path("sites/a.yaml"), 1)


def faults(site, **collector):
    settings = CollectorSettings.model_validate(collector)
    return [
        (fault.key, fault.problem, fault.allowed)
        for fault in crosscheck(settings, [site], [PLACE], set(), (Path("main.yaml"), {}))
    ]


LINE = {"id": "line-1", "kind": "tcp", "host": "10.0.0.1"}


def test_a_meter_names_a_line_that_exists():
    assert faults(site_of([1]), lines=[LINE]) == []
    key = "meters.m1.source.line"
    said = faults(site_of([1], line="cellar"), lines=[LINE])
    assert said == [(key, "no line 'cellar'", "line-1")]
    said = faults(site_of([1]))
    assert said == [(key, "no line 'line-1'", "a line listed under collector.lines")]


def test_two_meters_of_one_address_are_found():
    said = faults(site_of([1, 2], address="000000000001"), lines=[LINE])
    problem = "000000000001 is meter m1's on line line-1"
    assert said == [("meters.m2.source.address", problem, "an address of its own")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([LINE, LINE], "an id and a device or server of its own"),
        ([LINE, LINE | {"id": "line-2"}], "an id and a device or server of its own"),
        ([{"id": "a"}], "`device` is required for kind serial"),
        ([{"id": "a", "kind": "tcp"}], "`host` is required for kind tcp"),
        ([LINE | {"backoff_min_s": 9, "backoff_max_s": 8}], "must not be below"),
        ([LINE | {"parity": "M"}], "'N', 'E' or 'O'"),
    ],
)
def test_lines_that_cannot_work_are_refused(lines, said):
    with pytest.raises(ValueError, match=said):
        CollectorSettings.model_validate({"lines": lines})


def test_a_run_starts_a_reader_for_them(station):
    port = station.simulate({1: lambda _at: Showing(SHOWN)})
    settings = CollectorSettings(lines=(line(port),))
    desk = Desk(
        station.journal, station.rejects, station.metrics, station.health, station.clock.now
    )
    (reader,) = readers(settings, [site_of([1])], {}, desk, station.clock, {}, station.folder)
    reader.start()
    try:
        until(lambda: station.readings("m1").height)
    finally:
        reader.stop()
