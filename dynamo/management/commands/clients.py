from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError

from dynamo import postman

from .openapi import COMMITTED


class Command(BaseCommand):
    help = "Make a Postman collection and a Python client of docs/openapi.yaml."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="Where they go; those of before are replaced.")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        collection = folder / "dynamo.postman_collection.json"
        document = yaml.safe_load(COMMITTED.read_text())
        collection.write_text(json.dumps(postman.collection(document), indent=1, ensure_ascii=False) + "\n")
        client = folder / "dynamo-client"
        make_client(client)
        self.stdout.write(f"{collection}\n{client}")


def make_client(folder: Path) -> None:
    """Have openapi-python-client make it; CommandError where that would leave out anything."""
    scripts = Path(sys.executable).parent
    options = ["--meta", "setup", "--overwrite", "--fail-on-warning"]
    made = subprocess.run(  # noqa: S603
        [scripts / "openapi-python-client", "generate", "--path", COMMITTED, "--output-path", folder, *options],
        # It formats what it made by the ruff that it finds.
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}", "RUFF_NO_CACHE": "true"},
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise CommandError(f"The client was not made:\n{made.stdout}{made.stderr}")
