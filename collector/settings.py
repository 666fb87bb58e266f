"""Settings of the collector: `collector:` in demandwatch.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from collector.brokersettings import BrokerSettings, Port, Seconds, TlsSettings
from collector.edgesettings import EdgeSettings
from collector.linesettings import LineSettings
from collector.site import Identifier, Strict


class MqttSettings(BrokerSettings):
    """The broker meters publish to."""

    client_id: Identifier = "demandwatch-collector"
    """Names the broker's session: keep it, or messages queued for the old name are lost to us."""
    topics: tuple[str, ...] = ("demandwatch/v1/+/readings",)
    """Topic filters of canonical readings, `demandwatch/v1/<meter_id>/readings`. Topics of payload
    mappings are added by themselves; what is taken out is unsubscribed."""
    activity_topics: tuple[str, ...] = ("demandwatch/v1/+/activity",)
    """Topic filters of declarations, `demandwatch/v1/<site_id>/activity`; empty: none are taken.
    Never shared: each system keeps a book of its own. An edge takes none."""
    shared_group: Identifier | None = None
    """Set it (and distinct client ids) for several collectors to share the load (`$share/...`). A
    member that is away gets its share when it returns under its client id (deploy/mosquitto)."""
    receive_maximum: Annotated[int, Field(ge=1, le=65535)] = 20_000
    """Unacknowledged messages the broker may have under way to us; bounds memory. With 3.1.1 we
    stop reading beyond it."""
    session_expiry_hours: Annotated[float, Field(gt=0, le=1_193_046)] = 24 * 7
    """How long the broker keeps messages for us while we are away; a week outlasts a holiday."""

    @field_validator("topics", "activity_topics")
    @classmethod
    def _filters(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            levels = topic.split("/")
            if (
                not topic
                or "#" in levels[:-1]
                or any(len(x) > 1 and set(x) & {"+", "#"} for x in levels)
            ):
                raise ValueError(f"topic filter {topic!r}: `+` fills one level, `#` only the last")
        return topics


class BusSettings(Strict):
    """One Modbus link (a gateway or a serial line) with the meters behind it."""

    id: Identifier
    """What a meter's `source: {via: modbus, bus: ...}` refers to."""
    kind: Literal["tcp", "rtu", "rtu_over_tcp", "tls"] = "tcp"
    """`tcp`: Modbus TCP; `rtu`: a serial device of this machine; `rtu_over_tcp`: a serial server
    that passes RTU frames through; `tls`: Modbus/TCP Security."""
    host: str = ""
    """Address of the gateway; not for `rtu`."""
    port: Port = 502
    """502 is the registered port, 802 that of `tls`."""
    device: str = ""
    """Serial device, e.g. /dev/ttyUSB0 or better /dev/serial/by-id/...; for `rtu` only."""
    baudrate: Annotated[int, Field(ge=300, le=921_600)] = 9600
    """Of the serial line, also of one behind a serial server."""
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    tls: TlsSettings | None = None
    """For `tls` only; absent: the system's authorities, no certificate of our own."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Longest wait for one answer; a slow serial gateway needs 2 to 3 s. On a serial line the time
    the bytes take at `baudrate` is added."""
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    """Repetitions of a request that was not answered, before the meter counts as failed."""
    pause_after_connect_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    """Some gateways drop requests right after the connection."""
    pause_between_s: Annotated[float, Field(ge=0, le=10)] | None = None
    """Silence between two requests. Absent: none over TCP; with RTU frames 3.5 characters of 11
    bits, above 19200 baud 1.75 ms (Modbus over Serial Line V1.02, 2.5.1.1)."""
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    """Most registers in one request; 125 is the protocol's limit, some meters stop at less."""
    max_gap: Annotated[int, Field(ge=0, le=124)] = 8
    """Unused registers read along to save a request."""
    backoff_min_s: Seconds = 5.0
    """First pause of a meter that does not answer; doubles up to `backoff_max_s`."""
    backoff_max_s: Seconds = 300.0

    @model_validator(mode="before")
    @classmethod
    def _registered_port(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("kind") == "tls":
            return {"port": 802, **data}
        return data

    @model_validator(mode="after")
    def _address(self) -> "BusSettings":
        given = self.model_fields_set
        if self.kind == "rtu":
            if not self.device:
                raise ValueError("`device` is required for kind rtu")
            if foreign := sorted(given & {"host", "port"}):
                raise ValueError(f"`{foreign[0]}` is not for kind rtu, which has a `device`")
        elif not self.host:
            raise ValueError(f"`host` is required for kind {self.kind}")
        elif "device" in given:
            raise ValueError(f"`device` is for kind rtu only, not for {self.kind}")
        if self.tls is not None and self.kind != "tls":
            raise ValueError(f"`tls` is for kind tls only, not for {self.kind}")
        if self.backoff_max_s < self.backoff_min_s:
            raise ValueError("`backoff_max_s` must not be below `backoff_min_s`")
        return self

    @property
    def unnumbered(self) -> bool:
        """Whether frames carry no transaction id (RTU)."""
        return self.kind in {"rtu", "rtu_over_tcp"}

    @property
    def pause_s(self) -> float:
        """Silence kept before each request, in seconds."""
        if self.pause_between_s is not None:
            return self.pause_between_s
        if not self.unnumbered:
            return 0.0
        return 3.5 * 11 / self.baudrate if self.baudrate <= 19_200 else 0.00175

    @property
    def where(self) -> str:
        """The link's address, for people."""
        return self.device or f"{self.host}:{self.port}"

    def wire_s(self, registers: int) -> float:
        """Return how long a request of `registers` and its answer are on a serial line, seconds.

        8 bytes there, 5 and two a register back, 11 bits each.
        """
        return (13 + 2 * registers) * 11 / self.baudrate if self.unnumbered else 0.0


class JournalSettings(Strict):
    """The durable queue between the sources and the arithmetic."""

    keep_hours: Annotated[float, Field(ge=1, le=8760)] = 72.0
    """Readings already worked up are kept this long for a recount; three days span a weekend."""
    commit_within_ms: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """Longest a reading waits for others to share its fsync; under load none waits. More spares
    the disk, less answers sooner a broker that has only a few messages under way to us."""
    queue_rows: Annotated[int, Field(ge=1000, le=50_000_000)] = 500_000
    """Rows waiting for the disk before sources are held back (about 100 bytes a row)."""


class CollectorSettings(Strict):
    """Everything the collector needs beside the sites."""

    mqtt: MqttSettings | None = None
    """Absent: no meter may have `via: mqtt`."""
    buses: tuple[BusSettings, ...] = ()
    lines: tuple[LineSettings, ...] = ()
    """Lines of meters that speak DL/T 645."""
    journal: JournalSettings = JournalSettings()
    edge: EdgeSettings | None = None
    """For `demandwatch collect`: where this collector forwards what it reads."""

    @field_validator("buses")
    @classmethod
    def _distinct(cls, buses: tuple[BusSettings, ...]) -> tuple[BusSettings, ...]:
        ids = [bus.id for bus in buses]
        if len(set(ids)) < len(ids):
            raise ValueError("each bus needs an id of its own")
        devices = [bus.device for bus in buses if bus.device]
        if len(set(devices)) < len(devices):
            raise ValueError("two buses share a serial device; put their meters on one bus")
        return buses

    @field_validator("lines")
    @classmethod
    def _distinct_lines(cls, lines: tuple[LineSettings, ...]) -> tuple[LineSettings, ...]:
        for what in ("id", "where"):
            told = [getattr(line, what) for line in lines]
            if len(set(told)) < len(told):
                raise ValueError("each line needs an id and a device or server of its own")
        return lines
