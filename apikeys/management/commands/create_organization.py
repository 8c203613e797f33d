from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apikeys.management.organizations import find_organization, refuse
from apikeys.models import Organization


class Command(BaseCommand):
    help = "Create an organization and print its name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        organization = Organization(name=name.strip())
        if is_taken(organization.name):
            raise CommandError(f"An organization named {organization.name!r} exists already.")
        try:
            organization.full_clean()
        except ValidationError as error:
            refuse(error)
        organization.save(force_insert=True)
        self.stdout.write(organization.name)


def is_taken(name: str) -> bool:
    try:
        find_organization(name)
    except CommandError:
        return False
    return True
