"""Anything a device or a stranger may send: no crash, no hang, no invented value.

DEMANDWATCH_FUZZ_EXAMPLES=1000000 makes a long run of it.
"""

import json
import math
import os
import re
from datetime import timedelta

from fakes.sparkplug_encoder import TYPES, metric, payload
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payload_world import NOW, SHIPPED, site

from collector.payloads.foreign import Foreign
from collector.payloads.routes import Routes
from collector.quantity import QUANTITIES
from collector.reason import Reason
from collector.rows import Decoded, Message

EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "150"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, database=None,
                suppress_health_check=list(HealthCheck))  # fmt: skip
EXTRAS = {"tasmota-energy": {"zone": "Europe/Berlin"}, "acrel-adw300": {"side": "secondary"}}
METERS = site(*(
    {"id": name, "ct_ratio": [{"from": "2020-01-01", "value": 10}],
     "source": {"via": "mqtt", "mapping": name,
                "device": "g/n/d" if name == "sparkplug" else "7"} | EXTRAS.get(name, {})}
    for name in SHIPPED
))  # fmt: skip
ROUTES = Routes([METERS], SHIPPED)

STEPS = sorted(
    {step for m in SHIPPED.values() for t in m.topics for v in t.values for step in v.path}
)
KEYS = st.sampled_from([*STEPS, "ts", "Time", "last_seen", "timestamp", "node", "values", "data",
                        "params", "ENERGY", "point", "id", "val", "tp", "0", ""])  # fmt: skip
TIMES = st.sampled_from([1795348740, 1795348740000, 1795348740.5, "2026-11-22T11:59:00Z",
                         "2026-10-25T02:30:00", "2026-03-29T02:30:00", "2026-11-22"])  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=5),
    TIMES, st.sampled_from(["7", 7, 28, 13, 10**400]),
)  # fmt: skip
CONTENT = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)  # fmt: skip
TOPICS = st.sampled_from([
    "shellies/7/emeter/0/total", "shellies/7/emeter/1/total", "shellies/7/emeter/2/total",
    "shellies/7/emeter/1/power", "shellies/7/emeter/9/x", "7/events/rpc", "tele/7/SENSOR",
    "zigbee2mqtt/7", "platform/acrel/meter/json-v2/analog/0000", "/neuron/app/7/g",
])  # fmt: skip
STALE = st.sampled_from([None, None, None, Reason.RETAINED, Reason.DELAYED])


def framed(topic: str, inner: object, at: object) -> object:
    """Return content deep enough to be read, more often than chance would have it."""
    if topic.endswith("rpc"):
        return {"params": {"ts": at, "em:0": inner, "emdata:0": inner}}
    if topic.startswith("tele"):
        return {"Time": at, "ENERGY": inner}
    if topic.startswith("zigbee"):
        return (inner if isinstance(inner, dict) else {}) | {"last_seen": at, "energy": inner}
    if topic.startswith("platform"):
        points = [{"id": 0, "val": "7"}, {"id": 28, "val": inner}]
        return {"data": [{"tp": at, "point": points}]}
    return {"timestamp": at, "node": "7", "values": {"energy_import_kwh": inner, "power_kw": inner}}


def text(content: object) -> bytes:
    return json.dumps(content).encode("utf-8", "surrogatepass")


JSON = st.builds(
    lambda topic, inner, at, deep, stale: Message(
        topic, text(framed(topic, inner, at) if deep else inner), stale
    ),
    TOPICS, CONTENT, TIMES | LEAVES, st.booleans(), STALE,
)  # fmt: skip
RAW = st.builds(Message, TOPICS, st.binary(max_size=40), STALE)
BARE = st.builds(
    lambda topic, number, stale: Message(topic, repr(number).encode(), stale),
    TOPICS, st.floats() | st.integers(), STALE,
)  # fmt: skip


def judge(decoded: Decoded, messages: list[Message]) -> None:
    """Assert that what came out is sound, and that each number was in some message."""
    frame = decoded.frame
    assert frame["measured_at"].null_count() == 0
    assert frame.filter(
        (frame["measured_at"] > NOW + timedelta(minutes=5))
        | (frame["measured_at"].dt.year() < 2000)
    ).is_empty()
    for name in set(frame.columns) & set(QUANTITIES):
        low, high = QUANTITIES[name].low, QUANTITIES[name].high
        assert frame[name].drop_nulls().is_between(low, high).all()
    assert all(one.count > 0 and len(one.excerpt) <= 200 for one in decoded.rejected)
    if frame.height:
        assert messages


@FUZZ
@given(st.lists(JSON | RAW | BARE, max_size=6))
def test_any_messages_are_survived_and_no_value_is_invented(messages: list[Message]):
    decoder = Foreign(ROUTES)
    assert all(decoder.knows(one.topic) for one in messages)
    decoded = decoder.decode(messages, NOW)
    judge(decoded, messages)
    said = {abs(float(n)) for one in messages for n in _numbers(one.payload)}
    for row in decoded.frame.to_dicts():
        summed = row["meter_id"] == "shelly-3em"
        for name in row.keys() & QUANTITIES.keys():
            value = row[name]
            if value is not None and not (summed and name.startswith("energy")):
                assert any(
                    math.isclose(abs(value), n * f, rel_tol=1e-9)
                    for n in said
                    for f in (1, 1e-3, 10)
                ), (name, value)


def _numbers(data: bytes) -> list[bytes]:
    found = re.findall(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", data)
    return [one for one in found if len(one) < 300]


KINDS = ["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH", "NCMD", "STATE"]
METRIC = st.builds(
    lambda kind, number, name, alias, at, typed, quality: metric(
        kind, number if kind != "String" else "x", name, alias, at, typed, quality
    ),
    st.sampled_from([k for k in TYPES if k != "Float"]), st.integers(0, 2**62),
    st.sampled_from([None, "energy_import_kwh", "power_kw", "bdSeq", "x"]),
    st.sampled_from([None, 1, 2, 2**64 - 1]),
    st.sampled_from([None, 0, 1795348740000, 2**64 - 1]), st.booleans(),
    st.sampled_from([None, 192, 0, 500]),
)  # fmt: skip
SPARKPLUG = st.builds(
    lambda kind, device, metrics, seq, at, stale: Message(
        f"spBv1.0/g/{kind}/n{device}", payload(*metrics, seq=seq, at=at), stale
    ),
    st.sampled_from(KINDS), st.sampled_from(["", "/d", "/e", "/d/e"]), st.lists(METRIC, max_size=3),
    st.sampled_from([None, 0, 1, 2, 2**63]), st.sampled_from([None, 1795348740000]), STALE,
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> Message:
    """Return a Sparkplug message with some bytes changed, cut off or put in."""
    whole = draw(SPARKPLUG)
    data = bytearray(whole.payload)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        cut = draw(st.integers(0, 3))
        data[at : at + cut] = draw(st.binary(max_size=3))
    return whole._replace(payload=bytes(data))


@FUZZ
@given(st.lists(SPARKPLUG | broken(), max_size=8))
def test_any_sparkplug_bytes_are_survived(messages: list[Message]):
    asked: list[str] = []
    decoder = Foreign(ROUTES, lambda topic, _payload: asked.append(topic))
    half = len(messages) // 2
    for some in (messages[:half], messages[half:]):
        judge(decoder.decode(some, NOW), some)
    assert len(asked) <= 1  # within one minute


@FUZZ
@given(st.lists(st.builds(Message, st.sampled_from(
    ["spBv1.0/g/NBIRTH/n", "spBv1.0/g/DDATA/n/d", "spBv1.0/", "spBv1.0/g/NDATA/n/+"]),
    st.binary(max_size=80)), max_size=4))  # fmt: skip
def test_any_bytes_at_all_are_survived(messages: list[Message]):
    judge(Foreign(ROUTES).decode(messages, NOW), messages)
