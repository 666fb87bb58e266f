"""What mappings do with times, devices, transformers, sums and bad values."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from payload_world import NOW, SHIPPED, foreign, message, reasons, rows, site

from collector.payloads.foreign import Foreign
from collector.payloads.mapping import PayloadMapping
from collector.payloads.routes import Routes
from collector.reason import Reason


def mapping(**more: object) -> PayloadMapping:
    base = {
        "id": "x",
        "title": "X",
        "reference": "none",
        "time": {"path": "t", "format": "epoch_ms"},
        "topics": [{"topic": "x/{device}", "values": [
            {"path": "e", "quantity": "energy_import_kwh"},
            {"path": "p", "quantity": "power_kw", "scale": 0.001},
        ]}],
    }  # fmt: skip
    return PayloadMapping.model_validate(base | more)


def told(one: PayloadMapping, *payloads: object, stale: Reason | None = None, **source: object):
    decoder = foreign(one, mapping=one.id, device="d", **source)
    texts = [p if isinstance(p, str) else json.dumps(p) for p in payloads]
    return decoder.decode([message("x/d", text, stale) for text in texts], NOW)


T = int(NOW.timestamp() * 1000) - 60_000
AT = NOW - timedelta(minutes=1)
NAN = float("nan")


def test_a_bad_value_rejects_its_message_never_its_neighbours():
    decoded = told(mapping(), {"t": T, "e": "12"}, {"t": T, "p": 5}, {"t": T + 1, "e": 7})
    assert [row.get("energy_import_kwh") for row in rows(decoded)] == [None, 7.0]
    assert reasons(decoded) == {"not_a_number": 1}


def test_two_messages_of_one_instant_that_contradict_stay_two_rows():
    decoded = told(mapping(), {"t": T, "e": 1}, {"t": T, "e": 2}, {"t": T, "p": 1000})
    assert sorted(decoded.frame["energy_import_kwh"].drop_nulls().to_list()) == [1.0, 2.0]
    assert decoded.frame["power_kw"].drop_nulls().to_list() == [1.0]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"e": 1}, "no_time"),
        ({"t": "soon", "e": 1}, "bad_time"),
        ({"t": True, "e": 1}, "bad_time"),
        ({"t": [1], "e": 1}, "bad_time"),
        ({"t": T + 10**7, "e": 1}, "time_in_future"),
        ({"t": 10**400, "e": 1}, "not_json"),
        ({"t": 10**400, "e": 1, "z": NAN}, "bad_time"),
        ({"t": T, "e": 10**400, "z": NAN}, "not_finite"),
        ({"t": T, "e": -1}, "out_of_range"),
        ({"t": T, "e": True}, "not_a_number"),
        ({"t": T, "e": {}}, "not_a_number"),
        ({"t": T, "e": NAN}, "not_finite"),
        ({"t": T}, "no_quantity"),
        ({"t": T, "e": None}, "no_quantity"),
        ("7", "not_an_object"),
        ("{", "not_json"),
        ("[" * 100_000 + "NaN", "not_json"),
    ],
)
def test_bad_data_is_a_reason_and_no_row(payload: object, reason: str):
    decoded = told(mapping(), payload)
    assert decoded.frame.is_empty()
    assert reasons(decoded) == {reason: 1}


def local(text: object, zone: str, pattern: str = "") -> tuple[list[object], dict[str, int]]:
    one = mapping(time={"path": "t", "format": "local", "pattern": pattern})
    decoded = told(one, {"t": text, "e": 1}, zone=zone)
    return decoded.frame["measured_at"].to_list(), reasons(decoded)


def test_a_wall_clock_is_read_in_the_zone_of_its_meter():
    at = datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert local("2026-07-01T12:00:00", "Europe/Berlin") == ([at], {})
    assert local("2026-07-01 18:00", "Asia/Shanghai") == ([at], {})
    assert local("20260701180000", "Asia/Shanghai", "%Y%m%d%H%M%S") == ([at], {})
    assert local(20260701180000, "Asia/Shanghai", "%Y%m%d%H%M%S") == ([at], {})
    assert local("2026-07-01T12:00:00+02:00", "Asia/Shanghai") == ([at], {})  # it says so itself


def test_an_hour_the_clocks_show_twice_or_never_is_refused():
    assert local("2026-10-25T02:30:00", "Europe/Berlin") == ([], {"ambiguous_time": 1})
    assert local("2026-03-29T02:30:00", "Europe/Berlin") == ([], {"bad_time": 1})
    assert local("2026-10-25", "Europe/Berlin") == ([], {"bad_time": 1})  # a date is no time
    assert local("0001-01-01T00:00:00", "Asia/Shanghai") == ([], {"time_before_2000": 1})
    assert local("9999-12-31T23:59:59", "America/New_York")[0] == []
    assert local(None, "UTC") == ([], {"no_time": 1})


def test_what_is_measured_behind_transformers_is_multiplied_by_the_ratios_of_its_time():
    one = mapping(side="unstated")
    assert rows(told(one, {"t": T, "e": 2, "p": 500}, side="secondary", ct=40)) == [
        {"measured_at": AT, "energy_import_kwh": 80.0, "power_kw": 20.0}
    ]
    assert rows(told(one, {"t": T, "e": 2}, side="primary", ct=40))[0]["energy_import_kwh"] == 2.0
    early = told(one, {"t": 1_500_000_000_000, "e": 2}, side="secondary", ct=40)
    assert reasons(early) == {"no_ratio": 1}  # the ratio is known from 2020 on
    assert reasons(told(one, {"t": T, "e": "2"}, side="secondary", ct=40)) == {"not_a_number": 1}


ARRIVING = mapping(time="arrival")


@pytest.mark.parametrize("stale", [Reason.RETAINED, Reason.DELAYED])
def test_a_value_of_an_unknown_moment_gets_no_fresh_time(stale: Reason):
    decoded = told(ARRIVING, {"e": 1}, stale=stale)
    assert decoded.frame.is_empty()
    assert reasons(decoded) == {str(stale): 1}
    assert rows(told(mapping(), {"t": T, "e": 1}, stale=stale)) != []  # it tells its own time


def test_arrivals_of_one_batch_are_one_row_until_a_value_is_told_again():
    decoded = told(ARRIVING, {"e": 1}, {"p": 10}, {"e": 2}, {"p": 20}, {"p": 30})
    microsecond = timedelta(microseconds=1)
    assert rows(decoded) == [
        {"measured_at": NOW, "energy_import_kwh": 1.0, "power_kw": 0.01},
        {"measured_at": NOW + microsecond, "energy_import_kwh": 2.0, "power_kw": 0.02},
        {"measured_at": NOW + 2 * microsecond, "power_kw": 0.03},
    ]
    assert set(decoded.frame["source"]) == {"mqtt:x:arrival"}


def test_a_sum_is_made_of_addends_that_came_together_and_of_each_once():
    decoder = foreign(mapping="shelly-3em", device="d")

    def total(phase: int, wh: object, seconds: float) -> list[object]:
        one = message(f"shellies/d/emeter/{phase}/total", str(wh))
        told = rows(decoder.decode([one], NOW + timedelta(seconds=seconds)))
        return [row["energy_import_kwh"] for row in told]

    assert [total(0, 1000, 0), total(1, 2000, 0.1), total(2, 3000, 0.2)] == [[], [], [6.0]]
    assert [total(0, 1001, 30), total(1, 2001, 30.1)] == [[], []]  # the third is lost
    assert [total(2, 3002, 60), total(0, 1002, 60), total(1, 2002, 60)] == [[], [], [6.006]]
    assert [total(0, -5, 90), total(1, 1, 90), total(2, 1, 90)] == [[], [], []]
    assert [total(0, "nan", 120), total(1, "1_0", 120), total(0, "on", 120)] == [[], [], []]


def test_two_devices_of_one_topic_are_told_apart_and_strangers_are_noted():
    one = mapping(
        device_path="id", topics=[{"topic": "x/all", "values": [
            {"path": "e", "quantity": "energy_import_kwh"}]}], each="list",
    )  # fmt: skip
    meters = [
        {"id": m, "source": {"via": "mqtt", "mapping": "x", "device": d}}
        for m, d in (("m1", "A"), ("m2", "7"))
    ]
    decoder = Foreign(Routes([site(*meters)], {"x": one}))
    listed = [{"id": "A", "t": T, "e": 1}, {"id": 7, "t": T, "e": 2}, {"id": "B", "t": T, "e": 3},
              {"id": None, "t": T, "e": 4}]  # fmt: skip
    decoded = decoder.decode([message("x/all", json.dumps({"list": listed}))], NOW)
    assert dict(
        zip(decoded.frame["meter_id"], decoded.frame["energy_import_kwh"], strict=True)
    ) == {
        "m1": 1.0,
        "m2": 2.0,
    }
    assert reasons(decoded) == {"unknown_meter": 2}


@pytest.mark.parametrize(
    ("pattern", "topic", "matches"),
    [
        ("a/{device}/c", "a/d/c", True),
        ("a/{device}/c", "a/e/c", False),
        ("a/{device}/+", "a/d/x", True),
        ("a/{device}/+", "a/d", False),
        ("a/{device}/#", "a/d", True),
        ("a/{device}/#", "a/d/x/y", True),
        ("+/{device}", "/d", True),
        ("/{device}/+", "/d/", True),
    ],
)
def test_topics_match_as_the_protocol_says(pattern: str, topic: str, matches: bool):
    values = [{"path": "e", "quantity": "energy_import_kwh"}]
    one = mapping(topics=[{"topic": pattern, "values": values}])
    decoder = foreign(one, mapping="x", device="d")
    assert decoder.knows(topic) is matches


def test_what_is_subscribed_says_at_which_quality():
    queued = foreign(mapping="tasmota-energy", device="d", zone="UTC").routes.wanted
    fresh = foreign(mapping="shelly-3em", device="d").routes.wanted
    assert [(one.topic, one.qos) for one in queued] == [("tele/d/SENSOR", 1)]
    assert [(one.topic, one.qos) for one in fresh] == [("shellies/d/emeter/+/+", 0)]
    assert {one.qos for one in foreign(mapping="sparkplug", device="g/n/d").routes.wanted} == {0}
    own = foreign(mapping="acrel-adw300", device="1", side="primary", topic="hall/meter").routes
    assert [one.topic for one in own.wanted] == ["hall/meter"]
    assert SHIPPED["shelly-3em"].by_arrival
