"""Certificates for tests: an authority's, and what it issues to servers and charge points."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


def subject_of(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])


@dataclass
class Authority:
    """Signs certificates; `certificate` is its own, in PEM."""

    key: ec.EllipticCurvePrivateKey
    certificate: bytes

    @classmethod
    def make(cls, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        signed = sign(
            subject_of(name), key, subject_of(name), key, [(x509.BasicConstraints(ca=True, path_length=0), True)]
        )
        return cls(key, signed.public_bytes(PEM))

    def issue(
        self, *names: str, days: float = 30, host: str = ""
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        issuer = x509.load_pem_x509_certificate(self.certificate).subject
        key = ec.generate_private_key(ec.SECP256R1())
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(host))] if host else []
        extensions = [(x509.SubjectAlternativeName(hosts), False)] if hosts else []
        return sign(subject_of(*names), key, issuer, self.key, extensions, days), key

    def write(self, folder: Path, name: str, *names: str, days: float = 30, host: str = "") -> tuple[Path, Path]:
        """Issue a certificate into `name`.pem and its key into `name`.key; returns both paths."""
        certificate, key = self.issue(*names, days=days, host=host)
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(PEM))
        unencrypted = serialization.NoEncryption()
        paths[1].write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, unencrypted))
        return paths


def sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: list[tuple[x509.ExtensionType, bool]],
    days: float = 30,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=60))
    builder = builder.not_valid_after(now + datetime.timedelta(days=days))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


AUTHORITY = Authority.make("Test authority")


def make_certificate(*names: str) -> dict[str, str]:
    """A certificate with these common names, in the forms in which proxies pass it on."""
    certificate, _ = AUTHORITY.issue(*names)
    der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    return {"pem": quote(certificate.public_bytes(PEM).decode(), safe="+/"), "der": der, "rfc9440": f":{der}:"}
