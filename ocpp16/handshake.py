"""Who is knocking: identity, credentials and subprotocol of a WebSocket handshake, or the HTTP refusal."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings

from chargepoints.identities import IDENTITY_LENGTH
from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import SecurityProfile

from .certificates import common_name
from .failures import Failures

SUBPROTOCOL = "ocpp1.6"
# The longest text of an IPv6 address; a proxy may pass on what is none.
ADDRESS_LENGTH = 45
DOOR = re.compile(rb"/(?:ocpp16|ocpp/1\.6)/([^/]+)/?")
BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
AUTHENTICATE = (b"WWW-Authenticate", b'Basic realm="ocpp"')

# What a socket needs to know of its charge point for as long as it lives.
CONNECTING = (
    "identity",
    "security_profile",
    "password_digest",
    "next_password_digest",
    "assume_ocpp16",
    "send_pings",
    "registration_status",
)


class Refused(Exception):
    """A handshake that ends with an HTTP status instead of an upgrade."""

    def __init__(self, status: int, reason: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


@dataclass
class Knock:
    """What a handshake brings: who, from where, with which offers and credentials."""

    path: bytes
    protocols: list[str]
    address: str
    is_secure: bool
    authorization: bytes
    certificate: bytes = b""

    @classmethod
    def of(cls, scope: dict[str, Any]) -> Knock:
        headers = dict(scope["headers"])
        return cls(
            path=path_of(scope["raw_path"]),
            protocols=scope["subprotocols"],
            address=str((scope.get("client") or [""])[0])[:ADDRESS_LENGTH],
            is_secure=scope.get("scheme") == "wss",
            authorization=headers.get(b"authorization", b""),
            certificate=headers.get(settings.DYNAMO_CLIENT_CERTIFICATE_HEADER.lower().encode(), b""),
        )

    def forget_credentials(self) -> None:
        """Let go of what only the admission asks for; a socket is kept for months."""
        self.authorization = self.certificate = b""


def path_of(target: bytes) -> bytes:
    """The path of a request target, which may come in absolute form (RFC 9112 section 3.2.2)."""
    absolute = re.match(rb"[A-Za-z]+://[^/]*(/.*)", target)
    return absolute.group(1) if absolute else target


def identity_of(path: bytes) -> str:
    """The identity in a raw path: its last segment, percent-decoded once as strict UTF-8."""
    door = DOOR.fullmatch(path)
    if door is None or BAD_PERCENT.search(door.group(1)):
        raise Refused(404, "no charge point in the path")
    try:
        identity = unquote_to_bytes(door.group(1)).decode()
    except UnicodeDecodeError:
        raise Refused(404, "identity is not UTF-8") from None
    if len(identity) > IDENTITY_LENGTH or re.search(r"[\x00-\x1f\x7f/]", identity):
        raise Refused(404, "identity is not acceptable")
    return identity


failures = Failures(settings.DYNAMO_REDIS_URL)


@dataclass(eq=False)
class Arrival:
    """A handshake, and what became of it: the charge point that may come in, or the refusal."""

    knock: Knock
    outcome: Any = None
    identity: str = ""


def admit(arrivals: list[Arrival]) -> None:
    """Decide about handshakes, all with the same few questions."""
    for each in arrivals:
        try:
            each.identity = identity_of(each.knock.path)
        except Refused as refused:
            each.outcome = refused
    named = [each for each in arrivals if each.outcome is None]
    too_many_failed = failures.are_too_many([(each.identity, each.knock.address) for each in named])
    rows = ChargePoint.objects.filter(identity__in={each.identity for each in named}).only(*CONNECTING)
    known = {row.identity: row for row in rows.order_by()} if named else {}
    for each, is_too_many in zip(named, too_many_failed, strict=True):
        each.outcome = too_many() if is_too_many else judge(each, known.get(each.identity))


def judge(arrival: Arrival, charge_point: ChargePoint | None) -> ChargePoint | Refused:
    """The charge point, or why it may not come in."""
    knock = arrival.knock
    try:
        if charge_point is None:
            raise Refused(404, "unknown identity")
        if SUBPROTOCOL not in knock.protocols and (knock.protocols or not charge_point.assume_ocpp16):
            raise Refused(400, "no subprotocol ocpp1.6 offered")
        check_security(charge_point, knock)
    except Refused as refused:
        if refused.status != 400 and failures.add(arrival.identity, knock.address):
            return too_many()  # of many at once, no more than the limit learn that they were wrong
        return refused
    return charge_point


def too_many() -> Refused:
    return Refused(429, "too many failures", (b"Retry-After", b"60"))


def check_security(charge_point: ChargePoint, knock: Knock) -> None:
    """Raise Refused unless the handshake offers what the stored security profile asks for."""
    profile = charge_point.security_profile
    if profile == SecurityProfile.NONE:
        return
    if profile >= SecurityProfile.TLS_BASIC and not knock.is_secure:
        raise Refused(403, "security profile asks for TLS")
    if knock.is_secure and common_name(knock.certificate) == charge_point.identity:
        return  # more than any profile asks for: a charge point may have gone up to 3 by itself
    if profile == SecurityProfile.TLS_CERTIFICATE:
        raise Refused(403, "certificate is not the identity's" if knock.certificate else "no client certificate")
    username, password = basic_credentials(knock.authorization)
    if username != charge_point.identity.encode():
        reason = "username is not the identity" if knock.authorization else "no credentials"
        raise Refused(401, reason, AUTHENTICATE)
    if not charge_point.check_password(password):
        raise Refused(401, "wrong password", AUTHENTICATE)


def basic_credentials(header: bytes) -> tuple[bytes, bytes]:
    """Username and password of an Authorization header; passwords are raw bytes and may hold a colon."""
    scheme, _, value = header.partition(b" ")
    if scheme.lower() != b"basic":
        return b"", b""
    try:
        decoded = base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        return b"", b""
    username, _, password = decoded.partition(b":")
    return username, password
