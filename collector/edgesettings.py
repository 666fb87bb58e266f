"""Settings of a collector at the edge: `collector.edge` in demandwatch.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from collector.brokersettings import BrokerSettings, Port
from collector.site import Identifier, Strict


class EdgeSettings(Strict):
    """Where `demandwatch collect` forwards to, and how much it keeps while it cannot."""

    id: Identifier
    """Names this collector upstream: its meters there have `source: {via: edge, edge: <id>}`, and
    it publishes to `demandwatch/v1/_batch/<id>`."""
    upstream: BrokerSettings = BrokerSettings()
    """The broker of the upper side."""
    batch_rows: Annotated[int, Field(ge=1, le=50_000)] = 5_000
    """Readings in one message at most; 5,000 of 8 quantities are about 250 kB."""
    batch_within_s: Annotated[float, Field(ge=0, le=3600)] = 1.0
    """Longest a reading waits for others to share its message."""
    catch_up_readings_per_s: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    """Pace of the backlog after an outage. Live readings come first whatever it is; it keeps the
    backlog from queueing up in the broker, where live readings would stand behind it."""
    capacity_hours: Annotated[float, Field(gt=0, le=87_600)] = 72.0
    """Readings not yet forwarded are kept this long; three days outlast a weekend."""
    capacity_mb: Annotated[int, Field(ge=1, le=10_000_000)] = 4_096
    """And take no more room than this (MB = 10^6 bytes); the disk's own end counts too."""
    when_full: Literal["keep_newest", "keep_oldest"] = "keep_newest"
    """`keep_newest`: the oldest unforwarded readings are given up and noted as lost; energy
    survives in the registers of the later ones. `keep_oldest`: sources are refused, brokers keep
    what they have, polls do not count."""
    status_host: str = "127.0.0.1"
    status_port: Port = 8090
    """Where /metrics, /healthz and /status are served."""

    @field_validator("id")
    @classmethod
    def _no_clash(cls, name: str) -> str:
        if name == "readings":
            raise ValueError("`readings` is the end of the canonical topic: any other name")
        return name
