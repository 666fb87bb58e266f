"""The running system judges months, quarters and the year to date beside the rolling year."""

from datetime import date
from threading import Event

import polars as pl
from policy_rows import REPO, at, day_rows, site

from alerting.ledger import Ledger
from alerting.office import Alerting
from alerting.watch import Watch
from collector.clock import Clock
from dashboards.view_verdict import intensities
from processors.book import Book
from processors.claims import Span
from processors.history.store import History
from processors.live import LIVE, Live
from processors.policy.load import load_packs
from processors.settings import ProcessorsSettings, VerdictSettings

NOW = at(date(2017, 8, 9))
SHOP = site(guide="demo-tertiary")
PACKS, _ = load_packs(REPO / "config" / "policy")


def test_periods_are_judged_from_the_declared_site_and_the_screen_shows_each_once(tmp_path):
    history = History(tmp_path / "history", lambda: NOW, Book.of([SHOP]))
    history._tables.days.append(day_rows("m", date(2015, 12, 31), date(2017, 8, 11), 300.0))
    history._tables.days.refresh()
    ledger = Ledger(tmp_path / "ledger.db", lambda: NOW)
    live = Live(NOW, pl.DataFrame(schema=LIVE), 0, 0.0, 0, 0)
    spans = (Span.MONTH, Span.QUARTER, Span.YEAR_TO_DATE)
    settings = ProcessorsSettings(verdicts=VerdictSettings(periods=spans))
    area = [{"from": "2010-01-01", "value": 2000, "declared_by": "Li"}]
    asked = []

    def declared(instant):
        asked.append(instant)
        return (site(guide="demo-tertiary", floor_area_m2=area),)

    watch = Watch(
        Alerting([], ledger, [SHOP]), history, Book.of([SHOP]), [SHOP], PACKS, settings,
        Clock.real(), lambda: live, Event(), declared=declared,
    )  # fmt: skip
    seen = pl.concat([watch._judge(NOW), watch._judge(at(date(2017, 8, 10)))])
    kept = history.verdicts()
    ledger.close()
    assert asked[0] == NOW
    assert seen["period_start"].to_list() == [date(2016, 8, 9), date(2016, 8, 10)]
    assert kept["declared_by"].unique().to_list() == ["Li"]
    assert set(kept["annualised"]) == {None, "shape of 2016"}
    shown = intensities(kept, PACKS, "s")
    assert {(one.start, one.end) for one in shown} == {
        (date(2016, 8, 10), date(2017, 8, 10)), (date(2017, 7, 1), date(2017, 8, 1)),
        (date(2017, 4, 1), date(2017, 7, 1)), (date(2017, 1, 1), date(2017, 8, 10)),
    }  # fmt: skip
