from __future__ import annotations

from typing import NoReturn

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.management import CommandError

from apikeys.models import Organization


def find_organization(name: str) -> Organization:
    """The organization of that name in any case; raises CommandError. SQLite itself ignores only the case of ASCII."""
    for organization in Organization.objects.all():
        if organization.name.casefold() == name.strip().casefold():
            return organization
    raise CommandError(f"There is no organization named {name!r}.")


def refuse(error: ValidationError) -> NoReturn:
    """Tell what a model refused, in one line."""
    reasons = [
        message if field == NON_FIELD_ERRORS else f"{field}: {message}"
        for field, messages in error.message_dict.items()
        for message in messages
    ]
    raise CommandError(" ".join(reasons)) from None
