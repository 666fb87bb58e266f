import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import Decoded, Message, decode_many
from collector.quantity import QUANTITIES
from collector.reading import conform
from collector.reason import Reason

NOW = datetime(2026, 11, 22, 0, 20, tzinfo=UTC)
KNOWN = frozenset(("m1", "m2"))
GOOD = {"measured_at": "2026-11-22T08:15:00+08:00", "energy_import_kwh": 1234.5}


def decode(*contents: object, meter: str = "m1") -> Decoded:
    """Decode payloads given as text, bytes or anything JSON can say (NaN included)."""
    messages = []
    for one in contents:
        text = one if isinstance(one, str | bytes) else json.dumps(one)
        payload = text.encode() if isinstance(text, str) else text
        messages.append(Message(f"demandwatch/v1/{meter}/readings", payload))
    return decode_many(messages, KNOWN, NOW, "mqtt")


def reasons(decoded: Decoded) -> dict[str, int]:
    return {str(one.reason): one.count for one in decoded.rejected}


def test_an_object_becomes_a_reading():
    decoded = decode(GOOD)
    assert conform(decoded.frame).select(
        "meter_id", "measured_at", "received_at", "source", "energy_import_kwh", "power_kw"
    ).row(0) == ("m1", datetime(2026, 11, 22, 0, 15, tzinfo=UTC), NOW, "mqtt", 1234.5, None)
    assert decoded.rejected == []


def test_an_array_becomes_readings_in_its_order_with_gaps_where_nothing_was_said():
    rows = [GOOD, {"measured_at": 1795306500000.0, "power_kw": -3}]
    frame = decode(rows, GOOD).frame
    assert frame["energy_import_kwh"].to_list() == [1234.5, None, 1234.5]
    assert frame["power_kw"].to_list() == [None, -3.0, None]
    assert frame["measured_at"][1] == datetime(2026, 11, 22, 0, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T00:15:00Z",
        "2026-11-22T08:15:00.000000+08:00",
        "2026-11-22 08:15:00+08:00",
        "2026-11-22T08:15+08:00",
        "20261122T001500Z",
        "2026-11-21T19:15:00-05:00",
    ],
)
def test_every_form_of_iso_8601_with_an_offset_is_read(text: str):
    frame = decode(GOOD | {"measured_at": text}).frame
    assert frame["measured_at"].to_list() == [datetime(2026, 11, 22, 0, 15, tzinfo=UTC)]


BAD = {
    "not JSON": ("{'a': 1}", "not_json"),
    "empty": (b"", "not_json"),
    "not UTF-8": (b'{"measured_at": "\xff"}', "not_json"),
    "nested without end": ("[" * 100_000, "not_json"),
    "nested without end, with NaN": ("[" * 100_000 + "NaN", "not_json"),
    "a number": ("3", "not_an_object"),
    "an array in an array": ([[GOOD]], "not_an_object"),
    "an empty array": ("[]", "no_quantity"),
    "no time": ({"power_kw": 1}, "no_time"),
    "null time": (GOOD | {"measured_at": None}, "no_time"),
    "a time without offset": (GOOD | {"measured_at": "2026-11-22T08:15:00"}, "bad_time"),
    "24:00": (GOOD | {"measured_at": "2026-11-21T24:00:00Z"}, "bad_time"),
    "a time that is no time": (GOOD | {"measured_at": True}, "bad_time"),
    "NaN as time": (GOOD | {"measured_at": float("nan")}, "bad_time"),
    "a future time": (GOOD | {"measured_at": "2026-11-22T00:25:01Z"}, "time_in_future"),
    "a time beyond all calendars": (GOOD | {"measured_at": 1e300}, "time_in_future"),
    "a time before 2000": (GOOD | {"measured_at": "1999-12-31T23:59:59Z"}, "time_before_2000"),
    "seconds for milliseconds": (GOOD | {"measured_at": 1795306500}, "time_before_2000"),
    "a string for a number": (GOOD | {"power_kw": "12"}, "not_a_number"),
    "a boolean for a number": (GOOD | {"power_kw": True}, "not_a_number"),
    "an object for a number": (GOOD | {"power_kw": {"value": 1}}, "not_a_number"),
    "NaN": (GOOD | {"power_kw": float("nan")}, "not_finite"),
    "infinity": (GOOD | {"power_kw": float("inf")}, "not_finite"),
    "a number beyond all floats": ('{"measured_at": 1795306500000, "power_kw": 1e999}', "not_json"),
    "beyond plausible": (GOOD | {"power_factor": 98.5}, "out_of_range"),
    "a negative counter": (GOOD | {"energy_import_kwh": -1}, "out_of_range"),
    "only nulls": (GOOD | {"energy_import_kwh": None}, "no_quantity"),
    "nothing but a time": ({"measured_at": GOOD["measured_at"]}, "no_quantity"),
    "another meter's id": (GOOD | {"meter_id": "m2"}, "topic_mismatch"),
    "an id that is no text": (GOOD | {"meter_id": ["m1"]}, "topic_mismatch"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_rejected_with_its_reason_and_spares_the_next_message(content, reason):
    decoded = decode(content, GOOD)
    assert reasons(decoded) == {reason: 1}
    assert decoded.rejected[0].topic == "demandwatch/v1/m1/readings"
    assert decoded.frame.height == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [(c, r) for c, r in BAD.values() if isinstance(c, dict)],
    ids=[k for k, (c, _) in BAD.items() if isinstance(c, dict)],
)
def test_a_bad_row_of_an_array_does_not_cost_its_neighbours(content, reason):
    decoded = decode([GOOD, content, GOOD])
    assert reasons(decoded) == {reason: 1}
    assert decoded.frame.height == 2


def test_an_unknown_key_is_told_and_the_rest_of_its_reading_kept():
    decoded = decode(GOOD | {"rssi_dbm": -70})
    assert reasons(decoded) == {"unknown_quantity": 1}
    assert "rssi_dbm=-70" in decoded.rejected[0].excerpt
    assert decoded.frame.height == 1


def test_the_meter_may_name_itself():
    assert decode(GOOD | {"meter_id": "m1"}).rejected == []


def test_a_meter_nobody_declared_is_rejected():
    assert reasons(decode(GOOD, meter="m9")) == {"unknown_meter": 1}


@pytest.mark.parametrize("topic", ["demandwatch/v1/m1", "other/v1/m1/readings", "", "a/b/c/d/e"])
def test_a_foreign_topic_is_rejected(topic: str):
    decoded = decode_many([Message(topic, json.dumps(GOOD).encode())], KNOWN, NOW, "mqtt")
    assert reasons(decoded) == {"topic_mismatch": 1}


def test_ten_megabytes_are_rejected_unread():
    decoded = decode(json.dumps([GOOD] * 150_000), GOOD)
    assert reasons(decoded) == {"too_large": 1}
    assert len(decoded.rejected[0].excerpt) <= 200
    assert decoded.frame.height == 1


def test_a_flood_of_bad_rows_is_one_note():
    decoded = decode([{f"key{n}": n} for n in range(20_000)])
    assert reasons(decoded) == {"unknown_quantity": 20_000, "no_time": 20_000}


def test_a_thousand_bad_values_and_one_good():
    rows = [GOOD | {"power_kw": "x"}] * 1000 + [GOOD | {"power_kw": 5}]
    decoded = decode(rows)
    assert reasons(decoded) == {"not_a_number": 1000}
    assert decoded.frame["power_kw"].to_list() == [5.0]


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
TIME = VALUE | st.datetimes().map(str) | st.integers(0, 2**43)
ROW = st.dictionaries(st.sampled_from([*QUANTITIES, "meter_id", "wat"]), VALUE, max_size=4)
TIMED = st.builds(lambda row, at: row | {"measured_at": at}, ROW, TIME | st.just(1795306500000))
CONTENT = VALUE | TIMED | st.lists(TIMED | VALUE, max_size=4)


@given(st.lists(CONTENT, max_size=5))
def test_whatever_comes_is_a_reading_or_counted_and_every_reading_is_sound(contents):
    decoded = decode(*contents)
    told = sum(len(one) if isinstance(one, list) and one else 1 for one in contents)
    lost = sum(one.count for one in decoded.rejected)
    assert told <= decoded.frame.height + lost
    assert decoded.frame.height <= told
    frame = conform(decoded.frame)
    assert frame["measured_at"].null_count() == 0
    assert frame.filter(pl.col("measured_at") > NOW + timedelta(minutes=5)).is_empty()
    values = frame.select(*QUANTITIES)
    assert values.filter(pl.all_horizontal(pl.all().is_null())).is_empty()
    assert values.select(pl.all().is_nan().any()).transpose().to_series().any() in (False, None)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_survived(payloads):
    decoded = decode(*payloads)
    assert sum(one.count for one in decoded.rejected) >= len(payloads) - decoded.frame.height


def test_reasons_are_words_for_labels():
    assert all(reason.value.isidentifier() and reason.value.islower() for reason in Reason)
