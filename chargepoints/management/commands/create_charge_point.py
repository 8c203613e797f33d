from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apikeys.management.organizations import find_organization, refuse
from chargepoints.credentials import generate_password
from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import SecurityProfile

# OCPP 1.6 security whitepaper, A00.FR.205: at least 16 bytes, of high entropy.
PASSWORD_BYTES = 16


class Command(BaseCommand):
    help = "Register a charge point and print its password, this one time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization")
        parser.add_argument("identity", help="The last part of the URL at which the charge point connects.")
        parser.add_argument(
            "--simulated", action="store_true", help="No hardware stands behind it: test keys reach it."
        )
        secret = parser.add_mutually_exclusive_group()
        secret.add_argument("--password", help="The one that the hardware has; generated if none is given.")
        secret.add_argument(
            "--certificate", action="store_true", help="Let it in by a client certificate (security profile 3)."
        )
        secret.add_argument("--no-password", action="store_true", help="Let anybody connect under this identity.")

    def handle(self, *args: Any, organization: str, identity: str, **options: Any) -> None:
        profile = SecurityProfile.TLS_CERTIFICATE if options["certificate"] else SecurityProfile.BASIC
        password = None if options["no_password"] or options["certificate"] else self.password(options["password"])
        owner = find_organization(organization)
        try:
            fields = {"security_profile": profile, "is_simulated": options["simulated"]}
            ChargePoint.objects.provision(owner, identity, password, **fields)
        except ValidationError as error:
            refuse(error)
        self.stdout.write(identity if password is None else password)

    def password(self, given: str | None) -> str:
        """The password that was given, with a warning if it is weak, or a new one."""
        if given is None:
            return generate_password()
        if not given:
            raise CommandError("An empty password protects nothing; --no-password says so openly.")
        if len(given.encode()) < PASSWORD_BYTES:
            self.stderr.write(f"Warning: the password is shorter than the {PASSWORD_BYTES} bytes that OCPP asks for.")
        return given
