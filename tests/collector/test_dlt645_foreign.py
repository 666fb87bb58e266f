"""A foreign program as peer: the `dlt645` package as a meter that we read, and as our reader.

It numbers addresses first digits first, the other way round than the standard; hence `[::-1]`.
"""

from datetime import datetime

import pytest
from dlt645 import Demand, MeterClientService, MeterServerService
from services import free_port, listens
from services_dlt645 import SHANGHAI, SHOWN, address, line, site_of
from waiting import until

from collector.dlt645.items import ITEMS
from collector.simulator.dlt645_answers import Showing

SINGLE = [
    "energy_import_total", "energy_export_total", "voltage_a", "voltage_c", "current_b",
    "power_total", "reactive_power", "power_factor", "frequency", "demand",
]  # fmt: skip
WIRE = bytes.fromhex(address(7))[::-1]


@pytest.fixture
def foreign_meter():
    """Serve meter 7 by the foreign package; return its service and its port."""
    port = free_port()
    meter = MeterServerService.new_tcp_server("127.0.0.1", port)
    meter.set_address(WIRE)
    assert meter.server.start()
    until(lambda: listens(port))
    yield meter, port
    meter.server.stop()


def test_a_foreign_meter_is_read(station, foreign_meter):
    meter, port = foreign_meter
    for name in SINGLE:
        item = ITEMS[name]
        write = meter.set_00 if name.startswith("energy") else meter.set_02
        assert write(item.dis[0], SHOWN[item.quantities[0]])
    at = datetime.fromtimestamp(SHOWN["demand_register_at_s"], SHANGHAI).replace(tzinfo=None)
    assert meter.set_01(0x01010000, Demand(SHOWN["demand_register_kw"], at))
    items = [*SINGLE, "demand_register"]
    station.reader(line(port), site_of([7], items=items, clock_every_s=3600))
    until(lambda: station.readings().height)
    row = station.readings().row(0, named=True)
    names = {one for name in items for one in ITEMS[name].quantities}
    assert {one: row[one] for one in names} == pytest.approx({one: SHOWN[one] for one in names})


def test_our_meter_is_read_by_a_foreign_program(station):
    port = station.simulate({7: lambda _at: Showing(SHOWN)})
    reader = MeterClientService.new_tcp_client("127.0.0.1", port, timeout=5)
    reader.address = bytearray(WIRE)
    try:
        for name in SINGLE:
            item = ITEMS[name]
            ask = reader.read_00 if name.startswith("energy") else reader.read_02
            assert ask(item.dis[0]).value == pytest.approx(SHOWN[item.quantities[0]]), name
        assert reader.read_address().value == WIRE.hex()
    finally:
        reader.disconnect()
