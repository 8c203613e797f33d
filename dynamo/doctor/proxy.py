"""The way that people and charge points come: TLS, the proxy's headers, the WebSocket's upgrade."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from dynamo import proxies

from .findings import Finding, fine, judge, note, wrong

SECONDS = 10
DAYS = 14
REDIRECTS = (301, 302, 307, 308)
PATH, TOKEN = "/doctor", "X-Doctor"
# Documentation's own address (RFC 5737): nobody asks from there.
FORGED_ADDRESS = "203.0.113.66"
FORGED_CERTIFICATE = "forged"
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "ocpp1.6",
}


class Answer(NamedTuple):
    status: int
    body: bytes
    certificate: dict[str, Any]


def signer() -> TimestampSigner:
    return TimestampSigner(salt="dynamo.doctor")


@never_cache
def seen(request: HttpRequest) -> JsonResponse:
    """Tell the doctor, who has our secret key, how its request arrived; to everybody else nothing is here."""
    try:
        signer().unsign(request.headers.get(TOKEN, ""), max_age=60)
    except BadSignature:
        raise Http404 from None
    certificate = settings.DYNAMO_CLIENT_CERTIFICATE_HEADER
    return JsonResponse(
        {
            "address": request.META["REMOTE_ADDR"],
            "is_secure": request.is_secure(),
            "is_proxy": proxies.FOR in request.headers,
            "certificate": request.headers.get(certificate, "") if certificate else "",
        }
    )


def look(url: str) -> Iterator[Finding]:
    try:
        yield from look_through(url)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        yield wrong(f"proxy: {url} cannot be reached, or not every time: {why}")


def look_through(url: str) -> Iterator[Finding]:
    """Raises OSError where it ends for want of an answer, ValueError where the answer is none."""
    context = ssl.create_default_context()
    try:
        answer = ask(url, "/livez", {}, context)
    except ssl.SSLCertVerificationError as error:
        yield wrong(f"TLS: the certificate of {url} is not valid: {error.verify_message}")
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        answer = ask(url, "/livez", {}, context)
    if answer.certificate:
        yield look_at_expiry(answer.certificate)
    if answer.status in REDIRECTS and url.startswith("http:"):
        yield fine("proxy: people are sent from http to https")
    elif (answer.status, answer.body) == (200, b"ok"):
        yield from look_at_headers(url, context)
    else:
        yield wrong(f"proxy: {url}/livez answers {answer.status}, and not as Dynamo does")
        return
    yield look_at_upgrade(url, context)


def look_at_expiry(certificate: dict[str, Any]) -> Finding:
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) // 86400)
    return judge(
        days >= DAYS, f"TLS: the certificate is valid for {days} days", f"TLS: it ends in {days} days: renew it"
    )


def look_at_headers(url: str, context: ssl.SSLContext) -> Iterator[Finding]:
    """Forge what only a proxy may say, and see what arrives."""
    is_secure = url.startswith("https:")
    forged = {
        TOKEN: signer().sign("doctor"),
        proxies.FOR: FORGED_ADDRESS,
        proxies.PROTO: "http" if is_secure else "https",
        settings.DYNAMO_CLIENT_CERTIFICATE_HEADER or "X-Client-Certificate": FORGED_CERTIFICATE,
    }
    answer = ask(url, PATH, forged, context)
    if answer.status == 400:
        yield wrong(f"proxy: the host of {url} is not among DYNAMO_ALLOWED_HOSTS, or the proxy does not pass it on")
    elif answer.status != 200:
        yield wrong(f"proxy: behind {url} is no Dynamo with this DYNAMO_SECRET_KEY")
    else:
        yield from compare(json.loads(answer.body), is_secure)


def compare(arrived: dict[str, Any], is_secure: bool) -> Iterator[Finding]:
    address = arrived["address"]
    if not arrived["is_proxy"]:
        say = wrong if is_secure or settings.DYNAMO_PROXY_ADDRESSES else note
        yield say(f"proxy: {address} is not among DYNAMO_PROXY_ADDRESSES, so it counts as the client, and without TLS")
        return
    yield judge(
        address != FORGED_ADDRESS,
        f"proxy: this machine is seen as {address}",
        "proxy: it passes on a forged X-Forwarded-For: have it overwrite the header",
    )
    yield judge(
        arrived["is_secure"] == is_secure,
        "proxy: TLS is known",
        "proxy: it passes on a forged X-Forwarded-Proto, or sends none: have it overwrite the header",
    )
    yield judge(
        arrived["certificate"] != FORGED_CERTIFICATE,
        "proxy: a forged client certificate does not arrive",
        "proxy: it passes on a forged client certificate: have it overwrite the header",
    )


def look_at_upgrade(url: str, context: ssl.SSLContext) -> Finding:
    """Knock at the charge points' door, without an identity: the door's own refusal is what should come back."""
    answer = ask(url, "/ocpp16/", HANDSHAKE, context)
    return judge(
        answer.body.startswith(b"no charge point in the path"),
        "proxy: WebSockets reach the charge points' door",
        f"proxy: WebSockets do not reach the charge points' door (status {answer.status}): pass Upgrade on",
    )


def ask(url: str, path: str, headers: dict[str, str], context: ssl.SSLContext) -> Answer:
    """Raises OSError where nobody answers."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        connection: Any = http.client.HTTPSConnection(host, parts.port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=SECONDS)
    try:
        connection.connect()
        certificate = connection.sock.getpeercert() if parts.scheme == "https" else {}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read(65536), certificate or {})
    except http.client.HTTPException as error:
        raise OSError(f"it answers no HTTP: {error}") from None
    finally:
        connection.close()
