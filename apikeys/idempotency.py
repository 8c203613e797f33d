"""Requests that are answered once, however often they are sent: what is known of each by the caller's own key."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet
from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac

from .clock import now

if TYPE_CHECKING:
    from .models import ApiKey

KEPT = timedelta(hours=24)
SALT = "apikeys.idempotency"


class KeyReused(Exception):
    """The key was sent with another request before."""


class InProgress(Exception):
    """The request of this key is being answered."""


def fingerprint(value: bytes) -> str:
    """What a value is recognized by, in hex; nobody without the SECRET_KEY can test a guess on it."""
    return salted_hmac(f"{SALT}.fingerprint", value, algorithm="sha256").hexdigest()


def seal() -> Fernet:
    """Encrypts what is stored: a response may show a new API key or password."""
    return Fernet(base64.urlsafe_b64encode(salted_hmac(f"{SALT}.seal", "", algorithm="sha256").digest()))


class IdempotentRequestQuerySet(models.QuerySet["IdempotentRequest"]):
    def expired(self) -> IdempotentRequestQuerySet:
        return self.filter(created_at__lte=now() - KEPT)

    def begin(self, api_key: ApiKey, key: str, request: bytes, lasting: timedelta) -> IdempotentRequest:
        """The row of this key: a new one, to be ended by whoever asked, or that of an answered request.

        One that did not end in the time it may last, as its process died, counts as never begun. Raises KeyReused
        or InProgress, and IntegrityError where the API key has just been deleted.
        """
        mine = IdempotentRequest.of(api_key, key, request, lasting)
        same = self.filter(api_key=api_key, key_digest=mine.key_digest)
        same.filter(mine.may_replace()).delete()
        # The database decides who is first, of all processes.
        IdempotentRequest.objects.bulk_create([mine], ignore_conflicts=True)
        found = same.first()
        if found is None:  # it was there a moment ago, and ended as if it had never been
            raise InProgress
        if found.pk != mine.pk:
            found.check_repeated_by(mine)
        return found


class IdempotentRequest(models.Model):
    """A request under a key of the caller's, and its response once there is one.

    The id tells which attempt a row is of: one that was taken for dead must not end its successor's.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    # The constraint's index serves this as well.
    api_key = models.ForeignKey("apikeys.ApiKey", models.CASCADE, related_name="+", db_index=False)
    key_digest = models.CharField(max_length=64)
    request_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_index=True)
    running_until = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    sealed_body = models.BinaryField(default=b"")

    objects = IdempotentRequestQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["api_key", "key_digest"], name="idempotent_request_unique")]

    def __str__(self) -> str:
        return f"{self.pk}: {self.status or 'running'}"

    @classmethod
    def of(cls, api_key: ApiKey, key: str, request: bytes, lasting: timedelta) -> IdempotentRequest:
        """A row that begins now and is not saved."""
        begun_at = now()
        return cls(
            api_key=api_key,
            key_digest=fingerprint(key.encode()),
            request_digest=fingerprint(request),
            created_at=begun_at,
            running_until=begun_at + lasting,
        )

    @property
    def is_answered(self) -> bool:
        return self.status is not None

    @property
    def body(self) -> bytes:
        return seal().decrypt(bytes(self.sealed_body))

    def may_replace(self) -> Q:
        """The rows of the same key that count no more: too old, or of an attempt whose process must have died."""
        is_dead = Q(status=None, running_until__lte=self.created_at, request_digest=self.request_digest)
        return Q(created_at__lte=self.created_at - KEPT) | is_dead

    def check_repeated_by(self, other: IdempotentRequest) -> None:
        """Raise unless this was answered, and to the same request."""
        if self.request_digest != other.request_digest:
            raise KeyReused
        if not self.is_answered:
            raise InProgress

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the response, for whoever repeats the request."""
        attempt = IdempotentRequest.objects.filter(pk=self.pk, status=None)
        attempt.update(status=status, headers=dict(headers), sealed_body=seal().encrypt(body))

    def withdraw(self) -> None:
        """Forget the request, so that it can be made again under its key."""
        IdempotentRequest.objects.filter(pk=self.pk, status=None).delete()
