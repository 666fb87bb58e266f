"""Publishes readings at QoS 1 as fast as the broker takes them: PORT MESSAGES ROWS.

Packets are made before the clock starts and sent as they are: a client library would spend on
publishing the processor time that reading is to be measured with.
"""

import json
import select
import socket
import struct
import sys

METERS = 100
WINDOW = 10_000  # unacknowledged messages at most


def main(port: int, messages: int, rows: int) -> None:
    packets = [_publish(n % 65_535 + 1, f"demandwatch/v1/m{n % METERS}/readings", _body(n, rows))
               for n in range(messages)]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(_packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + _text("flood")))
        link.recv(4)
        print("ready", flush=True)
        sys.stdin.readline()
        _send(link, packets)


def _send(link: socket.socket, packets: list[bytes]) -> None:
    sent = acknowledged = 0
    while acknowledged < 4 * len(packets):
        if sent < len(packets) and sent - acknowledged // 4 < WINDOW:
            link.sendall(b"".join(packets[sent : sent + 50]))
            sent += 50
        full = sent >= len(packets) or sent - acknowledged // 4 >= WINDOW
        if select.select([link], [], [], None if full else 0)[0]:
            acknowledged += len(link.recv(1 << 20))


def _body(n: int, rows: int) -> bytes:
    readings = [
        {
            "measured_at": f"2026-01-{1 + n % 28:02d}T{row % 24:02d}:{n // 28 % 60:02d}:00+08:00",
            "energy_import_kwh": 1000.25 + n + row,
            "reactive_import_kvarh": 200.5 + n,
            "power_kw": 31.4 + row,
            "voltage_a_v": 229.8,
            "voltage_b_v": 230.4,
            "voltage_c_v": 231.1,
            "current_a_a": 45.1,
            "power_factor": 0.93,
        }
        for row in range(rows)
    ]
    return json.dumps(readings if rows > 1 else readings[0]).encode()


def _publish(mid: int, topic: str, body: bytes) -> bytes:
    return _packet(0x32, _text(topic) + struct.pack("!H", mid) + body)


def _packet(kind: int, content: bytes) -> bytes:
    length, size = len(content), bytearray()
    while True:
        length, low = divmod(length, 128)
        size.append(low | 0x80 if length else low)
        if not length:
            return bytes([kind]) + bytes(size) + content


def _text(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
