"""How a broker is reached: the same keys wherever a broker is named."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from collector.site import Strict

Seconds = Annotated[float, Field(gt=0, le=3600)]
Port = Annotated[int, Field(ge=1, le=65535)]


class TlsSettings(Strict):
    """Transport security towards a broker or gateway."""

    ca: Path | None = None
    """Certificate authority that signed the peer; None: the system's."""
    cert: Path | None = None
    """Own certificate, where the peer demands one."""
    key: Path | None = None
    """Private key of `cert`."""

    @model_validator(mode="after")
    def _pair(self) -> "TlsSettings":
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` are given together or not at all")
        return self


class BrokerSettings(Strict):
    """An MQTT broker."""

    host: str = "127.0.0.1"
    port: Port = 1883
    """1883 is the registered port; 8883 with TLS."""
    protocol: Literal["5", "3.1.1"] = "5"
    username: str | None = None
    password: SecretStr | None = None
    """Write it as `${NAME}`: the value comes from the environment and is printed as ***."""
    password_file: Path | None = None
    """File whose first line is the password; instead of `password`."""
    tls: TlsSettings | None = None
    """Absent: plain TCP."""
    max_payload_bytes: Annotated[int, Field(ge=1024, le=268_435_455)] = 1_048_576
    """Larger messages are rejected unread, and never sent; 1 MiB holds about 4,000 readings of
    JSON."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    reconnect_max_s: Seconds = 30.0
    """Longest pause between attempts to reach the broker; the first is 1 s, then doubling."""

    @model_validator(mode="after")
    def _one_password(self) -> "BrokerSettings":
        if self.password is not None and self.password_file is not None:
            raise ValueError("give `password` or `password_file`, not both")
        return self

    def secret(self) -> str | None:
        """Return the password.

        Raises:
            OSError: `password_file` cannot be read.
        """
        if self.password_file is not None:
            return self.password_file.read_text(encoding="utf-8").splitlines()[0]
        return self.password.get_secret_value() if self.password else None
