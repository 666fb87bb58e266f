"""Losses of a phase added up over local months, against plain seconds."""

import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from anomaly_stream import Stream, nothing
from anomaly_world import a_site, normal, readings, shipped
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.anomaly_limits import Kind
from collector.reading import READING
from processors.anomalies_month import MONTHLY, suspects
from processors.anomaly import ANOMALY, bounds
from processors.anomaly_look import Look, look
from processors.anomaly_settings import AnomalySettings

FUZZ = settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "30")), deadline=None)
BERLIN = ZoneInfo("Europe/Berlin")
LIMITS = pl.DataFrame([("m", BERLIN.key, 3.0, "", "illustrative")], schema=MONTHLY, orient="row")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FIRST = datetime(2026, 2, 27, 12, tzinfo=UTC)
"""Two days before a month that has a day of 23 hours."""
SUSPECT = Kind.PHASE_LOSS_SUSPECT.value


def lost(rows):
    """ANOMALY rows of (kind, phase, since, hours)."""
    blank = dict.fromkeys(ANOMALY) | {"meter_id": "m", "site_id": "w", "since_is_bound": False}
    told = [
        blank | {"kind": kind, "phase": phase, "since": since, "held_s": hours * 3600.0}
        for kind, phase, since, hours in rows
    ]
    return pl.DataFrame(told, schema=ANOMALY)


LOSSES = st.lists(
    st.tuples(
        st.sampled_from(["loss_of_voltage", "loss_of_current", "undervoltage"]),
        st.sampled_from("ab"),
        st.integers(0, 24 * 60).map(lambda n: FIRST + n * HOUR),
        st.integers(0, 40),
    ),
    max_size=12,
)


@FUZZ
@given(LOSSES)
def test_hours_are_counted_once_and_in_the_month_they_lie_in(losses):
    now = max((since + hours * HOUR for _, _, since, hours in losses), default=FIRST)
    hours: dict[tuple[str, datetime], set[datetime]] = {}
    for kind, phase, since, count in losses:
        for n in range(count if kind.startswith("loss") else 0):
            at = since + n * HOUR
            month = at.astimezone(BERLIN).replace(day=1, hour=0)
            hours.setdefault((phase, month), set()).add(at)
    wanted = []
    for (phase, month), ats in hours.items():
        after = (month + timedelta(days=32)).replace(day=1)
        if len(ats) > 3:
            # the third hour ends, and the fourth may begin later
            crossed = sorted(ats)[3]
            wanted.append((phase, crossed, float(len(ats)), after if after <= now else None))
    found = suspects(lost(losses), LIMITS, now).select("phase", "since", "value", "until")
    assert sorted(found.rows(), key=str) == sorted(wanted, key=lambda one: str(_utc(one)))


def _utc(row):
    return tuple(one.astimezone(UTC) if isinstance(one, datetime) else one for one in row)


def test_of_what_is_read_and_looked_for():
    """Phase b has no voltage until 13 o'clock on three days."""
    begin = datetime(2026, 5, 3, 16, tzinfo=UTC)
    rows = []
    for n in range(12 * 60):
        at = begin + 5 * n * MINUTE
        rows.append(normal(0, voltage_b_v=40.0 if (at.hour + 8) % 24 < 13 else 220.0) | {"at": at})
    told = readings(rows).with_columns(energy_import_kwh=1000.0, arrives="measured_at")
    end = begin + 60 * HOUR
    stream = Stream(end, told.select(*nothing(dict(READING)).columns))

    def of(**over):
        judged = AnomalySettings.model_validate(over)
        asked = Look(begin, end, bounds=lambda own: bounds(shipped(), judged, own))
        return look(stream, [a_site()], asked)

    found, sought, _ = of()
    (one,) = found.filter(kind=SUSPECT).rows(named=True)
    # a loss lasts from its first reading to its last: 12 h 55 min, twice, and 11 h 55 min so far
    assert one["value"] == pytest.approx(2 * (12 + 55 / 60) + 11 + 55 / 60)
    assert one["since"] == begin + 24 * HOUR + 11 * HOUR + 5 * MINUTE
    assert (one["phase"], one["until"], one["provenance"]) == ("b", None, "illustrative")
    assert (one["reference"], one["samples"], one["standing"]) == (31 * 24, 3, "clue")
    assert sought.filter(kind=SUSPECT)["reason"].to_list() == [None]
    off, unsought, _ = of(off=[SUSPECT])
    assert off.filter(kind=SUSPECT).is_empty()
    assert unsought.filter(kind=SUSPECT)["reason"].to_list() == ["switched_off"]
