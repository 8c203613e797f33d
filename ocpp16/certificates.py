"""Client certificates as a proxy passes them on in a header."""

from __future__ import annotations

import base64
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.x509.oid import NameOID

PEM = b"-----BEGIN"


def common_name(header: bytes) -> str:
    """The common name of a certificate's subject; '' if there is none, or more than one, or no certificate.

    URL-encoded PEM (nginx, HAProxy), or DER in base64, between colons or not (RFC 9440, Caddy, Traefik).
    """
    try:
        subject = certificate(header).subject
    except (ValueError, x509.InvalidVersion):
        return ""
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def certificate(header: bytes) -> x509.Certificate:
    """Raises ValueError where the header does not hold one certificate."""
    if b"," in header:  # a second line of the header: the proxy did not overwrite the first
        raise ValueError("more than one certificate")
    if header.startswith(PEM):
        return x509.load_pem_x509_certificate(unquote_to_bytes(header))
    return x509.load_der_x509_certificate(base64.b64decode(header.strip(b":"), validate=True))
