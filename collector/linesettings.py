"""Settings of the lines on which meters speak DL/T 645: `collector.lines` in demandwatch.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from collector.site import Identifier, Strict


class LineSettings(Strict):
    """One RS-485 line with its meters: at a serial port, or behind a TCP serial server."""

    id: Identifier
    """What a meter's `source: {via: dlt645, line: ...}` refers to."""
    kind: Literal["serial", "tcp"] = "serial"
    device: str = ""
    """Serial device, e.g. /dev/ttyUSB0; for `serial` only."""
    host: str = ""
    """Address of the serial server (transparent mode); for `tcp` only."""
    port: Annotated[int, Field(ge=1, le=65535)] = 4001
    """Serial servers have none in common; 4001 is a frequent default."""
    baudrate: Annotated[int, Field(ge=300, le=115_200)] = 2400
    """Of the line, also behind a serial server: it tells how long a frame takes. 2400 is the
    standard's for RS-485; newer meters come with 9600."""
    parity: Literal["N", "E", "O"] = "E"
    """The standard wants even parity."""
    stop_bits: Literal[1, 2] = 1
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Longest wait for an answer to begin. The standard allows meters 0.5 s; serial servers over
    mobile networks need 2 to 5 s."""
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    """Repetitions of a request that was not answered, before the meter counts as failed."""
    pause_between_s: Annotated[float, Field(ge=0, le=10)] = 0.03
    """Silence on the line before each request; what is heard in it is thrown away."""
    pause_after_connect_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    backoff_min_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """First pause of a meter that does not answer; doubles up to `backoff_max_s`."""
    backoff_max_s: Annotated[float, Field(gt=0, le=3600)] = 300.0

    @model_validator(mode="after")
    def _address(self) -> "LineSettings":
        if self.kind == "serial" and not self.device:
            raise ValueError("`device` is required for kind serial")
        if self.kind == "tcp" and not self.host:
            raise ValueError("`host` is required for kind tcp")
        if self.backoff_max_s < self.backoff_min_s:
            raise ValueError("`backoff_max_s` must not be below `backoff_min_s`")
        return self

    @property
    def where(self) -> str:
        """The line's place, for messages."""
        return self.device if self.kind == "serial" else f"{self.host}:{self.port}"
