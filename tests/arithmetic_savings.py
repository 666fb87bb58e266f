"""What the examples of docs/arithmetic-savings.md call; not a test itself."""

from datetime import date, timedelta

from baseline_rows import event, held, instant, rows, state, steady

from processors.events import BaselineSettings

FRIDAY = date(2026, 11, 20)
START, END = instant("2026-11-20 14:00"), instant("2026-11-20 16:00")
RULE = BaselineSettings(keep=2, of=3, beside_days=0)


def event_of(like_kw, during, cut_kw, before=None, proof=True):
    """EVENTS row of an event after three working days, all at a steady demand."""
    blocks = {}
    for n, kw in enumerate(like_kw):
        blocks |= steady(FRIDAY - timedelta(days=len(like_kw) - n), 1, kw)
    usual = sum(sorted(like_kw)[-2:]) / 2 if before is None else before
    blocks |= steady(FRIDAY, 1, usual)
    blocks |= {at: (during / 4, 1.0, False) for at in blocks if START <= at < END}
    asked = event(START, END, START - timedelta(hours=1) if proof else None, cut_kw=cut_kw)
    row = state(rows(blocks), [asked], [held()], RULE).events.row(0, named=True)
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}


HELPERS = {"event_of": event_of}
