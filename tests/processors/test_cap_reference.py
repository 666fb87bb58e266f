"""Load caps against a plain calculation: silent meters, estimates, caps that follow each other."""

import os
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from fakes.reference_cap import account
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import at, meter, site

from processors.cap import cap_accounts
from processors.interval import INTERVAL

EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "30"))
BERLIN, DAY = ZoneInfo("Europe/Berlin"), date(2026, 10, 25)
"""A day of 25 hours."""
QUARTER = timedelta(minutes=15)
BLOCK = st.one_of(
    st.none(),
    st.tuples(
        st.one_of(st.none(), st.sampled_from([0.0, 50.0, 50.25, 100.0])),
        st.sampled_from(["measured", "interpolated", "estimated"]),
    ),
)


@given(st.lists(BLOCK, min_size=1, max_size=120), st.lists(BLOCK, max_size=120),
       st.integers(0, 110), st.randoms(use_true_random=False))  # fmt: skip
@settings(max_examples=EXAMPLES, deadline=None)
def test_every_figure_of_a_cap(first, second, passed, chance):
    begin = at(DAY, BERLIN)
    blocks, rows = {}, []
    for name, told in (("m", first), ("n", second)):
        for n, one in enumerate(told):
            if one is not None:
                kw, quality = one
                blocks[name, begin + n * QUARTER] = (kw, quality == "estimated")
                known = {
                    "meter_id": name, "start": begin + n * QUARTER, "demand_kw": kw,
                    "quality": "missing" if kw is None else quality,
                }  # fmt: skip
                rows.append({column: known.get(column) for column in INTERVAL})
    chance.shuffle(rows)
    cap = {"from": DAY.isoformat(), "until": "2026-10-26", "value": 100}
    of = site(cap_kw=[cap], timezone="Europe/Berlin", meters=[meter("m"), meter("n")])
    now = begin + passed * QUARTER + timedelta(minutes=4)
    frame = pl.DataFrame(rows, schema=INTERVAL, orient="row")
    found = cap_accounts(frame, [of], date(2026, 10, 1), date(2026, 11, 1), now)
    due = min(passed, 100)
    starts = [begin + n * QUARTER for n in range(due)]
    if not due:
        assert found.is_empty()
        return
    row = found.row(0, named=True)
    decided, above, kwh, worst, worst_at, guessed = account(blocks, ("m", "n"), 100.0, starts)
    assert (row["blocks_due"], row["blocks"], row["blocks_above"]) == (due, decided, above)
    assert row["kwh_above"] == pytest.approx(kwh)
    assert (row["worst_kw"], row["worst_at"]) == (worst, worst_at)
    assert row["estimated_share"] == pytest.approx(guessed)
    assert row["coverage"] == pytest.approx(decided / due)
