"""Each shipped mapping against payloads as its maker documents them."""

from datetime import datetime
from pathlib import Path

import pytest
import yaml
from payload_world import NOW, ROOT, SHIPPED, foreign, message, reasons, rows

from collector.payloads.mapping import load_payload_mappings
from collector.reading import conform
from collector.rows import Message

CASES = {path.stem: path for path in (ROOT / "tests" / "cases" / "payloads").glob("*.yaml")}


def test_each_shipped_mapping_is_sound_and_has_its_case():
    assert load_payload_mappings(ROOT / "config" / "payload-mappings").faults == []
    assert set(CASES) == set(SHIPPED)


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_documented_payload_becomes_these_readings(name: str):
    decoder, messages, case = opened(CASES[name])
    decoded = decoder.decode(messages, NOW)
    assert rows(decoded) == expected(case)
    assert reasons(decoded) == case.get("rejected", {})
    assert decoder.ignored == case.get("ignored", 0)
    assert decoded.frame["source"].unique().to_list() == [case["source"]]
    assert decoded.frame["meter_id"].unique().to_list() == ["m"]
    assert decoded.frame["received_at"].unique().to_list() == [NOW]
    assert conform(decoded.frame).height == len(case["expected"])


@pytest.mark.parametrize("name", sorted(CASES))
def test_one_by_one_the_messages_say_the_same_as_together(name: str):
    """Two rows of one instant that do not contradict one another are merged further on."""
    decoder, messages, case = opened(CASES[name])
    told: dict[tuple[str, object], dict[str, object]] = {}
    for one in messages:
        for row in rows(decoder.decode([one], NOW)):
            kept = told.setdefault(("m", row["measured_at"]), {})
            assert not (kept.keys() & row.keys()) - {"measured_at"}
            kept |= row
    assert sorted(told.values(), key=lambda row: row["measured_at"]) == expected(case)


def opened(path: Path) -> tuple[object, list[Message], dict[str, object]]:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    source = {key: case[key] for key in ("device", "zone", "side", "ct") if key in case}
    messages = [
        message(
            one["topic"], one.get("payload") or bytes.fromhex(one["payload_hex"].replace(" ", ""))
        )
        for one in case["messages"]
    ]
    return foreign(mapping=path.stem, **source), messages, case


def expected(case: dict[str, object]) -> list[dict[str, object]]:
    found = []
    for row in case["expected"]:
        at = row["measured_at"]
        found.append(row | {"measured_at": at if isinstance(at, datetime) else NOW})
    return found
