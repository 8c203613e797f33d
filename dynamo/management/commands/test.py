from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run the tests with pytest; every argument is pytest's."

    def run_from_argv(self, argv: list[str]) -> None:
        # Not through the parser, which would refuse pytest's options; and in a new process, so that nothing of
        # the project is loaded before pytest rewrites and measures it.
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *argv[2:]])  # noqa: S606

    def handle(self, *args: Any, **options: Any) -> None:
        self.run_from_argv(["manage.py", "test", *args])
