"""Documented payloads with bytes changed, cut off and put in, in great numbers.

DEMANDWATCH_FUZZ_EXAMPLES=1000000 makes a long run of it: so many messages.
"""

import os
import random
import re

import yaml
from payload_world import NOW, ROOT, SHIPPED, site

from collector.payloads.foreign import Foreign
from collector.payloads.routes import Routes
from collector.quantity import QUANTITIES
from collector.rows import Message

MESSAGES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "4000"))
BATCH = 1000
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
PIECES = (b"", b"0", b"-", b"9" * 25, b"1e999", b"NaN", b"null", b'"', b"{", b"]", b"\xff", b"true")


def seeds() -> tuple[Foreign, list[Message]]:
    meters, messages = [], []
    for path in sorted((ROOT / "tests" / "cases" / "payloads").glob("*.yaml")):
        case = yaml.safe_load(path.read_text(encoding="utf-8"))
        source = {key: case[key] for key in ("device", "zone", "side") if key in case}
        meters.append({"id": path.stem, "source": {"via": "mqtt", "mapping": path.stem} | source})
        for one in case["messages"]:
            text = one.get("payload")
            data = text.encode() if text else bytes.fromhex(one["payload_hex"].replace(" ", ""))
            messages.append(Message(one["topic"], data))
    return Foreign(Routes([site(*meters)], SHIPPED)), messages


def mutant(chance: random.Random, whole: Message) -> Message:
    """Return `whole` with other bytes in some places, or with one number replaced."""
    data = bytearray(whole.payload)
    numbers = list(NUMBER.finditer(whole.payload))
    if numbers and chance.random() < 0.5:
        one = chance.choice(numbers)
        data[one.start() : one.end()] = chance.choice([*PIECES, str(chance.random()).encode()])
        return whole._replace(payload=bytes(data))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.randint(0, 6)] = chance.choice([*PIECES, chance.randbytes(2)])
    return whole._replace(payload=bytes(data))


def test_no_mutant_of_a_documented_payload_crashes_or_leaves_the_plausible_range():
    decoder, whole = seeds()
    chance = random.Random(3)
    taken = 0
    for _ in range(MESSAGES // BATCH):
        batch = [mutant(chance, chance.choice(whole)) for _ in range(BATCH)]
        frame = decoder.decode(batch, NOW).frame
        taken += frame.height
        for name in set(frame.columns) & set(QUANTITIES):
            low, high = QUANTITIES[name].low, QUANTITIES[name].high
            assert frame[name].drop_nulls().is_between(low, high).all()
    assert taken > MESSAGES // 100  # the rest was refused, or told the instant of another
