"""What is under way is counted, and what may have waited is known."""

import threading

from collector.rows import Message
from collector.sources.mqttinbox import BURST, HOLD_BYTES, Freshness, Inbox, Load


def test_a_socket_that_was_just_empty_holds_nothing_old():
    fresh = Freshness(0.0)
    assert fresh.reads(5.0)
    fresh.empty(6.0)
    assert fresh.reads(10.9)


def test_after_a_standstill_nothing_is_fresh_until_the_broker_has_sent_what_it_held():
    fresh = Freshness(0.0)
    assert not fresh.reads(60.0)
    fresh.empty(60.1)  # for a moment the socket is empty, but the broker's queue is not
    assert not fresh.reads(60.2)
    fresh.empty(64.9)
    assert fresh.reads(65.0)


def test_one_who_is_never_up_to_date_is_never_fresh():
    fresh = Freshness(0.0)
    assert [fresh.reads(float(second)) for second in (1, 5, 6, 20, 100)] == [
        True, True, False, False, False]  # fmt: skip


def test_what_is_under_way_is_bounded_by_messages_and_by_bytes():
    load = Load(10)
    load.add(10, 0)
    assert not load.full  # exactly what MQTT 5 lets the broker send
    load.add(1, 0)
    assert load.full
    load.add(-11, 0)
    assert load.messages == 0
    load.add(1, HOLD_BYTES + 1)
    assert load.full


def test_the_count_is_right_from_many_threads():
    load = Load(10)
    threads = [
        threading.Thread(target=lambda: [(load.add(3, 9), load.add(-3, -9)) for _ in range(2000)])
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert load.messages == 0
    assert not load.full


def test_a_burst_is_cut_by_number_and_by_size():
    inbox = Inbox()
    inbox.put(Message("t", b"x" * 9_000_000), 1)
    assert inbox.full
    taken = inbox.take()
    assert (len(taken.messages), taken.ids, taken.size) == (1, [1], 9_000_000)
    for _ in range(BURST):
        inbox.put(Message("t", b""), None)
    assert inbox.full
    assert inbox.ids == []
    assert inbox.take().messages
    assert not inbox.due
    inbox.put(Message("t", b""), None)
    inbox.end()
    assert inbox.due
