from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apikeys.clock import now
from apikeys.management.organizations import find_organization, refuse
from apikeys.models import ApiKey
from apikeys.scopes import SCOPES

LIMITS = (
    ("--command", "allowed_commands", "An action of OCPP that it may send"),
    ("--charge-point", "allowed_charge_points", "The id of a charge point that it reaches"),
    ("--address", "allowed_addresses", "An address or network that it may be used from"),
)


class Command(BaseCommand):
    help = "Create an API key and print it, this one time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization")
        parser.add_argument("--name", required=True, help="What the key is for.")
        parser.add_argument("--scope", action="append", required=True, dest="scopes", help=", ".join(SCOPES))
        parser.add_argument("--test", action="store_true", help="Let it reach simulated charge points only.")
        for option, name, meaning in LIMITS:
            parser.add_argument(
                option, action="append", dest=name, help=f"{meaning}; may be repeated. Without it: all."
            )
        parser.add_argument(
            "--rate", type=int, dest="requests_per_minute", help="Requests that it may make in a minute."
        )
        parser.add_argument("--expires", help="ISO 8601, such as 2030-12-31T23:59:59+01:00; without an offset: UTC.")

    def handle(self, *args: Any, organization: str, name: str, scopes: list[str], **options: Any) -> None:
        expires_at = expiry(options["expires"])
        found = find_organization(organization)
        try:
            rights = (found, name.strip(), dict.fromkeys(scopes), expires_at)
            limits = {name: options[name] for name in ApiKey.LIMITS}
            text = ApiKey.objects.issue(*rights, is_test=options["test"], **limits)[1]
        except ValidationError as error:
            refuse(error)
        self.stdout.write(text)


def expiry(text: str | None) -> datetime | None:
    """The moment that `text` names; raises CommandError unless it lies ahead."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise CommandError(f"--expires must be a date and time in ISO 8601, not {text!r}.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now():
        raise CommandError(f"--expires must lie in the future, not at {text}.")
    return moment
