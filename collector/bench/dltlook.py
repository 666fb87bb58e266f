"""The meaning of a DL/T 645 reading; pure."""

from zoneinfo import ZoneInfo

import numpy as np

from collector.bench.look import Cell, Look, Ratio, Reading
from collector.dlt645.items import ITEMS, Item
from collector.dlt645.items import decode as decode_items
from collector.quantity import QUANTITIES
from collector.registers import factor


def look_of_items(reading: Reading, zone: ZoneInfo, ratio: Ratio | None = None) -> Look:
    """Decode a DL/T 645 reading; items that were not answered, or refused, are missing.

    Args:
        reading: what was heard.
        zone: in which the meter's clock runs.
        ratio: of the transformers: the meter shows the values of its terminals.
    """
    cells: dict[str, Cell] = {}
    missing: list[str] = []
    for one in reading.items:
        item = ITEMS[one.item]
        if one.payloads is None:
            missing += item.quantities
            continue
        payloads = [bytes.fromhex(text) for text in one.payloads]
        values, doubts = decode_items(item, payloads, zone)
        why = {doubt.quantity: doubt.text for doubt in doubts}
        raw = " ".join(one.payloads).upper()
        for name in item.quantities:
            cells[name] = _cell(
                item, name, values.get(name), why.get(name, ""), raw, ratio or Ratio()
            )
    return Look(reading.at, reading.took_ms, cells, reading.clock_offset_s, tuple(missing))


def _cell(
    item: Item, name: str, secondary: float | None, doubt: str, raw: str, ratio: Ratio
) -> Cell:
    primary = float(np.ravel(factor(name, ratio.arrays()))[0])
    value = None if secondary is None else secondary * primary
    quantity = QUANTITIES[name]
    if value is None:
        doubt = doubt or "sentinel"
    elif not quantity.low <= value <= quantity.high:
        value, doubt = None, f"out_of_range: {value:g}"
    step = primary * 10.0**-item.decimals
    where = f"{item.name} {item.dis[0]:08X}"
    return Cell(name, quantity.unit, value, doubt, raw, where, step, step)
