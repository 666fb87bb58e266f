"""Alert rules: YAML data that says when a subject is in breach, for how long, and who is told."""

import hashlib
import json
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import polars as pl
from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from alerting.condition import BadConditionError, Condition
from alerting.subjects import Subject, columns
from collector.site import Identifier, Strict, Text
from collector.yamlfile import Fault, Loaded, faults_of, load_yaml

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
PLACEHOLDERS = frozenset({"site_name"})
"""What a rule's text may name besides the columns of its subject."""


class Severity(StrEnum):
    """How soon somebody must look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def duration(value: object) -> object:
    """Turn `90s`, `15m`, `1h`, `2d` or a number of seconds into a timedelta.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return timedelta(seconds=value)
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a duration such as 0s, 90s, 15m, 1h or 2d")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(lambda span: f"{span.total_seconds()!r}s", return_type=str),
]


class Rule(Strict):
    """One rule as written."""

    id: Identifier
    on: Subject
    """The kind of subject; decides the columns `when`, `clear` and `text` may name."""
    when: str
    """SQL condition of the breach; null (not known) neither fires nor resolves. Of an anomaly that
    has ended it does not hold, unless it names `active` itself."""
    clear: str = ""
    """SQL condition that ends it (hysteresis); empty: `when` is false."""
    hold: Duration = Field(timedelta(0), alias="for")
    """How long `when` must hold before the alert fires; 0 fires at the first row."""
    severity: Severity = Severity.WARNING
    labels: dict[str, str] = Field(default_factory=dict)
    """Free labels copied to the alert, e.g. `clause` or `team`."""
    text: Text
    """What people read; `{column}` or `{column:.1f}` is replaced by the row's value."""
    notify: tuple[Identifier, ...] = ()
    """Channels that are told when it fires and when it resolves."""

    @model_validator(mode="after")
    def _placeholders(self) -> "Rule":
        allowed = set(columns(self.on)) | PLACEHOLDERS
        for text in (self.text.zh, self.text.en):
            unknown = [name for name in _fields(text) if name not in allowed]
            if unknown:
                raise ValueError(f"text may name {', '.join(sorted(allowed))}; not {unknown[0]!r}")
        return self

    def written(self) -> dict[str, object]:
        """Return the rule as plain data; `Rule.model_validate` reads it back."""
        return self.model_dump(mode="json", by_alias=True)

    def digest(self) -> str:
        """Return the SHA-256 of the rule as written; an alert records it."""
        return hashlib.sha256(json.dumps(self.written(), sort_keys=True).encode()).hexdigest()


def _fields(text: str) -> Iterable[str]:
    try:
        return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ValueError(f"text has a stray brace: {error}") from error


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule with its conditions checked and ready to evaluate."""

    rule: Rule
    when: pl.Expr
    clear: pl.Expr

    @classmethod
    def of(cls, rule: Rule) -> "Compiled":
        """Compile `rule`.

        Raises:
            BadConditionError: `when` or `clear` is not a condition over the subject's columns.
        """
        known = columns(rule.on)
        when = Condition.parse(rule.when, known).expr
        clear = Condition.parse(rule.clear, known).expr if rule.clear else when.not_()
        if rule.on is Subject.ANOMALY and "active" not in when.meta.root_names():
            # the row that tells an anomaly's end shows its values still: it is no breach
            when, clear = when & pl.col("active"), clear | ~pl.col("active")
        return cls(rule, when.cast(pl.Boolean), clear.cast(pl.Boolean))


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of a folder, and what is wrong with them."""

    rules: tuple[Compiled, ...]
    faults: tuple[Fault, ...] = ()


def load_rules(folder: Path, channels: Iterable[str] = ()) -> RuleBook:
    """Read every *.yaml of `folder`; each file is `rules:` and a list.

    Args:
        folder: where the rule files are.
        channels: names that `notify` may use; others are faults.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        return RuleBook((), (Fault(folder, 0, "", "has no rule file", "*.yaml"),))
    reader = _Reader(frozenset(channels))
    for file in files:
        reader.file(file, load_yaml(file))
    return RuleBook(tuple(reader.rules), tuple(reader.faults))


class _Reader:
    """Gathers rules and faults over several files."""

    def __init__(self, channels: frozenset[str]) -> None:
        self.rules: list[Compiled] = []
        self.faults: list[Fault] = []
        self._channels = channels
        self._seen: dict[str, Path] = {}

    def file(self, file: Path, loaded: Loaded) -> None:
        self.faults.extend(loaded.faults)
        if loaded.data is None:
            return
        raw = loaded.data.get("rules") if isinstance(loaded.data, Mapping) else None
        if not isinstance(raw, list):
            self.faults.append(Fault(file, 1, "rules", "is absent", "`rules:` and a list"))
            return
        for index, data in enumerate(raw):
            self._rule(file, loaded, index, data)

    def _rule(self, file: Path, loaded: Loaded, index: int, data: object) -> None:
        try:
            rule = Rule.model_validate(data)
        except ValidationError as error:
            self.faults.extend(faults_of(error, file, loaded.lines, ("rules", index), Rule))
            return
        here = _Place(file, loaded, index)
        found = [*_conditions(rule, here), *self._names(rule, here)]
        self.faults.extend(found)
        if not found:
            self.rules.append(Compiled.of(rule))

    def _names(self, rule: Rule, here: "_Place") -> Iterable[Fault]:
        first = self._seen.setdefault(rule.id, here.file)
        if first != here.file or any(one.rule.id == rule.id for one in self.rules):
            yield here.fault("id", f"{rule.id!r} is already a rule in {first.name}", "another id")
        for name in rule.notify:
            if name not in self._channels:
                known = ", ".join(sorted(self._channels)) or "none is set under alerting.channels"
                yield here.fault("notify", f"does not know the channel {name!r}", known)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file a rule was written."""

    file: Path
    loaded: Loaded
    index: int

    def fault(self, key: str, problem: str, allowed: str) -> Fault:
        at = ("rules", self.index)
        line = self.loaded.lines.get((*at, key), self.loaded.lines.get(at, 0))
        return Fault(self.file, line, f"rules.{self.index}.{key}", problem, allowed)


def _conditions(rule: Rule, here: _Place) -> Iterable[Fault]:
    for key, text in (("when", rule.when), ("clear", rule.clear)):
        if not text and key == "clear":
            continue
        try:
            Condition.parse(text, columns(rule.on))
        except BadConditionError as error:
            yield here.fault(key, str(error), error.allowed)
