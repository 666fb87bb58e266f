"""Settings of what is shown and sent on: `dashboards:` in demandwatch.yaml."""

from typing import Annotated, Literal

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


class ConsoleSettings(Strict):
    """The built-in pages and the API."""

    host: str = "127.0.0.1"
    """Address to listen on; only this machine by default, because there are no users yet."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """TCP port; 0 takes any free one."""
    try_next_ports: Annotated[int, Field(ge=0, le=100)] = 0
    """How many ports above `port` may be tried if it is taken; 0: a taken port is an error."""
    language: Literal["zh", "en"] = "zh"
    """Language of the first visit; the switch on the page is remembered by the browser."""
    refresh_s: Annotated[float, Field(ge=0.2, le=60)] = 2.0
    """Real seconds between two updates of a page; a value is shown at most this much late."""
    silent_after_s: Annotated[float, Field(gt=0, le=86400)] = 900.0
    """Site seconds without a reading after which a meter is silent: one 15-minute block."""


class DashboardsSettings(Strict):
    """Sinks and screens."""

    console: ConsoleSettings = ConsoleSettings()

    meter_series: Annotated[int, Field(ge=0, le=200_000)] = 10_000
    """Most meters that get series of their own in /metrics (five a meter); a larger fleet is told
    by counts alone, for Prometheus holds every series in memory."""

    influx: InfluxSettings | None = None
    """Absent: nothing is sent to an InfluxDB."""
