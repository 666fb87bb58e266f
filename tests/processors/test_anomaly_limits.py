"""Limits of anomalies: settings < site < meter, each by name; a kind may be off or on again."""

from functools import partial

import polars as pl
import pytest
from anomaly_world import START, a_site, normal, readings, shipped
from sum_rows import row as block_row

from collector.site import Site
from processors.anomaly import bounds
from processors.anomaly_look import Look, look
from processors.anomaly_settings import AnomalySettings
from processors.history.days import DAY
from processors.interval import INTERVAL

END = START.replace(hour=18)


class Past:
    """Readings in memory; no blocks but those given, no days."""

    def __init__(self, told, blocks=None):
        self.told = told
        self.blocks = pl.DataFrame(schema=INTERVAL) if blocks is None else blocks

    def readings(self, start, end, meters=None):
        return self.told.filter(pl.col("meter_id").is_in(meters))

    def intervals(self, start, end, meters=None, as_of=None):
        return self.blocks

    def days(self, start, end, meters=None, as_of=None):
        return pl.DataFrame(schema=DAY)


def find(sites, past, **settings):
    told = AnomalySettings.model_validate(settings)
    asked = Look(START, END, bounds=partial(bounds, shipped(), told))
    return look(past, sites, asked)[:2]


def backwards(*meters):
    """Readings of meters whose power is -2.2 kW, a tenth of Pb."""
    return Past(
        pl.concat([readings([normal(n, power_kw=-2.2) for n in range(5)], m) for m in meters])
    )


def limit(share):
    return {"limits": {"reverse_power": {"p_reverse": share}}}


def test_a_meter_stands_above_its_site_and_a_site_above_the_settings():
    ids = ["a", "b", "c", "d"]
    here = {"id": "w", "anomalies": limit(0.2)}
    own = {"id": "b", "anomalies": limit(0.05)}
    one = a_site({"id": "a"}, own, **here)
    two = a_site({"id": "c"}, {"id": "d", "anomalies": limit(0.5)}, id="v")
    found, sought = find([one, two], backwards(*ids), **limit(0.01))
    power = found.filter(kind="reverse_power")
    assert dict(power.select("meter_id", "threshold").rows()) == {"b": -0.05, "c": -0.01}
    assert set(power["provenance"]) == {"settings"}
    assert sought.filter(kind="reverse_power")["judged"].to_list() == 4 * [20]
    assert sought.height == 4 * sought["kind"].n_unique()
    whole, _ = find([one, two], backwards(*ids))
    named = whole.filter(kind="reverse_power").select("meter_id", "provenance").rows()
    assert dict(named) == {"b": "settings", "c": "unverified"}


def test_a_kind_is_switched_off_and_on_again():
    site = a_site(
        {"id": "a"}, {"id": "b", "anomalies": {"off": []}}, anomalies={"off": ["reverse_power"]}
    )
    found, sought = find([site], backwards("a", "b"))
    assert found.filter(kind="reverse_power")["meter_id"].to_list() == ["b"]
    told = sought.filter(kind="reverse_power").select("meter_id", "reason").rows()
    assert told == [("a", "switched_off"), ("b", None)]


@pytest.mark.parametrize(("share", "odd"), [(0.01, True), (0.3, False)])
def test_a_balance_of_two_main_meters_goes_by_its_site(share, odd):
    gap = {"limits": {"parent_child_gap": {"share": share}}}
    site = a_site(
        {"id": "m"},
        {"id": "n", "anomalies": {"off": ["parent_child_gap"]}},
        {"id": "s", "role": "sub"},
        wholly_sub_metered=True,
        anomalies=gap,
    )
    rows = []
    for n in range(96):
        for name, kwh in (("m", 60.0), ("n", 40.0), ("s", 90.0)):
            one = block_row(name, kwh, n)
            moved = START - (block_row(name, kwh)["start"] - one["start"]) - (END - START) * 12
            rows.append(one | {"start": moved, "end": moved + (one["end"] - one["start"])})
    blocks = pl.DataFrame([{name: one.get(name) for name in INTERVAL} for one in rows], INTERVAL)
    past = Past(readings([normal(0)]), blocks)
    found, _ = find([site], past)
    assert (found.filter(kind="parent_child_gap").height == 1) is odd


def test_a_limit_that_is_none_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match="no limit 'p'; it has p_reverse, delay_s"):
        Site.model_validate(
            a_site().model_dump(by_alias=True)
            | {"anomalies": {"limits": {"reverse_power": {"p": 1}}}}
        )
