"""Log lines that nobody can forge: as text, or as one JSON object each (DYNAMO_LOG_FORMAT)."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from apikeys.clock import written
from ocpp16 import log_fields

# What could end a line, move the cursor, or turn the direction of what follows; and what UTF-8 cannot hold.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# No line of ours holds a secret; those of libraries, and of exceptions, may quote one.
SECRETS = (
    (re.compile(r"(dyn_(?:live|test)_[\w-]{8})[\w-]+"), r"\1…"),
    (re.compile(r"(?i)\b((?:basic|bearer) )[\w.~+/=-]{8,}"), r"\1…"),
    (re.compile(r"(://[^\s:/@]*:)[^\s/@]+@"), r"\1…@"),
    (re.compile(r"""(?i)(AuthorizationKey["'],\s*["']value["']:\s*["'])[^"']+"""), r"\1…"),
)
# What any of them has.
SIGN = re.compile(r"(?i)dyn_|basic |bearer |://|AuthorizationKey")


def printable(text: str) -> str:
    """The text on one line, with escapes for what a terminal or a reader would take for more than text."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def without_secrets(text: str) -> str:
    if SIGN.search(text) is None:  # as nearly all: to look for each takes ten times as long
        return text
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


class LogFormatter(logging.Formatter):
    """What both formats share: the message, the occasion's fields, and the time in UTC."""

    def message_of(self, record: logging.LogRecord) -> str:
        return without_secrets(record.getMessage())

    def fields_of(self, record: logging.LogRecord) -> dict[str, Any]:
        """The fields of the occasion, then those that the line itself was given as `extra={"fields": …}`."""
        fields = {**log_fields.current(), **getattr(record, "fields", {})}
        return {name: without_secrets(value) if isinstance(value, str) else value for name, value in fields.items()}

    def traceback_of(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        parts += [self.formatStack(record.stack_info)] if record.stack_info else []
        return without_secrets("\n".join(parts))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  logging's name
        return written(datetime.fromtimestamp(record.created, UTC), "milliseconds")


class LineFormatter(LogFormatter):
    """Time, level, logger, message and fields; a traceback follows on lines that begin with a bar."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {printable(self.message_of(record))}"
        fields = [
            f"{name}={printable(json.dumps(value, ensure_ascii=False))}"
            for name, value in self.fields_of(record).items()
        ]
        traceback = [f"  | {printable(part)}" for part in self.traceback_of(record).split("\n") if part]
        return "\n".join([" ".join([line, *fields]), *traceback])


class JSONFormatter(LogFormatter):
    """One object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self.message_of(record),
            **self.fields_of(record),
        }
        if traceback := self.traceback_of(record):
            line["exception"] = traceback
        return json.dumps(line, default=str)
