"""Imported interval values are islands of exact energy; an undone import never was."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import Stream, book_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.imported import START_AFTER, Form, id_of, origins, source_of, standing
from collector.reading import conform
from processors.blocks import intervals_of
from processors.interval import BLOCK, INTERVAL

START = datetime(2026, 3, 1, tzinfo=UTC)
BOOK = book_of(["m"], rated_power_kw=400.0)
FIGURES = [n for n in INTERVAL if n not in {"revision", "computed_at"}]
RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ENERGIES = st.lists(
    st.one_of(st.none(), st.integers(0, 99_000).map(lambda n: n / 1000)), max_size=24
)


def rows(points, received=START):
    """READING rows of ("m", instant, kWh, source)."""
    return conform(
        pl.DataFrame(
            {
                "meter_id": ["m"] * len(points),
                "measured_at": [at for at, _, _ in points],
                "received_at": [received] * len(points),
                "source": [source for _, _, source in points],
                "energy_import_kwh": [kwh for _, kwh, _ in points],
                "reactive_import_kvarh": [None if kwh is None else kwh / 2 for _, kwh, _ in points],
            },
            schema_overrides={"measured_at": pl.Datetime("us", "UTC")},
        ).with_columns(pl.col("energy_import_kwh", "reactive_import_kvarh").cast(pl.Float64))
    )


def imported(import_id, first, energies, base=0.0):
    """The rows of an import of one energy a block from block number `first`; None: missing."""
    points, total, running = [], base, False
    for k, kwh in enumerate(energies, first):
        at = START + k * BLOCK
        if kwh is not None:
            if not running:
                points.append((at + START_AFTER, total, source_of(Form.START, import_id, "f")))
            total = round(total + kwh, 6)
            points.append((at + BLOCK, total, source_of(Form.INTERVAL, import_id, "f")))
        running = kwh is not None
    return rows(points, START + timedelta(seconds=int(import_id[:4], 16)))


def undone(frame):
    at = START + timedelta(days=9)
    words = frame["source"].str.replace("^import(-[a-z]+)?:", "import-undo:")
    blank = frame.with_columns(pl.lit(None, pl.Float64).alias(n) for n in frame.columns[4:]
                               if frame.schema[n] == pl.Float64)  # fmt: skip
    return blank.with_columns(words.alias("source"), pl.lit(at).alias("received_at"))


def live(first, count, start_kwh=50_000.0):
    """A real register, read every 5 minutes."""
    return rows(
        [(START + first * BLOCK + k * BLOCK / 3, start_kwh + k * 2.5, "mqtt") for k in range(count)]
    )


def energy_of(frame, column="energy_kwh"):
    known = frame.filter(pl.col("energy_kwh").is_not_null())
    return {round((at - START) / BLOCK): kwh for at, kwh in known.select("start", column).rows()}


def approx(energies, first=0):
    return {k: pytest.approx(e, abs=1e-5) for k, e in enumerate(energies, first) if e is not None}


@RELAXED
@given(ENERGIES)
def test_each_known_interval_has_its_own_energy_and_a_missing_one_none(energies):
    found = intervals_of(imported("0001abc", 0, energies), BOOK)
    assert energy_of(found) == approx(energies)
    assert energy_of(found, "reactive_kvarh") == approx([e and e / 2 for e in energies])
    stated = found.filter(pl.col("energy_kwh").is_not_null())
    assert set(stated["coverage"]) <= {1.0}
    assert set(stated["quality"].cast(str)) <= {"measured"}
    assert set(stated["flags"].list.join(",")) <= {"block_demand_only"}


@RELAXED
@given(ENERGIES, st.integers(0, 24), st.randoms(use_true_random=False))
def test_parts_imported_in_any_order_with_any_base_equal_one_import(energies, cut, random):
    parts = [
        imported("0001aaa", 0, energies[:cut], random.choice([0.0, 70.0, 1e5])),
        imported("0002bbb", cut, energies[cut:], random.choice([0.0, 70.0, 1e5])),
    ]
    random.shuffle(parts)
    stream = Stream(BOOK)
    for part in parts:
        stream.take(part)
    found = stream.latest()
    assert energy_of(found) == approx(energies)
    assert energy_of(found, "reactive_kvarh") == approx([e and e / 2 for e in energies])


@RELAXED
@given(ENERGIES, st.integers(1, 12), st.randoms(use_true_random=False))
def test_between_imported_values_and_a_real_register_nothing_is_invented(energies, gap, random):
    after = live(len(energies) + gap, 20)
    parts = [imported("0001abc", 0, energies), after]
    random.shuffle(parts)
    stream = Stream(BOOK)
    for part in parts:
        stream.take(part)
    own = energy_of(intervals_of(after, BOOK))
    assert energy_of(stream.latest()) == approx(energies) | {
        k: pytest.approx(e, abs=1e-6) for k, e in own.items()
    }


def figures(frame):
    stated = frame.filter(pl.col("quality").cast(str) != "missing")
    return stated.select(FIGURES).sort("start").rows()


@RELAXED
@given(
    ENERGIES, st.integers(0, 20), st.integers(0, 8), st.integers(0, 40), st.integers(1, 30),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_an_undone_import_leaves_the_intervals_as_if_it_had_never_been(
    energies, first, other, count, size, random
):
    before = pl.concat([live(other, count), imported("0001aaa", 2, [1.0, 2.0, 3.0])])
    wrong = imported("0002bbb", first, energies)
    more = live(30, random.randrange(9), 60_000.0)
    stream, never = Stream(BOOK), Stream(BOOK)
    order = list(range(len(wrong)))
    if random.random() < 0.5:
        random.shuffle(order)
    stream.take(before)
    never.take(before)
    for whole in (wrong[order], undone(wrong)[order], more):
        for k in range(0, len(whole), size):
            stream.take(whole[k : k + size])
            if random.random() < 0.2:
                stream.restart()
    never.take(more)
    assert figures(stream.latest()) == figures(never.latest())
    everything = pl.concat([before, wrong, undone(wrong), more])
    assert figures(intervals_of(everything, BOOK)) == figures(never.latest())


@RELAXED
@given(ENERGIES, st.randoms(use_true_random=False))
def test_readings_and_withdrawals_may_come_in_any_order(energies, random):
    wrong, kept = imported("0002bbb", 1, energies), live(0, 40)
    whole = pl.concat([kept, wrong, undone(wrong)])
    order = list(range(len(whole)))
    random.shuffle(order)
    stream = Stream(BOOK)
    for k in range(0, len(order), 7):
        stream.take(whole[order[k : k + 7]])
    assert figures(stream.latest()) == figures(intervals_of(kept, BOOK))


def test_an_import_again_after_its_undoing_counts():
    first, again = imported("0001aaa", 0, [1.0, 2.0]), imported("0002bbb", 0, [1.0, 2.0])
    stream = Stream(BOOK)
    for part in (first, undone(first)):
        stream.take(part)
    assert energy_of(stream.latest()) == {}
    stream.take(again)
    assert energy_of(stream.latest()) == approx([1.0, 2.0])
    assert stream.latest()["revision"].to_list() == [2, 2]


def test_sources_that_only_look_like_imports_are_none():
    told = pl.Series(["mqtt", "import:notes.csv", "import:1234567", "importer:12345ab:x"])
    found = origins(told)
    assert found is not None
    assert found.to_list() == [0, 0, 4 * 0x1234567, 0]
    assert [id_of(one) for one in told] == ["", "", "1234567", ""]
    assert origins(pl.Series(["mqtt", "modbus:b1"])) is None
    plain = rows([(START, 1.0, "mqtt")])
    assert standing(plain) is plain
