"""PURE. The material of a package: everything a verdict rests on, as files and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

import polars as pl
from pydantic import TypeAdapter

from alerting.acts import Act, Link
from alerting.evidence.tables import from_csv, to_csv
from alerting.notices import plain
from alerting.rules import Rule
from collector.profiles import Profile
from collector.reading import READING
from collector.site import Site, Strict
from processors import edits
from processors.interval import INTERVAL
from processors.policy.pack import TablePack
from processors.settings import VerdictSettings


class Scope(Strict):
    """The span of blocks a package covers, and the settings that judge it."""

    start: datetime
    end: datetime
    """Half-open; readings reach beyond it as far as the arithmetic looks."""
    settings: VerdictSettings


@dataclass(frozen=True, slots=True)
class Material:
    """One alert's material. It names no other site."""

    alert: Mapping[str, object]
    """A row of ALERT as JSON values."""
    links: tuple[Link, ...]
    """The acts upon the alert, oldest first."""
    rule: Rule
    """As it was when the alert fired."""
    site: Site
    scope: Scope
    readings: pl.DataFrame
    """Schema READING, every version received."""
    intervals: pl.DataFrame
    """Schema INTERVAL, latest revisions in the scope at the export."""
    edits: pl.DataFrame = field(default_factory=edits.none)
    """Schema EDIT: what people stated for the site's meters, who and why, withdrawals included."""
    packs: tuple[TablePack, ...] = ()
    """The edition a verdict names, cut down to the row it names; empty for other alerts."""
    profiles: tuple[Profile, ...] = ()
    """Register maps of the site's Modbus meters: what `register_words` are decoded by."""

    def row(self) -> dict[str, object]:
        """Return the values that fired the alert."""
        loaded: dict[str, object] = json.loads(str(self.alert["row"]))
        return loaded

    def instant(self, name: str) -> datetime:
        """Return an instant of the alert, e.g. `fired_at`."""
        return datetime.fromisoformat(str(self.alert[name]))

    @classmethod
    def alert_row(cls, facts: Mapping[str, object]) -> dict[str, object]:
        """Return a row of ALERT as JSON values."""
        return plain(facts)


_PACKS: TypeAdapter[tuple[TablePack, ...]] = TypeAdapter(tuple[TablePack, ...])
_PROFILES: TypeAdapter[tuple[Profile, ...]] = TypeAdapter(tuple[Profile, ...])
FILES = (
    "alert.json", "timeline.json", "rule.json", "site.json", "profiles.json", "policy.json",
    "scope.json", "readings.csv", "intervals.csv",
)  # fmt: skip
"""The files the verdict is recomputed from."""
EDITS = "edits.csv"
"""One more, where somebody stated energy by hand."""


def to_files(material: Material) -> dict[str, bytes]:
    """Return the material as the files of FILES, and EDITS if there are any."""
    edited = {EDITS: to_csv(material.edits)} if material.edits.height else {}
    return edited | {
        "alert.json": to_json(dict(material.alert)),
        "timeline.json": to_json([asdict(link) for link in material.links]),
        "rule.json": to_json(material.rule.written()),
        "site.json": to_json(material.site.model_dump(mode="json", by_alias=True)),
        "policy.json": to_json(
            _PACKS.dump_python(material.packs, mode="json", by_alias=True, exclude_defaults=True)
        ),
        "profiles.json": to_json(
            _PROFILES.dump_python(material.profiles, mode="json", exclude_defaults=True)
        ),
        "scope.json": to_json(material.scope.model_dump(mode="json")),
        "readings.csv": to_csv(material.readings),
        "intervals.csv": to_csv(material.intervals),
    }


def of_files(files: Mapping[str, bytes]) -> Material:
    """Read the material back.

    Raises:
        KeyError: a file is missing.
        ValueError: a file does not hold what it should (pydantic's errors are ValueErrors).
        polars.exceptions.PolarsError: a table cannot be read.
    """
    loaded = {name: json.loads(files[name]) for name in FILES if name.endswith(".json")}
    return Material(
        alert=loaded["alert.json"],
        links=tuple(Link(**one | {"act": Act(one["act"])}) for one in loaded["timeline.json"]),
        rule=Rule.model_validate(loaded["rule.json"]),
        site=Site.model_validate(loaded["site.json"]),
        scope=Scope.model_validate(loaded["scope.json"]),
        packs=_PACKS.validate_python(loaded["policy.json"]),
        profiles=_PROFILES.validate_python(loaded["profiles.json"]),
        readings=from_csv(files["readings.csv"], READING),
        intervals=from_csv(files["intervals.csv"], INTERVAL),
        edits=from_csv(files[EDITS], edits.EDIT) if EDITS in files else edits.none(),
    )


def to_json(value: object) -> bytes:
    """Return JSON for people: indented, Chinese as it is; NaN refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True)
    return (text + "\n").encode()
