from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

COMMITTED = settings.BASE_DIR / "docs" / "openapi.yaml"


class Command(BaseCommand):
    help = "Write docs/openapi.yaml anew: the OpenAPI document that the server has at /api/schema."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, default=COMMITTED, help="Write it there instead.")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
