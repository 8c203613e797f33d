"""The commands of docs/production.md, so that what is tested is what is written."""

from __future__ import annotations

import re

from tests.servers import ROOT

MANUAL = (ROOT / "docs" / "production.md").read_text()


def commands(beginning: str) -> list[str]:
    """The commands of the manual that begin so."""
    blocks = re.findall(r"^```sh\n(.*?)^```", MANUAL, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.startswith(beginning)]


def command(beginning: str) -> str:
    """The one command of the manual that begins so."""
    (found,) = commands(beginning)
    return found
