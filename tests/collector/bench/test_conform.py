"""The lines of a conformity report, from records; and that a report cannot be altered unseen."""

import json
from datetime import UTC, datetime

import pytest
from bench_images import PROFILES, SHOWN, image_of, read_by

from alerting.evidence.seal import Sealer
from collector.bench.conform import judge, outcome_of
from collector.bench.record import Longest, Record
from collector.bench.variants import flipped
from demandwatch import conformity

SIM = PROFILES["demandwatch-sim"]
NOW = datetime(2026, 11, 22, 4, 5, tzinfo=UTC)
HOUR_KWH = SHOWN["power_kw"]


def record(profile=SIM, shown_by=None, change=None, **more):
    """A meter read ten times in ten minutes, its register growing as the power says."""
    readings = []
    for minute in range(10):
        grown = {
            n: SHOWN[n] + HOUR_KWH * minute / 60 for n in SHOWN if n.startswith(("ener", "re"))
        }
        moving = {"voltage_a_v": 230.0 + minute / 10, "energy_export_kwh": 0.0}
        values = SHOWN | grown | moving | (change or {})
        values["reactive_power_kvar"] = SHOWN["reactive_power_kvar"]
        readings.append(read_by(profile, image_of(shown_by or profile, values), 60.0 * minute))
    given = {"meter": "m", "where": "here:502", "unit": 1, "rated_power_kw": 5.0, **more}
    return Record(profile=profile, readings=tuple(readings), **given)


def lines(found):
    return {one.name: one for one in judge(found)}


def test_a_sound_meter_passes_what_can_be_proven():
    found = lines(record(longest=(Longest(function=3, start=0, count=125, why="limit"),)))
    passed = {name for name, one in found.items() if one.outcome == "passed"}
    assert passed == set(found) - {"identity", "sentinels", "apparent"}, [
        f"{one.name}: {one.said}" for one in found.values()
    ]
    assert "by u64 x 0.001" in found["rollover"].said
    assert "0 or no value: energy_export_kwh" in found["word_order"].said


def test_a_wrong_word_order_fails_by_name():
    wrong = flipped(SIM, words=True, octets=False)
    found = lines(record(profile=wrong, shown_by=SIM))
    assert found["word_order"].outcome == "failed"
    assert "word order looks big-endian" in found["word_order"].said


def test_a_ratio_applied_twice_or_not_at_all_is_seen():
    assert lines(record(rated_power_kw=0.03))["ratio"].outcome == "failed"
    assert lines(record(rated_power_kw=3000.0))["ratio"].outcome == "unknown"
    assert lines(record(rated_power_kw=None))["ratio"].outcome == "unknown"


def test_a_pattern_for_no_value_that_the_map_takes_for_one_fails():
    bare = SIM.model_copy(
        update={"registers": tuple(r.model_copy(update={"sentinels": ()}) for r in SIM.registers)}
    )
    found = lines(record(profile=bare, shown_by=SIM, change={"frequency_hz": None}))
    assert found["sentinels"].outcome == "failed"
    assert "frequency_hz 0x7fff" in found["sentinels"].said
    known = lines(record(change={"frequency_hz": None}))
    assert known["sentinels"].outcome == "passed"


def test_too_short_answers_fail_the_maps_plan():
    short = (Longest(function=3, start=0, count=20, why="exception 3"),)
    assert lines(record(longest=short))["max_registers"].outcome == "failed"


def test_a_frozen_gateway_is_not_proven_alive():
    one = record().readings[0]
    frozen = tuple(one.model_copy(update={"at": r.at}) for r in record().readings)
    found = lines(record().model_copy(update={"readings": frozen}))
    assert found["alive"].outcome == "unknown"
    assert found["energy_slope"].outcome == "failed"


def test_gaps_and_silence_fail_with_their_reason():
    first, *rest = record().readings
    lost = first.answers[0].model_copy(update={"words": None, "error": "no answer within 1 s"})
    broken = (first.model_copy(update={"answers": (lost,)}), *rest)
    found = lines(record().model_copy(update={"readings": broken}))
    assert found["readable"].outcome == "failed"
    assert "no answer within 1 s" in found["readable"].said
    assert "1 of 10 not answered" in found["timing"].said


@pytest.fixture
def sealer(tmp_path):
    return Sealer.of_file(tmp_path / "key.pem")


def test_a_report_verifies_offline_and_is_judged_anew(sealer):
    whole, text = conformity.documents(record(), NOW, sealer)
    for one in (whole, text):
        told, wrong = conformity.verified(one, sealer.public)
        assert not wrong
        assert "signed by" in told
    assert outcome_of(judge(record())) in json.loads(whole)["report"]["outcome"]


def test_every_altered_byte_is_seen(sealer):
    whole, text = conformity.documents(record(), NOW, sealer)
    for altered in (
        whole.replace('"rated_power_kw": 5.0', '"rated_power_kw": 5.1'),
        text.replace("as a whole: not proven", "as a whole: passed"),
    ):
        assert altered not in {whole, text}
        _, wrong = conformity.verified(altered)
        assert "the signature does not fit" in wrong[0]


def test_a_signed_lie_is_found_by_judging_anew(sealer):
    report = json.loads(conformity.documents(record(rated_power_kw=0.03), NOW, sealer)[0])["report"]
    for one in report["lines"]:
        one["outcome"] = "passed"
    report["outcome"] = "passed"
    signature = sealer.sign(conformity.canonical(report)).hex()
    seal = {"public_key": sealer.public.hex(), "signature": signature}
    _, wrong = conformity.verified(json.dumps({"report": report, "seal": seal}))
    assert any(one.startswith("ratio: the readings say failed") for one in wrong)
    assert any(one.startswith("as a whole") for one in wrong)


def test_another_key_is_not_trusted(sealer, tmp_path):
    whole, _ = conformity.documents(record(), NOW, sealer)
    other = Sealer.of_file(tmp_path / "other.pem").public
    assert "not by the key trusted" in conformity.verified(whole, other)[1][0]


@pytest.mark.parametrize("text", ["", "{}", "hello", '{"report": {}, "seal": 3}'])
def test_what_is_no_report_is_called_so(text):
    with pytest.raises(conformity.NoReportError):
        conformity.verified(text)
