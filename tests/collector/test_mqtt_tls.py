import json
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion
from services import Mosquitto
from services_mqtt import KNOWN, reading_of, values
from waiting import until

from collector.intake import Desk
from collector.settings import MqttSettings, TlsSettings
from collector.sources.mqtt import MqttReader

pytestmark = [
    pytest.mark.mosquitto,
    # paho leaves the socket of a failed handshake to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_over_tls_the_broker_must_prove_itself(mosquitto: Mosquitto, desk: Desk, tmp_path: Path):
    cert, key = certificate(tmp_path)
    mosquitto.stop()
    mosquitto.extra = f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n"
    mosquitto.start()
    trusting = MqttSettings(port=mosquitto.port, tls=TlsSettings(ca=cert))
    wary = MqttSettings(port=mosquitto.port, tls=TlsSettings(), client_id="wary")
    reader, other = MqttReader(trusting, KNOWN, desk), MqttReader(wary, KNOWN, desk)
    reader.start()
    other.start()
    until(lambda: reader.status().connected)
    until(lambda: "certificate" in (other.status().last_error or "").lower())
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.tls_set(str(cert))
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    rows = [reading_of(n) for n in range(3000)]  # more than one TLS record
    for n in range(20):
        client.publish(f"demandwatch/v1/m{n % 10}/readings", json.dumps(rows), 1)
    until(lambda: len(values(desk)) == 60_000)
    client.disconnect()
    client.loop_stop()
    reader.stop()
    other.stop()


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file
