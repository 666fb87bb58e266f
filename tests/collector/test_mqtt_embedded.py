"""The demonstration's own broker speaks 3.1.1 only; the reader must live with it."""

from pathlib import Path

from services_mqtt import publish, reading, values
from waiting import until

from collector.intake import Desk
from collector.simulator.broker import open_broker


def test_the_embedded_broker_delivers_every_reading(tmp_path: Path, desk: Desk):
    broker = open_broker(tmp_path / "broker", embedded=True)
    try:
        with reading(broker.port, desk, broker.protocol):
            publish(broker.port, 300, protocol=broker.protocol)
            until(lambda: len(set(values(desk))) == 300, 30)
    finally:
        broker.stop()
    assert set(values(desk)) == set(map(float, range(300)))
