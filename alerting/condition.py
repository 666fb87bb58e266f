"""PURE. Conditions: SQL boolean expressions over a subject's columns, checked word by word.

polars parses the SQL. Its dialect also has sub-queries and functions that read files, so each word
is looked up in a fixed list before the parser sees it: a rule file can compare, never fetch.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

KEYWORDS = frozenset({
    "and", "or", "not", "is", "null", "in", "between", "like", "case", "when", "then", "else",
    "end", "true", "false",
})  # fmt: skip
FUNCTIONS = frozenset({
    "abs", "coalesce", "greatest", "least", "lower", "nullif", "round", "starts_with", "upper",
})  # fmt: skip
_TOKEN = re.compile(
    r"\s+|'(?:[^']|'')*'|(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|<=|>=|<>|!=|[-+*/%<>=(),]"
)


class BadConditionError(ValueError):
    """The text is not a condition over these columns; `allowed` names what is."""

    def __init__(self, problem: str, allowed: str = "") -> None:
        super().__init__(problem)
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition; evaluates to true, false or null (not known) row by row."""

    text: str
    expr: pl.Expr

    @classmethod
    def parse(cls, text: str, columns: Mapping[str, pl.DataType]) -> "Condition":
        """Check and compile `text`.

        Raises:
            BadConditionError: a word is neither a column nor in KEYWORDS or FUNCTIONS; the parser
                refuses the text; or its value is not true/false.
        """
        _words(text, columns)
        sample = pl.DataFrame(schema=columns).clear(n=1)
        try:
            expr = pl.sql_expr(text)
            value = sample.select(expr.alias("value"))["value"]
        except (pl.exceptions.PolarsError, TypeError) as error:
            raise BadConditionError(f"is not a condition: {error}") from error
        if value.dtype not in (pl.Boolean, pl.Null):
            raise BadConditionError(f"gives {value.dtype}, not true or false", "a comparison")
        return cls(text, expr)


def _words(text: str, columns: Mapping[str, pl.DataType]) -> None:
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise BadConditionError(f"does not allow {text[position]!r}", "comparisons and words")
        word = token.group("word")
        called = text[token.end() :].lstrip().startswith("(")
        if word and not _known(word, columns, called=called):
            raise BadConditionError(f"does not know {word!r}", ", ".join(columns))
        position = token.end()


def _known(word: str, columns: Mapping[str, pl.DataType], *, called: bool) -> bool:
    if word in columns:
        return not called
    return word.lower() in KEYWORDS or (called and word.lower() in FUNCTIONS)
