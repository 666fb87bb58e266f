"""Declared activity of a configuration: taken, told, and laid upon its sites."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import ValidationError

from collector.clock import Clock
from collector.site import Site
from demandwatch.settings import Configuration
from processors.activity import (
    Declaration,
    DeclarationError,
    none,
    refused,
    standing,
    with_activity,
)
from processors.history.activitybook import ActivityBook

NEEDED = ("site_id", "activity", "from", "value", "unit")
Row = Mapping[str | None, str | list[str] | None]
"""As csv reads it: cells too many stand under None, and cells too few are None."""
OPTIONAL = ("until", "declared_by", "share", "other_energy_kgce", "meters", "note")


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one line of a file."""

    line: int
    site_id: str
    activity: str
    outcome: str
    """declared, unchanged or refused."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A declaration by a way that may deliver it again."""

    site_id: str
    one: Declaration
    key: str | None = None
    """The sender's name for it; what has one is kept once."""


class Declaring:
    """Opens the book for each act: safe from any thread, and beside other processes."""

    def __init__(self, config: Configuration, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._path = config.data / "activity.db"
        self._sites = {site.id: site for site in config.sites}

    def declare(self, site_id: str, one: Declaration) -> tuple[int, bool]:
        """Keep a declaration; return its id and whether it is new.

        Raises:
            DeclarationError: it cannot be taken.
            OSError, sqlite3.Error: the disk failed.
        """
        with closing(self._book()) as book:
            return self._take(book, site_id, one)

    def import_file(self, path: Path, by: str, *, dry_run: bool) -> list[Line]:
        """Declare every line of a CSV file (UTF-8 or GB 18030) that can be taken, as one act.

        Raises:
            DeclarationError: its columns are not those of NEEDED and OPTIONAL, or it is no text.
            OSError, sqlite3.Error: it cannot be read, or the disk failed.
        """
        rows = list(_rows(_text(path)))
        with closing(self._book()) as book, book.whole(keep=not dry_run):
            return [self._line(book, number, row, by) for number, row in rows]

    def deliver(self, told: Sequence[Delivered]) -> list[tuple[str, str]]:
        """Keep what can be taken, all as one act; return each one's outcome and reason, as in Line.

        Raises:
            OSError, sqlite3.Error: the disk failed; nothing is kept.
        """
        if not told:
            return []
        with closing(self._book()) as book, book.whole():
            return [self._delivered(book, one) for one in told]

    @property
    def site_ids(self) -> Set[str]:
        """Return the ids of all sites."""
        return self._sites.keys()

    def withdraw(self, declaration_id: int, by: str, why: str) -> int:
        """Withdraw a declaration; return the act's id.

        Raises:
            DeclarationError: there is none that stands, or nobody or no reason is named.
        """
        with closing(self._book()) as book:
            return book.withdraw(declaration_id, by, why)

    def acts(self) -> pl.DataFrame:
        """Return every act in order, schema ACTIVITY."""
        if not self._path.exists():
            return none()
        with closing(self._book()) as book:
            return book.acts()

    def sites(self, as_of: datetime | None = None) -> tuple[Site, ...]:
        """Return the sites with what is declared of them, or was by `as_of`."""
        return with_activity(self._config.sites, standing(self.acts(), as_of))

    def site(self, site: Site, as_of: datetime) -> Site:
        """Return one site with what was declared of it by `as_of`."""
        return with_activity([site], standing(self.acts(), as_of))[0]

    def _book(self) -> ActivityBook:
        return ActivityBook(self._path, self._clock.now)

    def _delivered(self, book: ActivityBook, told: Delivered) -> tuple[str, str]:
        try:
            self._check(told.site_id, told.one)
            _, new = book.deliver(told.site_id, told.one, told.key)
        except DeclarationError as error:
            return "refused", str(error)
        return "declared" if new else "unchanged", ""

    def _take(self, book: ActivityBook, site_id: str, one: Declaration) -> tuple[int, bool]:
        self._check(site_id, one)
        return book.declare(site_id, one)

    def _check(self, site_id: str, one: Declaration) -> None:
        site = self._sites.get(site_id)
        if site is None:
            raise DeclarationError(f"no site {site_id!r} in {self._config.path.name}")
        today = self._clock.now().astimezone(ZoneInfo(site.timezone)).date()
        if problem := refused(one, site, self._config.packs, today):
            raise DeclarationError(problem)

    def _line(self, book: ActivityBook, number: int, row: Row, by: str) -> Line:
        extra = None in row or None in row.values()
        told = {str(k): v.strip() for k, v in row.items() if isinstance(v, str) and v.strip()}
        site, activity = told.pop("site_id", ""), told.get("activity", "")
        if extra:
            return Line(number, site, activity, "refused", "not as many cells as columns")
        meters = told.pop("meters", "").split()
        try:
            one = Declaration.model_validate({"declared_by": by, **told, "meters": meters})
            _, new = self._take(book, site, one)
        except ValidationError as error:
            return Line(number, site, activity, "refused", why(error))
        except DeclarationError as error:
            return Line(number, site, activity, "refused", str(error))
        return Line(number, site, activity, "declared" if new else "unchanged")


def _text(path: Path) -> str:
    raw = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DeclarationError(f"{path.name} is neither UTF-8 nor GB 18030 text")


def _rows(text: str) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    heads = [one.strip() for one in reader.fieldnames or ()]
    lacking = [one for one in NEEDED if one not in heads]
    unknown = [one for one in heads if one not in (*NEEDED, *OPTIONAL)]
    if lacking or unknown or len(set(heads)) < len(heads):
        wrong = f"lacks {', '.join(lacking)}" if lacking else f"has {', '.join(unknown or heads)}"
        known = f"{', '.join(NEEDED)}; and where needed {', '.join(OPTIONAL)}"
        raise DeclarationError(f"the file {wrong}; columns are {known}")
    reader.fieldnames = heads
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DeclarationError(f"line {reader.line_num} is no CSV: {error}") from error


def why(error: ValidationError) -> str:
    """Return what is wrong with a declaration, in one line."""
    parts = []
    for one in error.errors():
        where = ".".join(map(str, one["loc"]))
        said = str(one["msg"]).removeprefix("Value error, ")
        parts.append(f"{where}: {said}" if where else said)
    return "; ".join(parts)
