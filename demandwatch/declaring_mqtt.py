"""Declarations over the broker: topic `demandwatch/v1/<site_id>/activity`, JSON as in the API.

    {"activity": "guests", "from": "2026-10-01", "until": "2026-11-01", "value": 930,
     "unit": "guest", "declared_by": "Li", "id": "guests-2026-10"}

or an array of such objects, each taken or refused by itself. `id` is optional: one id is kept once.
A broker tells its reader nothing of the sender but the topic. So `declared_by` is what the message
says, with the topic's site behind it, `Li (MQTT: works)`; that nobody else may use the topic is for
the broker's access list to see to.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from pydantic import ValidationError

from collector.decode import parse, text_of
from collector.metrics import Metrics
from collector.reason import Reason
from collector.rejects import Rejects
from collector.rows import Message, Rejected
from demandwatch.declaring import Declaring, Delivered, why
from processors.activity import Declaration

_MOST_ID = 128


class TopicActs:
    """Keeps what comes on sites' activity topics, on a thread of its own: readings never wait."""

    def __init__(self, declaring: Declaring, rejects: Rejects, metrics: Metrics) -> None:
        """Begin; `close` ends the thread."""
        self._declaring, self._rejects = declaring, rejects
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="declare")
        self._counted = metrics.counter(
            "declarations", "Declarations of activity heard over MQTT", ("outcome",)
        )

    def knows(self, topic: str) -> bool:
        """Return whether messages of `topic` are declarations."""
        return site_of(topic) is not None

    def take(
        self, messages: Sequence[Message], at: datetime, max_payload_bytes: int
    ) -> "Future[None]":
        """Return a future that is done when what is good is in the book; it fails as the disk does.

        What is bad is noted with its reason, and counted, once the rest is kept.
        """
        return self._worker.submit(self._keep, list(messages), at, max_payload_bytes)

    def close(self) -> None:
        """Finish what was taken."""
        self._worker.shutdown()

    def _keep(self, messages: list[Message], at: datetime, limit: int) -> None:
        told: list[tuple[str, Delivered]] = []
        refused: list[Rejected] = []
        for message in messages:
            for item in items(message, limit):
                if isinstance(item, Rejected):
                    refused.append(item)
                else:
                    told.append((message.topic, item))
        outcomes = self._declaring.deliver([one for _, one in told])
        for (topic, one), (outcome, reason) in zip(told, outcomes, strict=True):
            if outcome == "refused":
                known = one.site_id in self._declaring.site_ids
                kind = Reason.BAD_DECLARATION if known else Reason.UNKNOWN_SITE
                refused.append(Rejected(kind, topic, reason, 1))
            else:
                self._counted.labels(outcome).inc()
        for bad in refused:
            self._rejects.add(bad.reason, "mqtt", bad.topic, bad.excerpt, at, bad.count)
        self._counted.labels("refused").inc(len(refused))


def site_of(topic: str) -> str | None:
    """Return the site an activity topic belongs to, None if it is no such topic."""
    levels = topic.split("/")
    if len(levels) == 4 and levels[:2] == ["demandwatch", "v1"] and levels[3] == "activity":
        return levels[2]
    return None


def items(message: Message, limit: int) -> Iterator[Delivered | Rejected]:
    """Yield what a message declares, and what of it cannot be taken; `limit` in bytes."""
    topic, payload, stale = message
    said = text_of(payload)
    if stale is Reason.RETAINED:  # the broker says it again at each new subscription
        yield Rejected(Reason.RETAINED, topic, f"publish declarations unretained: {said}", 1)
        return
    if len(payload) > limit:
        yield Rejected(Reason.TOO_LARGE, topic, f"{len(payload)} bytes: {said}", 1)
        return
    try:
        content = parse(payload)
    except (ValueError, RecursionError) as error:
        yield Rejected(Reason.NOT_JSON, topic, f"{error}: {said}", 1)
        return
    rows = content if isinstance(content, list) else [content]
    if not rows:
        yield Rejected(Reason.NOT_AN_OBJECT, topic, said, 1)
    for row in rows:
        if isinstance(row, dict):
            yield _item(topic, row)
        else:
            yield Rejected(Reason.NOT_AN_OBJECT, topic, f"{row!r:.200}", 1)


def _item(topic: str, row: Mapping[str, object]) -> Delivered | Rejected:
    """Return one declaration as delivered, or what is wrong with it."""
    site = site_of(topic) or ""
    told = dict(row)
    if (said := told.pop("site_id", site)) != site:
        return Rejected(Reason.TOPIC_MISMATCH, topic, f"site_id {said!r:.80}", 1)
    key, name = told.pop("id", None), told.pop("declared_by", "")
    if key is not None and not (
        isinstance(key, str) and 0 < len(key) <= _MOST_ID and key.isprintable()
    ):
        text = f"id {key!r:.80}: a text of 1 to {_MOST_ID} printable characters"
        return Rejected(Reason.BAD_DECLARATION, topic, text, 1)
    if not isinstance(name, str):
        return Rejected(Reason.BAD_DECLARATION, topic, f"declared_by {name!r:.80}: a text", 1)
    sender = f"MQTT: {site}"
    by = f"{name.strip()} ({sender})" if name.strip() else sender
    try:
        one = Declaration.model_validate(told | {"declared_by": by})
    except ValidationError as error:
        return Rejected(Reason.BAD_DECLARATION, topic, f"{why(error)}: {row!r:.160}", 1)
    return Delivered(site, one, key)
