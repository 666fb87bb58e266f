"""Sparkplug B: births, deaths, aliases, types, gaps and the rebirth that heals them."""

from datetime import timedelta

import pytest
from fakes.sparkplug_encoder import metric, payload
from payload_world import NOW, foreign, message, reasons, rows, site

from collector.payloads.foreign import Foreign
from collector.payloads.mapping import PayloadMapping
from collector.payloads.routes import Routes
from collector.payloads.sparkplug import Codec
from collector.reason import Reason

AT = int(NOW.timestamp() * 1000) - 60_000
MEASURED = NOW - timedelta(minutes=1)
KWH = "energy_import_kwh"


class Plant:
    """One edge node `g/n` with a device `d`, and what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.decoder = foreign(mapping="sparkplug", device="g/n/d")
        self.decoder.ask = lambda topic, data: self.asked.append((topic, data))
        self.now = NOW

    def hear(self, kind: str, data: bytes, stale: Reason | None = None):
        tail = "/d" if kind.startswith("D") else ""
        return self.decoder.decode([message(f"spBv1.0/g/{kind}/n{tail}", data, stale)], self.now)

    def birth(self, seq_of_device: int = 1, alias: int = 5, bd: int = 1):
        self.hear("NBIRTH", payload(metric("Int64", bd, "bdSeq"), seq=0, at=AT))
        told = metric("Double", 10.0, KWH, alias=alias, at=AT)
        power = metric("Int32", -5, "power_kw", alias=alias + 1, at=AT)
        return self.hear("DBIRTH", payload(told, power, seq=seq_of_device, at=AT))

    def data(self, seq: int, value: float = 11.0, alias: int = 5):
        one = metric("Double", value, alias=alias, at=AT, typed=False)
        return self.hear("DDATA", payload(one, seq=seq, at=AT))


def test_a_birth_states_values_and_later_data_say_them_by_alias():
    plant = Plant()
    assert rows(plant.birth()) == [{"measured_at": MEASURED, KWH: 10.0, "power_kw": -5.0}]
    assert rows(plant.data(2)) == [{"measured_at": MEASURED, KWH: 11.0}]
    assert plant.asked == []


def test_data_before_the_birth_are_refused_and_a_rebirth_is_asked_for_once_a_minute():
    plant = Plant()
    assert reasons(plant.data(7)) == {"no_birth": 1}
    assert reasons(plant.data(8)) == {"no_birth": 1}
    (topic, data), *more = plant.asked
    assert topic == "spBv1.0/g/NCMD/n"
    assert more == []
    expected = metric("Boolean", True, "Node Control/Rebirth", at=int(NOW.timestamp() * 1000))
    assert Codec().decode(data) == Codec().decode(payload(expected, at=int(NOW.timestamp() * 1000)))
    plant.now += timedelta(seconds=61)
    plant.data(9)
    assert len(plant.asked) == 2
    plant.birth()
    assert rows(plant.data(2)) != []
    plant.now += timedelta(seconds=61)
    plant.data(3)
    assert len(plant.asked) == 2  # it was born


def test_after_a_gap_no_alias_is_trusted_for_it_may_have_been_given_anew():
    plant = Plant()
    plant.birth()
    decoded = plant.data(4)  # 2 and 3 are missing
    assert (decoded.frame.height, reasons(decoded)) == (0, {"no_birth": 1})
    assert len(plant.asked) == 1
    named = payload(metric("Double", 12.0, KWH, at=AT), seq=5, at=AT)
    assert rows(plant.hear("DDATA", named)) == [{"measured_at": MEASURED, KWH: 12.0}]
    plant.birth(alias=50)
    assert rows(plant.data(2, 13.0, alias=50)) == [{"measured_at": MEASURED, KWH: 13.0}]


def test_the_sequence_runs_from_255_to_0():
    plant = Plant()
    plant.birth()
    for seq in [*range(2, 256), 0, 1]:
        assert plant.data(seq).rejected == []
    assert plant.asked == []


def test_a_message_without_its_sequence_number_is_a_gap():
    plant = Plant()
    plant.birth()
    plant.hear("DDATA", payload(metric("Double", 1.0, alias=5, at=AT, typed=False), at=AT))
    assert len(plant.asked) == 1


def test_the_death_of_an_older_connection_is_no_death():
    plant = Plant()
    plant.birth(bd=8)
    plant.hear("NDEATH", payload(metric("Int64", 7, "bdSeq"), at=AT))
    assert rows(plant.data(2)) != []
    plant.hear("NDEATH", payload(metric("Int64", 8, "bdSeq"), at=AT))
    assert reasons(plant.data(3)) == {"no_birth": 1}


def test_a_dead_device_says_nothing_until_it_is_born_again():
    plant = Plant()
    plant.birth()
    assert plant.hear("DDEATH", payload(seq=2, at=AT)).rejected == []
    assert reasons(plant.data(3)) == {"no_birth": 1}
    plant.hear("DBIRTH", payload(metric("Double", 10.0, KWH, alias=5, at=AT), seq=4, at=AT))
    assert rows(plant.data(5)) != []


def test_a_new_connection_forgets_the_births_and_asks_for_them():
    plant = Plant()
    plant.birth()
    plant.decoder.begin(NOW)
    assert [topic for topic, _ in plant.asked] == ["spBv1.0/g/NCMD/n"]
    assert reasons(plant.data(2)) == {"no_birth": 1}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("Int8", -1, -1.0), ("Int16", -300, -300.0), ("Int32", -70_000, -70_000.0),
     ("Int64", -3_000_000, -3_000_000.0), ("UInt32", 4_000_000, 4_000_000.0),
     ("UInt64", 1_000_000, 1e6), ("Float", 0.5, 0.5), ("Double", -1.5, -1.5)],
)  # fmt: skip
def test_every_numeric_type_is_read_also_where_only_the_birth_tells_it(kind, value, expected):
    plant = Plant()
    plant.hear("NBIRTH", payload(metric("Int64", 1, "bdSeq"), seq=0, at=AT))
    born = plant.hear("DBIRTH", payload(metric(kind, value, "power_kw", 9, AT), seq=1, at=AT))
    later = payload(metric(kind, value, None, 9, AT, typed=False), seq=2, at=AT)
    for decoded in (born, plant.hear("DDATA", later)):
        assert rows(decoded) == [{"measured_at": MEASURED, "power_kw": expected}]


def test_an_integer_of_unknown_type_is_refused_for_it_may_be_negative():
    plant = Plant()
    plant.birth()
    plant.hear("NDATA", payload(seq=9, at=AT))  # a gap: types are forgotten, too
    one = metric("Int32", -5, "power_kw", at=AT, typed=False)
    decoded = plant.hear("DDATA", payload(one, seq=10, at=AT))
    assert (decoded.frame.height, reasons(decoded)) == (0, {"no_birth": 1})


def test_null_text_and_bad_quality_are_no_values():
    plant = Plant()
    plant.birth()
    null = metric("Double", None, alias=5, at=AT, typed=False)
    assert plant.hear("DDATA", payload(null, seq=2, at=AT)).frame.is_empty()
    text = metric("String", "12", KWH, at=AT)
    assert reasons(plant.hear("DDATA", payload(text, seq=3))) == {"not_a_number": 1}
    stale = metric("Double", 5.0, KWH, at=AT, quality=500)
    good = metric("Double", 7.0, "power_kw", at=AT, quality=192)
    decoded = plant.hear("DDATA", payload(stale, good, seq=4, at=AT))
    assert (rows(decoded), reasons(decoded)) == (
        [{"measured_at": MEASURED, "power_kw": 7.0}],
        {"bad_quality": 1},
    )


def test_each_metric_has_its_own_time_and_history_keeps_it():
    plant = Plant()
    plant.birth()
    metrics = [metric("Double", 20.0 + n, alias=5, at=AT - n * 1000, typed=False, historical=True)
               for n in range(3)]  # fmt: skip
    told = rows(plant.hear("DDATA", payload(*metrics, metric("Double", 30.0, alias=5), seq=2,
                                            at=AT + 1000)))  # fmt: skip
    assert [row[KWH] for row in told] == [22.0, 21.0, 20.0, 30.0]
    assert told[0]["measured_at"] == MEASURED - timedelta(seconds=2)
    timeless = plant.hear("DDATA", payload(metric("Double", 30.0, alias=5), seq=3))
    assert reasons(timeless) == {"no_time": 1}


def test_bytes_that_are_no_payload_are_noted_and_may_have_been_a_birth():
    plant = Plant()
    plant.birth()
    assert reasons(plant.hear("DDATA", b"\xff\xff\xff")) == {"not_sparkplug": 1}
    assert len(plant.asked) == 1
    retained = payload(metric("Double", 1.0, KWH, at=AT), seq=0, at=AT)
    assert reasons(plant.hear("NBIRTH", retained, Reason.RETAINED)) == {"retained": 1}
    assert reasons(plant.decoder.decode([message("spBv1.0/g/STATE", b"")], NOW)) == {
        "topic_mismatch": 1
    }


def test_a_node_may_be_a_meter_itself_and_names_are_the_mappings():
    one = PayloadMapping.model_validate(
        {"id": "own", "title": "T", "reference": "R", "format": "sparkplug", "values": [
            {"path": "Meter/Energy.Total", "quantity": KWH, "scale": 0.001}]}
    )  # fmt: skip
    meters = site({"id": "m", "source": {"via": "mqtt", "mapping": "own", "device": "g/n"}})
    decoder = Foreign(Routes([meters], {"own": one}))
    born = payload(metric("UInt64", 5_000, "Meter/Energy.Total", at=AT), seq=0, at=AT)
    decoded = decoder.decode([message("spBv1.0/g/NBIRTH/n", born)], NOW)
    assert rows(decoded) == [{"measured_at": MEASURED, KWH: 5.0}]
