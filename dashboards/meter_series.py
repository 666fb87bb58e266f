"""The fleet for Prometheus: counts by state, and a few series a meter up to a limit; pure.

Written as text in one go: ten thousand metric objects would cost more than what they say.
"""

import polars as pl

from processors.condition import State

_META = (
    ("last_heard_timestamp_seconds", "Last arrival of a reading, seconds since 1970", "heard_s"),
    ("success_ratio", "Share of polls or messages of the last hour that succeeded", "success_hour"),
    ("response_seconds", "Mean answer time over the last hour", "response_s"),
    ("clock_offset_seconds", "The meter's clock minus ours, by its own word", "clock_offset_s"),
    ("well", "1 if the meter's state is ok or file", "well"),
)


def series(condition: pl.DataFrame, most: int) -> bytes:
    """Return the text exposition of CONDITION rows; meters one by one only if at most `most`."""
    counts = dict(condition["state"].value_counts().iter_rows())
    told = ["# HELP demandwatch_meters Meters by state\n# TYPE demandwatch_meters gauge\n"]
    told += [
        f'demandwatch_meters{{state="{one.value}"}} {counts.get(one.value, 0)}\n' for one in State
    ]
    if condition.height <= most:
        rows = condition.with_columns(
            heard_s=pl.col("heard_at").dt.epoch("ms") / 1000,
            response_s=pl.col("response_mean_ms") / 1000,
            well=pl.col("state").is_in([State.OK.value, State.FILE.value]).cast(pl.Int8),
        )
        told += [_metric(rows, name, doc, column) for name, doc, column in _META]
    return "".join(told).encode()


def _metric(rows: pl.DataFrame, name: str, doc: str, column: str) -> str:
    """Return one metric of all meters that have a value; ids need no escaping by their pattern."""
    full = f"demandwatch_meter_{name}"
    line = pl.concat_str(
        *(pl.lit(f'{full}{{meter="'), "meter_id", pl.lit('",site="'), "site_id", pl.lit('"} ')),
        *(column, pl.lit("\n")),
    )
    lines = rows.filter(pl.col(column).is_not_null()).select(line).to_series()
    return f"# HELP {full} {doc}\n# TYPE {full} gauge\n" + "".join(lines.to_list())
