"""A rule and the rows that breach it, for the tests of alerting."""

from datetime import UTC, datetime, timedelta

import polars as pl

from alerting.rules import Compiled, Rule
from collector.reading import UTC_US

T0 = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
RULE = Compiled.of(
    Rule.model_validate({
        "id": "contract", "on": "site_interval", "when": "demand_kw > contract_demand_kw",
        "severity": "critical", "labels": {"clause": "5.1"}, "notify": ["hook"],
        "text": {"zh": "{site_name} {end} 需量 {demand_kw:.1f} kW", "en": "{coverage} {demand_kw}"},
    })
)  # fmt: skip


def block(n, demand, site="a"):
    """Return block `n` after T0 of a site whose contract demand is 100 kW."""
    start = T0 + n * timedelta(minutes=15)
    row = {"site_id": site, "start": start, "end": start + timedelta(minutes=15)}
    frame = pl.DataFrame([row | {"demand_kw": demand, "contract_demand_kw": 100.0}])
    return frame.cast({"start": UTC_US, "end": UTC_US})
