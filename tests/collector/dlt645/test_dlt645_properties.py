"""DL/T 645-2007: what holds for any frame, any value and any noise."""

import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.dlt645.bcd import NotBcdError, number, packed
from collector.dlt645.exchange import Exchange, RefusedError
from collector.dlt645.frames import Frame, encode, scan
from collector.dlt645.items import ITEMS, decode
from collector.dlt645.items import encode as encode_item
from collector.dlt645.meterclock import clock_bytes, minute, minute_bytes, offset_s

ZONES = [ZoneInfo(name) for name in ("Asia/Shanghai", "Europe/Berlin", "UTC")]
FUZZ = settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "200")), deadline=None)
ADDRESS = bytes.fromhex("129078563412")
items = st.sampled_from(list(ITEMS.values()))
zones = st.sampled_from(ZONES)
frames = st.builds(
    Frame, st.binary(min_size=6, max_size=6), st.integers(0, 255), st.binary(max_size=200)
)
instants = st.datetimes(
    datetime(2000, 1, 2), datetime(2099, 12, 30), timezones=st.just(UTC)  # noqa: DTZ001 - made aware by `timezones`
)  # fmt: skip


@FUZZ
@given(frames, st.integers(0, 16), st.binary(max_size=30).filter(lambda one: 0x68 not in one))
def test_a_frame_survives_wake_bytes_and_noise_around_it(frame, wake, noise):
    assert scan(noise + encode(frame, wake) + noise)[0] == [frame]


@FUZZ
@given(st.lists(frames, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_frames_cut_anywhere_are_put_together_again(sent, cuts):
    stream = b"".join(encode(one, 2) for one in sent)
    found, rest = [], b""
    while stream:
        for size in cuts:
            more, rest = scan(rest + stream[:size])
            found += more
            stream = stream[size:]
    whole = [one for one in sent if one not in found]
    assert not whole  # a frame inside another's data may be found as well, none is lost


@FUZZ
@given(st.data(), items, zones)
def test_values_survive_encoding_and_decoding(data, item, zone):
    values = {}
    for name in item.quantities:
        digits = 2 * item.size
        top = 8 * 10 ** (digits - 1) - 1 if item.signed else 10**digits - 1
        low = -top if item.signed else 0
        values[name] = data.draw(st.none() | st.integers(low, top).map(
            lambda raw: raw / 10.0**item.decimals
        ))  # fmt: skip
        if name.endswith("_at_s"):
            values[name] = data.draw(instants).replace(second=0, microsecond=0).timestamp()
    payloads = [encode_item(item, di, values, zone) for di in item.dis]
    decoded, doubts = decode(item, payloads, zone)
    expected = {name: one for name, one in values.items() if one is not None}
    if item.timed and zone.key == "Europe/Berlin":  # an hour told twice is taken as the first
        assert abs(decoded.pop(item.quantities[1]) - expected.pop(item.quantities[1])) in {0, 3600}
    assert (decoded, doubts) == (expected, [])


@FUZZ
@given(st.binary(max_size=80), items, zones)
def test_no_payload_makes_decoding_fail_or_invent(payload, item, zone):
    values, doubts = decode(item, [payload] * len(item.dis), zone)
    assert set(values) <= set(item.quantities)
    for name, value in values.items():
        if name.endswith("_at_s"):
            assert minute_bytes(datetime.fromtimestamp(value, UTC), zone) == payload[-5:]
            continue
        index = 0 if item.timed else item.quantities.index(name)
        raw = payload[index * item.size : (index + 1) * item.size]
        total = value / len(item.dis)
        back = packed(total, item.size, item.decimals, signed=item.signed)
        assert back == raw or total == 0  # -0 is told as 0
    assert not values or len(values) + len(doubts) <= 2 * len(item.quantities)


@FUZZ
@given(st.lists(st.binary(max_size=60) | frames.map(encode), max_size=6), items)
def test_whatever_is_on_the_line_only_our_answer_is_taken(pieces, item):
    exchange = Exchange(ADDRESS, item.dis[0])
    found, _ = scan(b"".join(pieces))
    for frame in found:
        try:
            taken = exchange.take(frame)
        except RefusedError:
            assert frame.address == ADDRESS
            continue
        if taken is not False:
            assert frame.address == ADDRESS
            assert frame.data[:4] == item.dis[0].to_bytes(4, "little")


mostly_ours = st.builds(
    Frame,
    st.sampled_from([ADDRESS, ADDRESS[::-1], b"\xaa" * 6, b"\x99" * 6]),
    st.sampled_from([0x11, 0x12, 0x91, 0xB1, 0xD1, 0x92, 0xB2, 0xD2, 0x93, 0x08]),
    st.builds(
        lambda di, body, seq: di + body + bytes([seq]),
        st.sampled_from([bytes.fromhex("00ff0100"), bytes.fromhex("00ff0200"), b""]),
        st.binary(max_size=9),
        st.integers(0, 3),
    ),
)


@FUZZ
@given(st.lists(mostly_ours, max_size=12))
def test_an_answer_is_joined_from_its_own_frames_in_order(sent):
    exchange, seq, joined = Exchange(ADDRESS, 0x0001FF00), 0, b""
    for frame in sent:
        control = (0x11 if seq == 0 else 0x12) | 0x80
        ours = frame.address == ADDRESS and frame.data[:4] == bytes.fromhex("00ff0100")
        if frame.address == ADDRESS and frame.control == control | 0x40:
            try:
                exchange.take(frame)
            except RefusedError:
                return
            raise AssertionError("an error word was passed over")
        ours &= frame.control & ~0x20 == control and (not seq or frame.data[-1] == seq)
        ours &= not seq or len(frame.data) > 4
        taken = exchange.take(frame)
        if not ours:
            assert taken is False
            continue
        joined += frame.data[4:-1] if seq else frame.data[4:]
        if not frame.control & 0x20:
            assert taken == joined
            return
        assert taken is True
        seq += 1


@FUZZ
@given(st.binary(min_size=1, max_size=6), st.integers(0, 5), st.booleans())
def test_a_number_is_its_digits_or_none(raw, decimals, signed):
    try:
        value = number(raw, decimals, signed=signed)
    except NotBcdError:
        top = raw[-1] & 0x7F if signed else raw[-1]
        assert not (raw[:-1] + bytes([top])).hex().isdigit()
        return
    if value is None:
        assert set(raw) == {0xFF}
    elif value:
        assert packed(value, len(raw), decimals, signed=signed) == raw


@FUZZ
@given(instants, st.integers(-40_000_000, 40_000_000), zones)
def test_the_offset_of_a_clock_is_found_to_the_second(at, ahead_s, zone):
    at_us = round(at.timestamp()) * 1_000_000
    shows = datetime.fromtimestamp(at_us / 1e6 + ahead_s, UTC)
    if shows.year not in range(2000, 2100):
        return
    told = clock_bytes(shows, zone)
    found = offset_s(told[0x04000101], told[0x04000102], at_us, zone)
    if found is not None:
        wrong = found - 0.5 - ahead_s
        assert wrong == 0 or (zone.key == "Europe/Berlin" and abs(wrong) == 3600)


@FUZZ
@given(st.binary(max_size=6), st.binary(max_size=5), zones)
def test_no_clock_makes_decoding_fail(date, time, zone):
    for told in (lambda: offset_s(date, time, 10**15, zone), lambda: minute(date, zone)):
        try:
            told()
        except NotBcdError:
            continue
