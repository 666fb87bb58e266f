"""YAML files with line numbers: every fault names file, line, key and what is allowed."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from collector.yamlkeys import keys_at

KeyPath = tuple[str | int, ...]
Lines = Mapping[KeyPath, int]
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"password|token|secret|headers", re.IGNORECASE)


class FromEnvironment(str):
    """Text with a value of the environment in it: never shown, whichever key it stands under."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a settings file."""

    file: Path
    line: int
    """Counted from 1; 0 where the file as a whole is meant."""
    key: str
    """Dotted, e.g. `meters.0.source.unit`; empty for the whole file."""
    problem: str
    allowed: str = ""

    def __str__(self) -> str:
        """Return one line an operator can act on."""
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        key = f" {self.key}:" if self.key else ""
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        return f"{where}:{key} {self.problem}{allowed}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A YAML document as plain data, with the line of each key path."""

    data: object
    lines: Lines
    faults: tuple[Fault, ...] = ()
    """Unreadable file, syntax, duplicate keys, unset `${ENV}`; `data` is None if unparsable."""


class _Loader(yaml.CSafeLoader):
    """Safe YAML whose plain scalars follow YAML 1.2: `on`, `no` and `12:30` stay text."""


def _plain_scalars() -> None:
    kept = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"}
    _Loader.yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if tag in kept]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool",
        re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
        list("tTfF"),
    )
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:int",
        re.compile(r"^[-+]?(?:0x[0-9a-fA-F]+|0|[1-9][0-9]*)$"),
        list("-+0123456789"),
    )
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(
            r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^\.nan$|^[-+]?\.inf$"
        ),
        list("-+0123456789."),
    )


_plain_scalars()


def load_yaml(path: Path, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read one YAML document; faults are returned, never raised.

    Args:
        path: the file.
        environ: values for `${NAME}` in text; the process environment if None.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Loaded(None, {}, (Fault(path, 0, "", f"cannot be read: {error}"),))
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        marked = list(_walk(node, ()))
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        fault = Fault(path, mark.line + 1 if mark else 0, "", f"not YAML: {error.problem}")
        return Loaded(None, {}, (fault,))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        return Loaded(None, {}, (Fault(path, 0, "", f"not YAML: {error}"),))
    finally:
        loader.dispose()
    faults = _duplicates(path, marked)
    lines: dict[KeyPath, int] = dict(marked)
    expander = _Expander(path, lines, os.environ if environ is None else environ, faults)
    return Loaded(expander.expand(data), lines, tuple(faults))


def _walk(node: yaml.Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _walk(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from _walk(value, (*path, index))


def _duplicates(path: Path, marked: list[tuple[KeyPath, int]]) -> list[Fault]:
    seen: dict[KeyPath, int] = {}
    told: set[KeyPath] = set()  # a doubled mapping is one fault, not one for each key in it
    faults = []
    for key, line in marked:
        if key in seen and key[:-1] not in told:
            faults.append(
                Fault(path, line, _dotted(key), f"given twice; first on line {seen[key]}")
            )
        if key in seen:
            told.add(key)
        seen.setdefault(key, line)
    return faults


@dataclass(frozen=True, slots=True)
class _Expander:
    """Replaces `${NAME}` in text and notes the names that are not set."""

    file: Path
    lines: Lines
    environ: Mapping[str, str]
    faults: list[Fault]

    def expand(self, data: object, at: KeyPath = ()) -> object:
        if isinstance(data, dict):
            return {key: self.expand(value, (*at, str(key))) for key, value in data.items()}
        if isinstance(data, list):
            return [self.expand(value, (*at, index)) for index, value in enumerate(data)]
        if not isinstance(data, str) or "${" not in data:
            return data
        for name in _ENV.findall(data):
            if name not in self.environ:
                problem = f"environment variable {name} is not set"
                self.faults.append(Fault(self.file, self.lines.get(at, 0), _dotted(at), problem))
        return FromEnvironment(_ENV.sub(lambda found: self.environ.get(found[1], ""), data))


def faults_of(
    error: ValidationError,
    file: Path,
    lines: Lines,
    prefix: KeyPath = (),
    model: type[BaseModel] | None = None,
) -> list[Fault]:
    """Turn pydantic's errors into faults.

    Args:
        error: what validation raised.
        file: the file the data came from.
        lines: `Loaded.lines` of that file.
        prefix: where in the file the validated data sits.
        model: the validated model; with it an unknown key is told the known ones.
    """
    faults = []
    errors = error.errors(include_url=False)
    for one in errors:
        if one["type"] == "too_short" and any(_inside(one["loc"], two["loc"]) for two in errors):
            continue  # pydantic counts only the sound items; the bad ones are told themselves
        key = _in_file(prefix, one["loc"], lines)
        line = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), 0)
        secret = _SECRET.search(_dotted(key)) or isinstance(one["input"], dict | list | BaseModel)
        allowed = one["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        problem = f"cannot be {one['input']!r:.60}"
        if one["type"] == "extra_forbidden":
            problem = "unknown key"
            allowed = ", ".join(keys_at(model, one["loc"][:-1])) if model else ""
        elif one["type"] == "missing":
            problem, allowed = "is required but absent", ""
        elif secret:  # a value that must not be shown, or too long to be
            problem, allowed = allowed, ""
        faults.append(Fault(file, line, _dotted(key), problem, allowed))
    return faults


def _inside(outer: KeyPath, inner: KeyPath) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _in_file(prefix: KeyPath, loc: KeyPath, lines: Lines) -> KeyPath:
    """Drop from pydantic's path the union tags that are not keys of the file."""
    key = prefix
    for n, part in enumerate(loc, start=1):
        if (*key, part) in lines or n == len(loc):
            key = (*key, part)
    return key


def _dotted(key: KeyPath) -> str:
    return ".".join(str(part) for part in key)
