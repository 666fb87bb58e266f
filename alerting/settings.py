"""Settings of the stage: channels that carry notices, and how long they are tried."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from collector.site import Identifier, Strict

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class WebhookSettings(Strict):
    """One HTTP endpoint that receives each notice as JSON."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """Address of the endpoint; a token belongs in `headers` or `${ENV}`, not here."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Extra request headers, e.g. `Authorization: Bearer ${TOKEN}`."""
    secret: SecretStr | None = None
    """Key of an HMAC-SHA256 over the body, sent as `X-Demandwatch-Signature: sha256=<hex>`."""
    timeout_s: Seconds = 10.0
    """Longest wait for the endpoint's answer; longer than a slow gateway, shorter than a retry."""


Channel = Annotated[WebhookSettings, Field()]
"""Settings of one channel; each kind has one notifier in alerting/notifiers."""


class OutboxSettings(Strict):
    """How a notice that could not be delivered is tried again."""

    first_retry_s: Seconds = 2.0
    """Real seconds before the first retry; doubled after each failure."""
    longest_retry_s: Seconds = 300.0
    """Upper limit of the wait, so a channel that returns is noticed within 5 minutes."""
    attempts: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    """Tries before a notice is given up as failed: about a week at the longest wait."""


class AlertingSettings(Strict):
    """Key `alerting:` of demandwatch.yaml."""

    rules: str = "rules"
    """Folder of rule files (*.yaml), relative to demandwatch.yaml."""
    channels: dict[Identifier, Channel] = Field(default_factory=dict)
    """Channels by the name that rules use under `notify`."""
    outbox: OutboxSettings = OutboxSettings()
    judge_within_hours: Annotated[float, Field(gt=0, le=8784)] = 168.0
    """Blocks that ended longer ago are not judged: importing last year raises no alarm. A week is
    longer than a gateway's usual absence."""
    evidence_key: str = "keys/evidence.pem"
    """Ed25519 private key that seals packages, relative to the data folder; made on first use."""
