"""A reader of our guides, who types each block into a terminal and compares what is shown with what comes.

- `sh` blocks are typed; one that follows the words "terminal of its own" into a new terminal, where it runs on.
- `python` blocks are saved under the name that the text before them gives.
- Any other block is what the command directly above it prints, or, if text stands between, what the newest terminal
  has printed meanwhile. `...` stands for anything, and white space for none: answers are broken for reading.
- `...` in what is typed is replaced by what was told before: after `dyn_live_` the newest key, after `"name": ` the
  newest member of that name.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 60
NOT_OF_THE_READER = ("DATABASE_URL", "REDIS_URL", "DYNAMO_", "DJANGO_")
SHOWN = ("json", "http", "text")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^##+ (.*)$", re.MULTILINE)
TOLD_WORD = re.compile(r"\b([a-z]+(?:_[a-z]+)*_)\.\.\.")
TOLD_MEMBER = re.compile(r'"(\w+)": \.\.\.')
SAVED = re.compile(r"`(\w+\.py)`")
CHANGES = re.compile(r" -(d|X) ")
OWN_TERMINAL = "terminal of its own"
ENDED = re.compile(r"\x04(\d+)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the prose since the block before it, and where it stands."""

    language: str
    text: str
    prose: str
    place: str

    @property
    def is_shown(self) -> bool:
        return self.language in SHOWN

    @property
    def is_below(self) -> bool:
        """Whether it stands directly below another."""
        return not self.prose.strip()


def blocks(path: Path, *headings: str) -> list[Block]:
    """The blocks of a document, or of those of its parts that have these headings."""
    text, found = path.read_text(), []
    begin = 0
    for match in FENCED.finditer(text):
        line = text.count("\n", 0, match.start()) + 2
        heading = HEADING.findall(text, 0, match.start())[-1]
        if not headings or heading in headings:
            found.append(Block(match[1], match[2], text[begin : match.start()], f"{path.name}:{line}"))
        begin = match.end()
    return found


class Untrue(AssertionError):
    """A block that does something else than its document says."""


class Terminal:
    """A shell, and all that has been printed in it."""

    def __init__(self, folder: Path, environment: dict[str, str], seconds: float) -> None:
        self.printed, self.seconds, self._seen = "", seconds, 0
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while chunk := self._process.stdout.read1():
            self.printed += chunk.decode(errors="replace")

    def type(self, text: str) -> None:
        # Nothing that it starts may read what is typed next.
        self._process.stdin.write(f"{{\n{text}\n}} </dev/null; printf '\\004%d\\n' $?\n".encode())
        self._process.stdin.flush()

    def run(self, text: str) -> str:
        """What the command prints until it has ended, well."""
        begin = len(self.printed)
        self.type(text)
        ended = self.until(lambda: ENDED.search(self.printed, begin))
        printed = self.printed[begin : ended.start() if ended else None]
        if not ended or ended[1] != "0":
            raise Untrue(f"failed, or did not end:\n{printed}")
        return printed

    def watch(self, shown: str) -> None:
        """Wait until it has printed what is shown, behind all that was waited for before."""
        if not self.until(lambda: matches(f"...{shown}...", self.printed[self._seen :])):
            raise Untrue(f"printed only:\n{self.printed[self._seen :]}")
        self._seen = len(self.printed)

    def until(self, condition: Callable[[], Any]) -> Any:
        """The first true result of `condition`; a false one where the time is over."""
        deadline = time.monotonic() + self.seconds
        while not (result := condition()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return result

    def close(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)


def matches(shown: str, printed: str) -> bool:
    parts = ("".join(part.split()) for part in shown.split("..."))
    return bool(re.fullmatch(".*".join(map(re.escape, parts)), "".join(printed.split())))


class Reader:
    """Follows documents in a folder, and types `replaced` in place of what is written: ports that are free."""

    def __init__(
        self, folder: Path, replaced: dict[str, str], variables: dict[str, str], seconds: float = SECONDS
    ) -> None:
        self.folder, self.replaced, self.variables, self.seconds = folder, replaced, variables, seconds
        self.terminals = [self.open_terminal()]

    def another(self) -> Reader:
        """One who knows no more than what the first terminal of its own showed to this one."""
        reader = Reader(self.folder, self.replaced, self.variables)
        reader.terminals.append(self.terminals[1])
        return reader

    def open_terminal(self) -> Terminal:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(NOT_OF_THE_READER)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return Terminal(self.folder, {**kept, "PATH": path, **self.variables}, self.seconds)

    def close(self) -> None:
        for terminal in reversed(self.terminals):
            terminal.close()

    def follow(self, document: list[Block]) -> None:
        for block, below in zip(document, [*document[1:], None], strict=True):
            shown = below.text if below and below.is_shown and below.is_below else None
            try:
                self.do(block, shown)
            except Untrue as untrue:
                raise Untrue(f"{block.place} {untrue}\n\n{block.text}") from None

    def do(self, block: Block, shown: str | None) -> None:
        if block.language == "python":
            (self.folder / SAVED.findall(block.prose)[-1]).write_text(self.replace(block.text))
        elif block.language == "sh" and OWN_TERMINAL in block.prose:
            self.terminals.append(self.open_terminal())
            self.terminals[-1].type(self.fill_in(block.text))
            self.terminals[-1].watch(self.replace(shown or ""))
        elif block.language == "sh":
            self.run(self.fill_in(block.text), shown)
        elif not block.is_below:
            self.terminals[-1].watch(self.replace(block.text))

    def run(self, text: str, shown: str | None) -> None:
        """Type it; where it only asks, again and again until the answer is as shown: things take their time."""
        printed = self.terminals[0].run(text)
        if shown is None:
            if '{"error"' in printed:
                raise Untrue(f"was told:\n{printed}")
            return
        shown, deadline = self.replace(shown), time.monotonic() + self.seconds / 3
        while not matches(shown, printed):
            if CHANGES.search(text) or time.monotonic() > deadline:
                raise Untrue(f"was answered:\n{printed}")
            time.sleep(0.2)
            printed = self.terminals[0].run(text)

    def replace(self, text: str) -> str:
        for written, typed in self.replaced.items():
            text = text.replace(written, typed)
        return text

    def fill_in(self, text: str) -> str:
        """The text with what the reader was told in place of `...`."""
        text = TOLD_WORD.sub(lambda found: self.told(rf"\b{found[1]}[\w+/=-]{{30,}}"), self.replace(text))
        return TOLD_MEMBER.sub(lambda found: self.told(rf'"{found[1]}":(?:"[^"]*"|\d+)'), text)

    def told(self, pattern: str) -> str:
        """What was told last."""
        found = re.findall(pattern, "".join(terminal.printed for terminal in reversed(self.terminals)))
        if not found:
            raise Untrue(f"asks for what nobody has told: {pattern}")
        return found[-1]
