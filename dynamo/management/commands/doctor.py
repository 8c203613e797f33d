from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand

from dynamo.doctor import machine, proxy, services
from dynamo.doctor.findings import Finding

from .serve import add_address_arguments


class Command(BaseCommand):
    help = "Tell what is right and what is wrong with this installation, a line each; exit 1 if something is wrong."
    requires_system_checks = []  # they are among the findings

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_address_arguments(parser)
        parser.add_argument("--url", default="", help="Look at the proxy, too: https://csms.example.com.")

    def handle(self, *args: Any, host: str, port: int, url: str, **options: Any) -> None:
        count = 0
        for finding in self.look(host, port, url.rstrip("/")):
            count += finding.level == "wrong"
            self.stdout.write(f"{finding.level:6}{finding.text}")
        if count:
            raise SystemExit(1)

    def look(self, host: str, port: int, url: str) -> Iterator[Finding]:
        yield from machine.look(host, port)
        yield from services.look()
        if url:
            yield from proxy.look(url)
