"""Files of interval values in any order, cut anywhere, corrected and undone: the same energy."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from fakes.stream_driver import book_of, readings_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from collector.imported import made_by, withdrawals
from collector.mappings import FileMapping
from collector.reading import KEY, conform, empty
from collector.sources.files import reader_of
from processors.blocks import intervals_of

START = datetime(2025, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
BOOK = book_of(["m"], rated_power_kw=500.0, max_interpolation_gap_s=3600)
VALUES = st.lists(st.one_of(st.none(), st.integers(0, 99_000)), min_size=1, max_size=20)


def mapping(minutes=15):
    return FileMapping.model_validate(
        {
            "title": {"zh": "试", "en": "test"},
            "layout": "one_meter",
            "meter": "m",
            "time": {
                "column": "t", "format": "%Y-%m-%d %H:%M", "zone": "UTC",
                "stamp": "start", "every_minutes": minutes,
            },
            "values": [
                {"column": "wh", "quantity": "energy_import_kwh", "gives": "interval", "unit": "Wh"}
            ],
        }
    )  # fmt: skip


@dataclass
class World:
    """What was journalled so far; every import knows it, as the command's do."""

    folder: Path
    rows: pl.DataFrame = field(default_factory=empty)
    count: int = 0
    upon: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def take(self, first, values, minutes=15, random=None, cells=2_000_000):
        """Import one value an interval from interval number `first`; None: an empty cell."""
        self.count += 1
        step = timedelta(minutes=minutes)
        lines = [
            f"{START + k * step:%Y-%m-%d %H:%M},{'' if wh is None else wh}"
            for k, wh in enumerate(values, first)
        ]
        if random is not None:
            random.shuffle(lines)
        path = self.folder / f"{self.count}.csv"
        path.write_text("\n".join(["t,wh", *lines]))
        name = f"{self.count:07x}"
        now = NOW + timedelta(minutes=self.count)
        reader = reader_of(
            path, mapping(minutes), now, import_id=name, around=self.around, cells=cells
        )
        self.rows = pl.concat([self.rows, *(conform(frame) for frame in reader.frames())])
        self.upon[name] = reader.continued
        return name, reader.sieve.counts

    def around(self, meters, start, end):
        at = pl.col("measured_at")
        return self.rows.filter((at >= start) & (at < end) & pl.col("meter_id").is_in(meters))

    def undo(self, name):
        keys = self.rows.filter(made_by(name)).select(KEY)
        gone = withdrawals(keys, name, "f", NOW + timedelta(days=1))
        self.rows = pl.concat([self.rows, conform(gone)])
        del self.upon[name]

    def may_be_undone(self, name):
        return not any(name in others for others in self.upon.values())

    def energies(self):
        found = intervals_of(self.rows, BOOK).filter(pl.col("energy_kwh").is_not_null())
        assert set(found["coverage"]) <= {1.0}
        return {
            round((at - START) / QUARTER): kwh
            for at, kwh in found.select("start", "energy_kwh").rows()
        }


def approx(values):
    return {k: pytest.approx(wh / 1000, abs=1e-5) for k, wh in values.items() if wh is not None}


RELAXED = settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # a world of files takes minutes to shrink
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@RELAXED
@given(
    st.lists(st.tuples(st.integers(0, 20), VALUES), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_overlapping_corrections_and_undone_imports(tmp_path, files, random):
    world, told = World(tmp_path), {}
    for first, values in files:
        name, refused = world.take(first, values)
        assert not refused
        told[name] = {k: wh for k, wh in enumerate(values, first) if wh is not None}
        assert world.energies() == approx(merged(told))
    for name in random.sample(sorted(told), len(told)):
        if world.may_be_undone(name):
            world.undo(name)
            del told[name]
            assert world.energies() == approx(merged(told))


def merged(told):
    """What stands of each interval: what the last import that has it says."""
    return {k: wh for values in told.values() for k, wh in values.items()}


@RELAXED
@given(VALUES, st.sets(st.integers(1, 19), max_size=4), st.randoms(use_true_random=False))
def test_parts_in_any_order_equal_the_whole(tmp_path, values, cuts, random):
    edges = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    parts = list(pairwise(edges))
    random.shuffle(parts)
    world, whole = World(tmp_path), World(tmp_path)
    for first, end in parts:
        world.take(first, values[first:end])
    whole.take(0, values)
    expected = approx(dict(enumerate(values)))
    assert world.energies() == expected
    assert whole.energies() == expected


PIECES, CHANCE = st.integers(2, 40), st.randoms(use_true_random=False)


def taken_upon(tmp_path, before, values, **how):
    """Import `values` over `before`; return what stands and what should."""
    world = World(tmp_path)
    world.take(3, before)
    _, refused = world.take(0, values, **how)
    assert not refused
    told = dict(enumerate(before, 3)) | {
        k: wh for k, wh in enumerate(values) if wh is not None or k < 3
    }
    return world.energies(), approx(told)


@RELAXED
@given(VALUES, VALUES, CHANCE)
def test_lines_in_any_order_equal_the_whole(tmp_path, before, values, random):
    stands, told = taken_upon(tmp_path, before, values, random=random)
    assert stands == told


@RELAXED
@given(VALUES, VALUES, PIECES)
def test_pieces_of_any_size_equal_the_whole(tmp_path, before, values, cells):
    stands, told = taken_upon(tmp_path, before, values, cells=cells)
    assert stands == told


@RELAXED
@given(VALUES, VALUES, PIECES, CHANCE)
def test_pieces_in_any_order_equal_the_whole(tmp_path, before, values, cells, random):
    stands, told = taken_upon(tmp_path, before, values, random=random, cells=cells)
    assert stands == told


@RELAXED
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 400), st.integers(0, 9)), max_size=30),
    PIECES,
)
def test_pieces_refuse_what_the_whole_refuses(tmp_path, lines, cells):
    """Doubled and overlapping intervals, wherever they are cut."""
    path = tmp_path / "file.csv"
    rows = [
        f"{meter},{START + timedelta(minutes=at):%Y-%m-%d %H:%M},{wh}" for meter, at, wh in lines
    ]
    path.write_text("\n".join(["id,t,wh", *rows]))
    how = mapping().model_copy(update={"layout": "meter_a_row", "meter_column": "id"})
    taken = []
    for size in (2_000_000, cells):
        reader = reader_of(path, how, NOW, cells=size)
        frame = pl.concat(reader.frames())
        ends = frame.filter(pl.col("source").str.starts_with("import-interval:")).select(KEY)
        taken.append((reader.sieve.bad().rows(), ends.sort(KEY).rows()))
        assert reader.done == 1.0
    assert taken[0] == taken[1]


def test_intervals_that_overlap_are_found_however_far_apart_their_lines_are(tmp_path):
    shifted = [f"2025-01-{d:02} 10:00,1" for d in range(1, 29)] + ["2025-01-02 10:07,50"]
    path = tmp_path / "file.csv"
    path.write_text("\n".join(["t,wh", *shifted, *shifted[:2]]))
    reader = reader_of(path, mapping(), NOW, cells=20)
    frames = list(reader.frames())
    assert len(frames) > 4
    assert reader.sieve.counts == {"overlapping_interval": 1, "duplicate_key": 2}


def register(first, count):
    """A real register, read on the quarters."""
    return readings_of([("m", START + (first + k) * QUARTER, 5000.0 + k) for k in range(count)])


def test_intervals_in_which_the_meter_was_read_are_refused_and_nothing_else_changes(tmp_path):
    world = World(tmp_path)
    world.rows = conform(register(8, 5))
    own = world.energies()
    _, refused = world.take(0, [1000] * 20)
    assert refused == {"already_read": 5}  # the one that ends at the first reading, and four within
    expected = dict.fromkeys([*range(7), *range(12, 20)], 1.0) | own
    assert world.energies() == {k: pytest.approx(kwh) for k, kwh in expected.items()}


def test_another_grid_over_imported_values_is_refused_with_what_to_undo(tmp_path):
    world = World(tmp_path)
    world.take(0, [1000] * 8)
    _, refused = world.take(0, [9000] * 3, minutes=60)
    assert refused == {"already_read": 2}
    assert world.energies() == approx(
        dict.fromkeys(range(8), 1000) | dict.fromkeys(range(8, 12), 2250)
    )


def test_an_import_among_anothers_values_must_be_undone_first(tmp_path):
    world = World(tmp_path)
    year, _ = world.take(0, [1000] * 10)
    day, _ = world.take(3, [2000] * 2)
    assert not world.may_be_undone(year)
    world.undo(day)
    assert world.may_be_undone(year)
    same, _ = world.take(0, [3000] * 10)
    assert world.may_be_undone(year)
    world.undo(year)
    assert world.energies() == approx(dict.fromkeys(range(10), 3000))
    assert same != year
