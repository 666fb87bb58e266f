"""Couriers deliver at least once, in order, and a channel that is down delays no other."""

import hashlib
import hmac
import json
import socket
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from alerting_rows import RULE, block
from waiting import until

from alerting.acts import Act
from alerting.ledger import Ledger
from alerting.notifiers.answer import Refused, Unavailable
from alerting.notifiers.webhook import Webhook
from alerting.office import Alerting
from alerting.outbox import Couriers
from alerting.settings import OutboxSettings, WebhookSettings

T0 = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
QUICK = OutboxSettings(first_retry_s=0.01, longest_retry_s=0.02)


class Endpoint:
    """A real HTTP server that answers what it is told and keeps what it got."""

    def __init__(self):
        self.answer, self.got = 200, []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.got.append((self.headers, json.loads(body), body))
                self.send_response(endpoint.answer)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.stop()


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.db", lambda: T0)
    yield made
    made.close()


def test_a_notice_reaches_the_webhook_signed_and_is_recorded(ledger, endpoint):
    settings = WebhookSettings(url=endpoint.url, secret="s3cret", headers={"X-Team": "dsm"})
    couriers = Couriers({"hook": settings}, ledger.outbox, QUICK)
    couriers.start()
    office = Alerting([RULE], ledger, on_notices=couriers.wake)
    (alert_id,) = office.observe("site_interval", block(0, 120.0))
    until(lambda: ledger.outbox.counts() == {"delivered": 1})
    couriers.stop()
    headers, notice, body = endpoint.got[0]
    assert notice["alert_id"] == alert_id
    assert (notice["state"], notice["row"]["demand_kw"]) == ("fired", 120.0)
    seal = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["X-Demandwatch-Signature"] == f"sha256={seal}"
    assert headers["X-Team"] == "dsm"
    assert ledger.timeline(alert_id)["act"].to_list() == ["fired", "notified", "delivered"]


def test_a_channel_that_is_down_loses_nothing_keeps_order_and_delays_no_other(ledger, endpoint):
    endpoint.answer = 503
    other = Endpoint()
    both = RULE.rule.model_copy(update={"notify": ("hook", "other")})
    channels = {
        "hook": WebhookSettings(url=endpoint.url),
        "other": WebhookSettings(url=other.url),
    }
    couriers = Couriers(channels, ledger.outbox, QUICK)
    couriers.start()
    office = Alerting([type(RULE).of(both)], ledger, on_notices=couriers.wake)
    (alert_id,) = office.observe("site_interval", block(0, 120.0))
    office.observe("site_interval", block(1, 90.0))
    until(lambda: len(other.got) == 2 and len(endpoint.got) >= 3)
    assert {notice["state"] for _, notice, _ in endpoint.got} == {"fired"}
    endpoint.answer = 204
    until(lambda: ledger.outbox.counts() == {"delivered": 4})
    couriers.stop()
    other.stop()
    assert [n["state"] for _, n, _ in endpoint.got][-2:] == ["fired", "resolved"]
    acts = [link.act for link in ledger.alert(alert_id).links]
    assert acts.count(Act.FAILED) == 1  # the first failure is an act, each repeat is not


def test_a_refused_notice_is_given_up_and_the_next_goes_on(ledger, endpoint):
    endpoint.answer = 400
    couriers = Couriers({"hook": WebhookSettings(url=endpoint.url)}, ledger.outbox, QUICK)
    office = Alerting([RULE], ledger, on_notices=couriers.wake)
    office.observe("site_interval", block(0, 120.0))
    couriers.start()
    until(lambda: ledger.outbox.counts() == {"failed": 1})
    endpoint.answer = 200
    office.observe("site_interval", block(1, 90.0))
    until(lambda: ledger.outbox.counts() == {"failed": 1, "delivered": 1})
    couriers.stop()


def test_what_an_earlier_run_left_is_delivered_by_the_next(ledger, endpoint):
    Alerting([RULE], ledger).observe("site_interval", block(0, 120.0))
    couriers = Couriers({"hook": WebhookSettings(url=endpoint.url)}, ledger.outbox, QUICK)
    couriers.start()
    until(lambda: ledger.outbox.counts() == {"delivered": 1})
    couriers.stop()


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, Unavailable), (429, Unavailable), (408, Unavailable), (404, Refused), (302, Refused)],
)
def test_answers_that_ask_for_a_repeat_and_answers_that_do_not(endpoint, status, error):
    endpoint.answer = status
    with pytest.raises(error, match=str(status)):
        Webhook(WebhookSettings(url=endpoint.url)).send("1", "{}")


def test_an_answer_that_is_no_http_is_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble():
            peer, _ = server.accept()
            peer.recv(4096)
            peer.sendall(b"hello\r\n\r\n")
            peer.close()

        threading.Thread(target=babble, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(Unavailable, match="no answer"):
            Webhook(WebhookSettings(url=url)).send("1", "{}")


def test_nobody_listening_is_tried_again(endpoint):
    endpoint.stop()
    with pytest.raises(Unavailable):
        Webhook(WebhookSettings(url=endpoint.url)).send("1", "{}")
