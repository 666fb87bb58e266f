"""Batches between edge and upper side: nothing changes on the way, and bad data costs itself."""

import os
import random
import struct
import zlib
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from services_edge import KNOWN, NOW, rows

from collector import batches
from collector.batches import decode_batch, decode_batches, encode_batch, topic_of
from collector.reading import conform
from collector.reason import Reason
from collector.rows import Message

TOPIC = topic_of("edge-1")
GOOD = rows(0, 60, power_kw=[3.25] * 60, register_words=[None] * 59 + ["40001:FFFF"])


def decode(frame: pl.DataFrame):
    return decode_batch(encode_batch(frame), KNOWN, NOW, TOPIC)


def test_a_batch_comes_back_as_it_was():
    found = decode(conform(GOOD))
    assert_frame_equal(conform(found.frame), conform(GOOD))
    assert not found.rejected


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"meter_id": pl.lit("stranger")}, Reason.UNKNOWN_METER),
        ({"meter_id": pl.lit(None, dtype=pl.String)}, Reason.UNKNOWN_METER),
        ({"measured_at": pl.lit(None).cast(GOOD["measured_at"].dtype)}, Reason.NO_TIME),
        ({"measured_at": pl.col("measured_at") + timedelta(hours=1)}, Reason.TIME_IN_FUTURE),
        ({"measured_at": pl.col("measured_at") - timedelta(days=36500)}, Reason.TIME_BEFORE_2000),
        ({"power_kw": pl.lit(float("nan"))}, Reason.NOT_FINITE),
        ({"power_kw": pl.lit(1e30)}, Reason.OUT_OF_RANGE),
        (
            {n: pl.lit(None, dtype=pl.Float64) for n in ("power_kw", "energy_import_kwh")},
            Reason.NO_QUANTITY,
        ),
    ],
)
def test_a_bad_reading_costs_itself_and_is_told(wrong, reason):
    spoilt = pl.int_range(pl.len()) == 7
    frame = GOOD.with_columns(
        pl.when(spoilt).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in wrong.items()
    )
    found = decode(frame)
    assert [(one.reason, one.count, one.topic) for one in found.rejected] == [(reason, 1, TOPIC)]
    assert found.frame["energy_import_kwh"].to_list() == [float(n) for n in range(60) if n != 7]


def test_an_edge_whose_clock_is_ahead_does_not_outrank_the_future():
    ahead = GOOD.with_columns(pl.col("received_at") + timedelta(days=9))
    assert decode(ahead).frame["received_at"].unique().to_list() == [NOW]


def test_an_edge_speaks_for_its_own_meters_only():
    message = Message(topic_of("edge-2"), encode_batch(GOOD))
    others = frozenset({"m0", "m1"})
    found = decode_batches([message], {"edge-1": KNOWN, "edge-2": others}, NOW, 10**6)
    assert set(found.frame["meter_id"]) == others
    assert [one.reason for one in found.rejected] == [Reason.UNKNOWN_METER]
    nobody = decode_batches([message], {"edge-1": KNOWN}, NOW, 10**6)
    assert [one.reason for one in nobody.rejected] == [Reason.TOPIC_MISMATCH]
    large = decode_batches([message], {"edge-2": KNOWN}, NOW, 100)
    assert [one.reason for one in large.rejected] == [Reason.TOO_LARGE]
    assert nobody.frame.is_empty()
    assert large.frame.is_empty()


def test_what_a_newer_edge_adds_is_told_and_the_rest_is_kept():
    found = decode(GOOD.with_columns(humour_index=pl.lit(1.0)))
    assert [(one.reason, one.excerpt) for one in found.rejected] == [
        (Reason.UNKNOWN_QUANTITY, "columns humour_index")
    ]
    assert found.frame.height == 60


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "begin"),
        (b'{"measured_at": 1}', "begin"),
        (b"DWB2" + encode_batch(GOOD)[4:], "version"),
        (encode_batch(GOOD)[:-9], "check sum"),
        (encode_batch(GOOD.select("meter_id", "measured_at", "received_at", "source",
                                  power_kw=pl.lit("x"))), "power_kw"),
        (encode_batch(GOOD.drop("source")
                      .with_columns(pl.lit(1.0).alias("source"))), "source"),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_told_whole(payload, why):
    found = decode_batch(payload, KNOWN, NOW, TOPIC)
    assert [one.reason for one in found.rejected] == [Reason.BAD_BATCH]
    assert why in found.rejected[0].excerpt
    assert found.frame.is_empty()


def test_no_payload_of_a_stranger_can_end_the_process():
    """Damaged where the check sum does not see it: lengths that ask for terabytes among it.

    DEMANDWATCH_FUZZ_EXAMPLES sets the number of inputs.
    """
    dice = random.Random(os.environ.get("DEMANDWATCH_FUZZ_SEED", "20"))
    seeds = [encode_batch(GOOD.head(n))[batches._HEAD.size :] for n in (1, 60)]
    kinds = set()
    for _ in range(int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "600"))):
        body = mutated(bytearray(dice.choice(seeds)), dice)
        head = batches._HEAD.pack(b"DWB1", dice.choice((1, 60)), zlib.crc32(body))
        found = decode_batch(head + body, KNOWN, NOW, TOPIC)
        conform(found.frame)
        assert found.frame["meter_id"].is_in(list(KNOWN)).all()
        kinds |= {one.reason for one in found.rejected}
    assert Reason.BAD_BATCH in kinds


def mutated(body: bytearray, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        at, luck = dice.randrange(len(body)), dice.random()
        if luck < 0.6:
            body[at] = dice.randrange(256)
        elif luck < 0.8:
            body[at : at + 8] = struct.pack("<q", dice.choice((2**62, 2**40, -1, 2**31, 2**33)))
        elif luck < 0.9:
            del body[max(at, 1) :]
        else:
            body[at:at] = dice.randbytes(4)
    return bytes(body)
