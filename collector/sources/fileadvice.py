"""What each reason of refusal means to who imports a file, and what to do about it."""

from collector.reason import Reason

ADVICE: dict[Reason, str] = {
    Reason.NO_TIME: "the line has no time",
    Reason.BAD_TIME: "the time is not as the mapping's `format` says; a line of totals is one too",
    Reason.NONEXISTENT_TIME: "the clocks went forward over this hour: is the `zone` right?",
    Reason.AMBIGUOUS_TIME: "the clocks went back over this hour and the file has it once: which of"
    " the two it was cannot be known",
    Reason.TIME_IN_FUTURE: "the time lies ahead of now: are day and month changed about?",
    Reason.TIME_BEFORE_2000: "the time lies before the year 2000: the meter's clock lost its date",
    Reason.NOT_A_NUMBER: "no number: see `decimal_comma`, `thousands` and `missing` in the mapping",
    Reason.NOT_FINITE: "infinite or not a number",
    Reason.OUT_OF_RANGE: "no meter shows that: negative energy, or another unit than the mapping's",
    Reason.UNKNOWN_METER: "no site has a meter of this name: add it, or name the column in"
    " `ignore_columns`",
    Reason.DUPLICATE_KEY: "the file gave this meter a value for this time before; the first counts",
    Reason.OVERLAPPING_INTERVAL: "it begins before the interval before it ends: is `every_minutes`"
    " right?",
    Reason.ALREADY_READ: "the meter's register was read in this interval, or another import cut it"
    " otherwise: leave it out, or undo that import first",
    Reason.COLUMN_COUNT: "the line has not as many columns as the headings: see `separator`",
}
"""One sentence a reason, without its full stop."""
