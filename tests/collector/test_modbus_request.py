"""One request on a connection: its number, its repetitions, and how the wait for an answer ends."""

import asyncio

import pytest

from collector.modbusframes import Ask, answer_pdu, find_tcp, tcp
from collector.settings import BusSettings
from collector.sources.modbusclient import Connection, NoAnswerError

ASK = Ask(7, 3, 16, 2)
WORDS = b"\x00\x01\x00\x02"


def spoken(answer, *, timeout_s=5.0, retries=0, last=0, asks=1):
    """Return what `asks` requests came to, and the requests; `answer(request, n)` says bytes."""

    async def run():
        heard, found = [], []

        async def talk(reader, writer):
            while request := await reader.read(12):
                heard.append(request)
                said = answer(request, len(heard))
                if said is None:
                    break
                writer.write(said)
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        bus = BusSettings(id="b", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        connection = Connection(bus, None, lambda data, n: find_tcp(data, n, ASK), last)
        assert await connection.connect()
        for _ in range(asks):
            try:
                found.append((await connection.ask(ASK, timeout_s, retries)).words)
            except NoAnswerError as error:
                found.append(error)
        connection.close()
        server.close()
        await server.wait_closed()
        return found, heard

    return asyncio.run(asyncio.wait_for(run(), 60))


def good(request, _=0):
    return tcp(int.from_bytes(request[:2]), request[6], answer_pdu(3, WORDS))


def test_a_request_is_the_frame_of_the_specification():
    # Messaging on TCP/IP V1.0b, 3.1.3; Application Protocol V1.1b3, 6.3
    found, heard = spoken(good)
    assert found == [WORDS]
    assert heard[0].hex(" ") == "00 01 00 00 00 06 07 03 00 10 00 02"


def test_repetitions_of_a_request_carry_its_number_the_next_request_another():
    found, heard = spoken(
        lambda request, n: b"" if n == 1 else good(request), timeout_s=0.2, retries=1, asks=2
    )
    assert found == [WORDS, WORDS]
    assert [int.from_bytes(one[:2]) for one in heard] == [1, 1, 2]


@pytest.mark.parametrize(("last", "next_ones"), [(64_999, [65_000, 1]), (7, [8, 9])])
def test_numbers_go_on_where_the_connection_before_ended_and_begin_anew_in_time(last, next_ones):
    _, heard = spoken(good, last=last, asks=2)
    assert [int.from_bytes(one[:2]) for one in heard] == next_ones


def test_what_was_heard_instead_of_an_answer_is_told():
    found, heard = spoken(lambda *_: b"noise", timeout_s=0.05, retries=2)
    assert found[0].heard == b"noise"
    assert len(heard) == 3


def test_a_lost_connection_ends_the_wait_at_once_and_is_not_repeated():
    found, heard = spoken(lambda *_: None, timeout_s=50, retries=3, asks=2)
    assert all(isinstance(one, NoAnswerError) for one in found)
    assert len(heard) == 1


def test_an_answer_after_the_wait_is_not_the_next_requests():
    kept = []

    def late(request, n):
        kept.append(good(request))
        return b"" if n == 1 else kept[0] + (kept[1] if n == 3 else b"")

    found, _ = spoken(late, timeout_s=0.2, asks=3)
    assert isinstance(found[0], NoAnswerError)
    assert isinstance(found[1], NoAnswerError)


def test_a_cancelled_request_leaves_the_connection_usable():
    async def run():
        async def talk(reader, writer):
            await reader.read(12)
            writer.write(good(await reader.read(12)))
            await reader.read()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        bus = BusSettings(id="b", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        connection = Connection(bus, None, lambda data, n: find_tcp(data, n, ASK), 0)
        await connection.connect()
        given_up = asyncio.create_task(connection.ask(ASK, 50, 0))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        words = (await connection.ask(ASK, 50, 0)).words
        connection.close()
        server.close()
        await server.wait_closed()
        return words

    assert asyncio.run(asyncio.wait_for(run(), 60)) == WORDS
