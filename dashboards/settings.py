"""Settings of what is shown and sent on: `dashboards:` in demandwatch.yaml."""

from typing import Annotated

from pydantic import AnyHttpUrl, Field, SecretStr

from collector.site import Strict


class InfluxSettings(Strict):
    """The InfluxDB that Grafana reads; written with the v2 API, which 1.8, 2.x and 3 speak."""

    url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8086")
    """Address of the server, without the path of the API."""
    org: str = "demandwatch"
    """Organisation (2.x); 1.x and 3 ignore it."""
    bucket: str = "demandwatch"
    """Bucket (2.x, 3) or database (1.x); it must exist."""
    token: SecretStr = SecretStr("")
    """Token with write permission; write it as `${NAME}`. For 1.x: `user:password`."""
    batch_rows: Annotated[int, Field(ge=100, le=200_000)] = 20_000
    """Intervals a request carries; 20,000 are about 6 MB of line protocol, 1 MB compressed."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Longest wait for one request; a slow server is asked again later."""
    backoff_max_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Longest pause between attempts while the server is away; the first is 1 s, then doubling."""


class DashboardsSettings(Strict):
    """Sinks and screens."""

    influx: InfluxSettings | None = None
    """Absent: nothing is sent to an InfluxDB."""
