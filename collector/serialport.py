"""A serial port inside an event loop; the only user of pyserial."""

import asyncio
import os
from collections.abc import Callable

import serial


class SerialPort:
    """An open port whose bytes are handed on as they come. POSIX only."""

    def __init__(
        self,
        device: str,
        baudrate: int,
        parity: str,
        stop_bits: int,
        *,
        heard: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        """Open the port; must be called inside a running event loop.

        Args:
            device: path.
            baudrate: bits a second.
            parity: N, E or O; bytes have eight bits.
            stop_bits: 1 or 2.
            heard: told of every piece that comes in.
            lost: told once, when the port is gone (an adapter pulled out); not after `close`.

        Raises:
            OSError: there is no such port, it is in use, or it cannot be set.
        """
        try:
            self._port = serial.Serial(
                device, baudrate, parity=parity, stopbits=stop_bits, timeout=0, exclusive=True
            )
        except ValueError as error:  # what pyserial makes of a rate the port does not know
            raise OSError(f"{device}: {error}") from error
        self._heard, self._lost = heard, lost
        self._fd = self._port.fileno()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read)

    def write(self, data: bytes) -> None:
        """Send; the kernel buffers whole frames.

        Raises:
            OSError: the port is gone, or its buffer is full, which no half-duplex line explains.
        """
        sent = os.write(self._fd, data)
        if sent != len(data):
            raise OSError(f"only {sent} of {len(data)} bytes fitted in the port's buffer")

    def close(self) -> None:
        """Let go of the port."""
        if self._port.is_open:
            self._loop.remove_reader(self._fd)
            self._port.close()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._heard(data)
        else:
            self.close()
            self._lost()
