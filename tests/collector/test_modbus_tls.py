"""Modbus over TLS, and settings that do not fit their kind."""

import ssl

import pytest
from pydantic import ValidationError
from services_modbus import bus, site_of
from test_mqtt_tls import certificate
from waiting import until

from collector.modbusframes import answer_pdu, tcp
from collector.settings import BusSettings, CollectorSettings
from demandwatch.crosscheck import crosscheck


@pytest.fixture
def secure(tmp_path, raw):
    """A gateway that speaks TLS and asks for a certificate: (port, certificate, key)."""
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(cert)
    context.verify_mode = ssl.CERT_REQUIRED

    def talk(request, send):
        words = bytes(2 * request[11])
        frame = tcp(int.from_bytes(request[:2]), request[6], answer_pdu(3, words))
        send(frame[:20])  # in two records: the answer is not whole in the first
        send(frame[20:])

    return raw(talk, 12, context=context), cert, key


def test_a_gateway_is_read_over_tls_with_certificates_on_both_sides(rig, secure):
    port, cert, key = secure
    tls = {"ca": cert, "cert": cert, "key": key}
    reader = rig.reader([bus(port, kind="tls", tls=tls, timeout_s=2)], [site_of([1])])
    until(lambda: rig.readings().height >= 3 or rig.rejects.counts().get("sentinel", 0) >= 3)
    reader.stop()
    assert rig.outcome("ok") >= 3


def test_a_gateway_that_cannot_prove_itself_is_not_read(rig, secure):
    port, _, _ = secure
    reader = rig.reader([bus(port, kind="tls", timeout_s=2)], [site_of([1])])
    until(lambda: rig.outcome("unreachable") >= 2)
    reader.stop()
    assert rig.outcome("ok") == 0


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"kind": "rtu"}, "`device` is required for kind rtu"),
        ({"kind": "rtu", "device": "/dev/ttyS0", "host": "gw"}, "`host` is not for kind rtu"),
        ({"kind": "rtu", "device": "/dev/ttyS0", "port": 502}, "`port` is not for kind rtu"),
        ({"kind": "rtu", "device": "/dev/ttyS0", "tls": {}}, "`tls` is for kind tls only"),
        ({"kind": "tcp", "host": "gw", "tls": {}}, "`tls` is for kind tls only, not for tcp"),
        ({"kind": "tls"}, "`host` is required for kind tls"),
        ({"kind": "tcp", "host": "gw", "device": "/dev/ttyS0"}, "`device` is for kind rtu only"),
    ],
)
def test_settings_that_do_not_fit_their_kind_are_refused(told, problem):
    with pytest.raises(ValidationError, match=problem):
        BusSettings.model_validate({"id": "b", **told})


def test_two_buses_do_not_share_a_serial_device():
    one = {"kind": "rtu", "device": "/dev/ttyS0"}
    with pytest.raises(ValidationError, match="two buses share a serial device"):
        CollectorSettings.model_validate({"buses": [{"id": "a", **one}, {"id": "b", **one}]})


def test_the_silence_of_a_line_follows_from_its_speed():
    def pause(**told):
        return BusSettings.model_validate({"id": "b", "host": "gw", **told}).pause_s

    assert pause() == 0
    assert pause(kind="rtu_over_tcp") == pytest.approx(3.5 * 11 / 9600)
    assert pause(kind="rtu_over_tcp", baudrate=1200) == pytest.approx(0.0321, abs=1e-4)
    assert pause(kind="rtu_over_tcp", baudrate=38_400) == 0.00175
    assert pause(kind="rtu_over_tcp", pause_between_s=0) == 0
    assert BusSettings(id="b", kind="tls", host="gw").port == 802


@pytest.mark.parametrize(("kind", "faults"), [("tcp", 0), ("rtu_over_tcp", 1)])
def test_check_tells_of_a_unit_no_serial_line_has(tmp_path, kind, faults):
    place = (tmp_path / "sites.yaml", 3)
    collector = CollectorSettings(buses=(bus(502, kind=kind),))
    found = crosscheck(collector, [site_of([0])], [place], {"demandwatch-sim"}, (place[0], {}))
    assert len(found) == faults
    assert all("unit 0 on an RTU line; allowed: 1 to 247" in str(one) for one in found)
