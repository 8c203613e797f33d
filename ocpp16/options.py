"""How a caller wants a command to be carried out, besides what it is."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from rest_framework.request import Request
from rest_framework.serializers import Serializer, ValidationError

from apikeys.clock import now
from apikeys.fields import Choice, Moment

from .payloads import secret

LONGEST_WAIT = 60
LONGEST_KEPT = timedelta(hours=24)
# By the time that the charge point is online, its driver has gone.
NEVER_KEPT = ("RemoteStartTransaction",)
# To wait for nothing is no wish for a command that is sent all the same: without respond-async it would be told 408.
WAIT = re.compile(r"0{0,99}[1-9][0-9]{0,99}")
PREFERENCE = re.compile(r"\s*([\w-]+)\s*(?:=\s*\"?([^\";\s]*)\"?)?\s*(?:;.*)?")


class Options(NamedTuple):
    """`seconds`: how long the caller waits, None for as long as usual; `expires_at`: until when it may wait itself."""

    seconds: float | None = None
    is_async: bool = False
    expires_at: datetime | None = None

    @classmethod
    def of(cls, request: Request) -> Options:
        """What the Prefer header (RFC 7240) and the query ask for; raises ValidationError about the query."""
        preferred = preferences(request.META.get("HTTP_PREFER", ""))
        wait, asked = preferred.get("wait", ""), request.query_params.dict()
        seconds = min(int(wait), LONGEST_WAIT) if WAIT.fullmatch(wait) else None
        return cls(seconds, "respond-async" in preferred, kept_until(asked) if asked else None)

    def check(self, action: str, payload: dict[str, Any]) -> None:
        """Raise ValidationError for what must not be kept for later."""
        if self.expires_at is None:
            return
        if action in NEVER_KEPT:
            raise ValidationError({"deliver": [f"{action} is for now: nobody may wait at the charge point later."]})
        if secret(action, payload):
            raise ValidationError({"deliver": ["A password is not kept: send it while the charge point is connected."]})

    @property
    def window(self) -> float:
        """How many seconds the charge point has for its answer: who is answered before it takes none away."""
        usual = settings.DYNAMO_COMMAND_TIMEOUT
        if self.seconds is None:
            return usual
        return max(self.seconds, usual) if self.is_async else self.seconds

    @property
    def applied(self) -> str:
        """What Preference-Applied answers."""
        wait = [] if self.seconds is None else [f"wait={self.seconds:.0f}"]
        return ", ".join([*(["respond-async"] if self.is_async else []), *wait])


def kept_until(asked: dict[str, str]) -> datetime | None:
    """What the query asks for; raises ValidationError."""
    query = DeliveryQuery(data=asked)
    query.is_valid(raise_exception=True)
    return query.validated_data.get("expires_at")


def preferences(header: str) -> dict[str, str]:
    """The preferences of a Prefer header by their names in lower case, of several the first."""
    found: dict[str, str] = {}
    for part in header.split(","):
        if match := PREFERENCE.fullmatch(part):
            found.setdefault(match[1].lower(), match[2] or "")
    return found


USUAL = Options()


class DeliveryQuery(Serializer[Any]):
    deliver = Choice(
        ["when_online"],
        required=False,
        help_text="Keep the command, until `expires_at`, for a charge point that is offline, instead of refusing it.",
    )
    expires_at = Moment(required=False, help_text="With `deliver`: ISO 8601 with an offset, at most 24 hours ahead.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("deliver" in attrs) != ("expires_at" in attrs):
            missing = "expires_at" if "deliver" in attrs else "deliver"
            raise ValidationError({missing: ["deliver and expires_at belong together."]})
        if "expires_at" in attrs and not now() < attrs["expires_at"] <= now() + LONGEST_KEPT:
            raise ValidationError({"expires_at": ["Must be in the future, and at most 24 hours ahead."]})
        return attrs
