"""PURE. Formulas of virtual meters: signed sums of meters, e.g. `main - sub1 - 0.5 * sub2`.

Nothing is executed: a formula is cut into terms by one regular expression, all of it must match.
Meter ids may hold dashes and dots, so signs between terms stand between spaces.
"""

import math
import re
from typing import NamedTuple

_TERM = re.compile(
    r"(?P<sign>[+-])?\s*"
    r"(?:(?P<factor>\d+(?:\.\d+)?)\s*\*\s*)?"
    r"(?P<meter>[A-Za-z0-9][A-Za-z0-9._-]{0,63})(?=\s|$)\s*"
)
ALLOWED = "terms like `main - sub1 - 0.5 * sub2`, with spaces around + and -"
MOST_TERMS = 200


class Term(NamedTuple):
    """One meter of a formula."""

    meter_id: str
    factor: float
    """Signed, never 0; no unit."""


def parse(text: str) -> tuple[Term, ...]:
    """Return the terms of a formula in their order.

    Raises:
        ValueError: not a sum of meters; a meter named twice; a factor of 0; too many terms.
    """
    terms: list[Term] = []
    rest = text.strip()
    while rest:
        found = _TERM.match(rest)
        if found is None or (terms and not _apart(rest)):
            raise ValueError(f"cannot read {rest[:40]!r}; allowed: {ALLOWED}")
        factor = float(found["factor"] or 1.0)
        if not 0.0 < factor <= 1e9 or not math.isfinite(factor):
            raise ValueError(f"factor {found['factor']} of {found['meter']}: above 0, at most 1e9")
        terms.append(Term(found["meter"], -factor if found["sign"] == "-" else factor))
        rest = rest[found.end() :]
    names = [one.meter_id for one in terms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands twice: write it once, with its factor")
    if not 0 < len(terms) <= MOST_TERMS:
        raise ValueError(f"{len(terms)} terms; allowed: 1 to {MOST_TERMS}")
    return tuple(terms)


def _apart(rest: str) -> bool:
    """Tell whether a term that follows another begins with a sign and a space."""
    return rest[0] in "+-" and rest[1:2].isspace()
