"""The shipped Mosquitto configuration with an authority, users and certificates of a test."""

import os
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from services import end, free_port, listens, requires
from waiting import until

SHIPPED = Path(__file__).parents[1] / "deploy" / "mosquitto"
PASSWORDS = {"demandwatch": "collector's", "m1": "meter's", "m2": "other",
             "works": "site's"}  # fmt: skip


class Authority:
    """Signs certificates, into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bureau")])
        self.issue("ca")

    def issue(self, name: str) -> tuple[Path, Path]:
        """Write NAME.pem and NAME.key, the common name being NAME; `ca` is the authority itself."""
        own = name == "ca"
        key = self._key if own else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        made = (
            x509.CertificateBuilder()
            .subject_name(self._name if own else subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
            .add_extension(address, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        cert, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        kind = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, plain))
        return cert, secret


@dataclass
class ShippedBroker:
    """Mosquitto on deploy/mosquitto: /etc/mosquitto and /var/lib/mosquitto are folders of the
    test, 8883 and 8884 free ports; nothing else is changed (root's runs as root)."""

    folder: Path
    authority: Authority = field(init=False)
    by_password: int = field(default_factory=free_port)
    by_certificate: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        etc, certs = self.folder / "etc", self.folder / "etc" / "certs"
        certs.mkdir(parents=True)
        (self.folder / "lib").mkdir()
        self.authority = Authority(certs)
        self.authority.issue("server")
        (etc / "acl").write_text((SHIPPED / "acl").read_text())
        for flag, (user, password) in zip(["-c", *[""] * 9], PASSWORDS.items(), strict=False):
            command = [requires("mosquitto_passwd"), *[flag] * bool(flag), "-b"]
            subprocess.run([*command, str(etc / "passwords"), user, password], check=True)
        text = (SHIPPED / "mosquitto.conf").read_text()
        for old, new in {
            "/etc/mosquitto": etc,
            "/var/lib/mosquitto": self.folder / "lib",
            "listener 8883": f"listener {self.by_password} 127.0.0.1",
            "listener 8884": f"listener {self.by_certificate} 127.0.0.1",
        }.items():
            assert old in text
            text = text.replace(old, str(new))
        (etc / "mosquitto.conf").write_text(text + ("user root\n" if os.getuid() == 0 else ""))

    def start(self) -> None:
        """Start it and wait until both doors are open."""
        with (self.folder / "mosquitto.log").open("ab") as log:
            command = [requires("mosquitto"), "-c", str(self.folder / "etc" / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for port in (self.by_password, self.by_certificate):
            until(lambda port=port: listens(port), what="mosquitto to listen")

    def stop(self) -> None:
        """Stop it; its store stays."""
        if self.process is not None:
            end(self.process)
            self.process = None
