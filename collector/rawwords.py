"""The words a meter sent, as text that explains itself: `3:0=09C4FFFF 4:48=0001`; pure.

One part a request: function code, first register address (from 0, decimal), the words in hex, most
significant byte first. Text, because it goes into the CSV of an evidence package, where a person
with the meter's datasheet can follow it; complete, because the plan of requests may change later.
"""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from collector.registers import Block
from collector.words import Words

_PART = re.compile(r"([34]):(\d{1,5})=((?:[0-9A-F]{4})+)")
_WORDS = r"=[0-9A-F]+"


def written(blocks: Sequence[Block], words: Sequence[bytes | None]) -> pl.Series:
    """Return the text of each poll's words; null where they are not kept.

    Args:
        blocks: the requests of a poll.
        words: of each poll the words of all blocks, joined; None: not kept.
    """
    digits = pl.Series(words, dtype=pl.Binary).bin.encode("hex").str.to_uppercase().alias("hex")
    parts, before = [], 0
    for block in blocks:
        head = pl.lit(f"{block.function}:{block.start}=")
        parts.append(head + pl.col("hex").str.slice(4 * before, 4 * block.count))
        before += block.count
    return digits.to_frame().select(pl.concat_str(parts, separator=" ")).to_series()


def layouts(texts: pl.Series) -> pl.Series:
    """Return what tells polls of one plan of requests apart from others: the text without words."""
    sizes = texts.str.split(" ").list.eval(pl.element().str.len_chars().cast(pl.String))
    return texts.str.replace_all(_WORDS, "=") + " " + sizes.list.join(" ")


def read(texts: Sequence[str]) -> tuple[tuple[Block, ...], Words]:
    """Return the requests and the words, shape (polls, words), of polls of one plan.

    Raises:
        ValueError: a text is not of this form, or of another plan than the first.
    """
    blocks: tuple[Block, ...] = ()
    rows = []
    for text in texts:
        found = [_PART.fullmatch(part) for part in text.split(" ")]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            raise ValueError(f"not register words: {text[:80]!r}")
        mine = tuple(Block(int(m[1]), int(m[2]), len(m[3]) // 4) for m in known)
        if mine != (blocks or mine):
            raise ValueError("register words of different requests")
        blocks = mine
        rows.append(bytes.fromhex("".join(m[3] for m in known)))
    joined = np.frombuffer(b"".join(rows), dtype=">u2").astype(np.uint16)
    return blocks, joined.reshape(len(rows), -1)
