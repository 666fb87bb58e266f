"""One DL/T 645 meter on the bench: who is there, and what does it say."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from collector.bench.look import ItemAnswered, Reading, middle
from collector.bench.modbusbench import UnreachableError
from collector.dlt645.bcd import NotBcdError
from collector.dlt645.frames import address_of, digits_of
from collector.dlt645.items import ITEMS, Item
from collector.dlt645.meterclock import DATE, TIME, offset_s
from collector.linesettings import LineSettings
from collector.polls import micros
from collector.sources.dlt645link import Link, PollError

USUAL = (
    "energy_import", "energy_export", "reactive_import", "reactive_export", "demand_register",
    "voltage", "current", "power", "reactive_power", "apparent_power", "power_factor", "frequency",
)  # fmt: skip
"""What is read where nothing else is asked for; a meter refuses what it does not have."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Whom to ask, and how."""

    address: str
    """Twelve digits."""
    zone: ZoneInfo
    """In which the meter's clock runs."""
    items: tuple[str, ...] = USUAL
    wake: int = 4
    retries: int = 1
    strict: bool = False
    """Whether what the meter refuses is a fault; else it does not have it, and it is left out."""


class Dlt645Bench:
    """An open line; made by `open_dlt645`."""

    def __init__(self, link: Link, line: LineSettings, now: Callable[[], datetime]) -> None:
        self._link, self._line, self._now = link, line, now

    async def address(self) -> str | None:
        """Return the address of the only meter there; None: no single one answers."""
        try:
            return digits_of(await self._link.address(retries=1))
        except PollError:
            return None

    async def read(self, meter: Spoken) -> Reading:
        """Read items and clock; what is not answered is part of the reading.

        A meter that stays silent is not asked on.
        """
        began, items = self._now(), list[ItemAnswered]()
        for name in meter.items:
            found = await self._item(ITEMS[name], meter)
            if found.refused and not meter.strict:
                continue
            items.append(found)
            if items[-1].payloads is None and not items[-1].refused:
                break
        at = middle(began, self._now())
        silent = all(one.payloads is None and not one.refused for one in items) and items
        offset = None if silent else await self._offset(meter)
        return Reading(at=at, items=tuple(items), clock_offset_s=offset)

    async def _item(self, item: Item, meter: Spoken) -> ItemAnswered:
        loop = asyncio.get_running_loop()
        began, address = loop.time(), address_of(meter.address)
        payloads, error, refused = None, "", False
        try:
            heard = [
                await self._link.read(address, di, item.label(di), meter.wake, meter.retries)
                for di in item.dis
            ]
            payloads = tuple(one.payload.hex().upper() for one in heard)
        except PollError as failure:
            error, refused = str(failure), failure.answered
            if not self._link.connected and not await self._link.connect():
                raise UnreachableError(f"{self._line.where}: {error}") from failure
        took = round((loop.time() - began) * 1000, 3)
        return ItemAnswered(
            item=item.name, payloads=payloads, error=error, refused=refused, took_ms=took
        )

    async def _offset(self, meter: Spoken) -> float | None:
        """Return how much the meter's clock is ahead of ours, s; None: it cannot be told."""
        loop, address = asyncio.get_running_loop(), address_of(meter.address)
        try:
            date = await self._link.read(address, DATE, "date", meter.wake, meter.retries)
            # no repetition: which of two requests was answered would be unknown
            time = await self._link.read(address, TIME, "time", meter.wake)
            since = loop.time() - (time.began_s + time.ended_s) / 2
            at_us = micros(self._now()) - round(since * 1e6)
            return offset_s(date.payload, time.payload, at_us, meter.zone)
        except (PollError, NotBcdError):
            return None


def known(names: Sequence[str]) -> tuple[str, ...]:
    """Return the items of these names.

    Raises:
        ValueError: one is unknown; with all there are.
    """
    unknown = [name for name in names if name not in ITEMS]
    if unknown:
        raise ValueError(f"no item {', '.join(unknown)}; there are {', '.join(ITEMS)}")
    return tuple(names)


@asynccontextmanager
async def open_dlt645(
    line: LineSettings, now: Callable[[], datetime]
) -> AsyncIterator[Dlt645Bench]:
    """Open the line.

    Raises:
        UnreachableError: it cannot be opened.
    """
    link = Link(line)
    if not await link.connect():
        raise UnreachableError(f"{line.where}: {link.last_error}")
    try:
        yield Dlt645Bench(link, line, now)
    finally:
        link.close()
