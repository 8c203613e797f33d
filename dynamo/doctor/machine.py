"""This machine and its settings."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import urllib.request
from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.db import connection

from dynamo import environment
from dynamo.server import PortInUse, check_port

from .findings import Finding, fine, judge, note, wrong

SECONDS = 5
MEBIBYTE = 1024 * 1024
# Sockets of charge points come on top of these.
OWN_FILES = 200
READ_ELSEWHERE = {"DYNAMO_NO_BOOTSTRAP"}


def look(host: str, port: int) -> Iterator[Finding]:
    yield from look_at_settings()
    yield from look_at_data_folder()
    yield look_at_open_files()
    yield look_at_port(host, port)


def look_at_settings() -> Iterator[Finding]:
    """The system checks, with those of a deployment where it is one: on PostgreSQL."""
    found = checks.run_checks(include_deployment_checks=connection.vendor == "postgresql")
    told = [message for message in found if not message.is_silenced()]
    for message in told:
        kind = wrong if message.level >= checks.WARNING else note
        yield kind(f"settings: {message.msg.split('. ')[0].rstrip('.')} ({message.id})")
    if not told:
        yield fine("settings: the checks of a deployment have nothing to say")
    for name in sorted(os.environ):
        if name.startswith("DYNAMO_") and name not in environment.read | READ_ELSEWHERE:
            yield wrong(f"settings: {name} means nothing to Dynamo")


def look_at_data_folder() -> Iterator[Finding]:
    folder = settings.DATA_DIR
    open_to_others = [
        path for path in (folder, *folder.glob("secret_key*")) if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    for path in open_to_others:
        yield wrong(f"data folder: other users may open {path}: chmod go= {path}")
    if not open_to_others:
        yield fine(f"data folder: {folder} is its user's alone")
    free = shutil.disk_usage(folder).free // MEBIBYTE
    yield judge(free >= 1024, f"disk: {free} MiB are free", f"disk: only {free} MiB are free below {folder}")


def look_at_open_files() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit == resource.RLIM_INFINITY:
        return fine("open files: no limit")
    return judge(
        limit >= 4096,
        f"open files: {limit} allow {limit - OWN_FILES} charge points on each process",
        f"open files: {limit} allow only {limit - OWN_FILES} charge points on each process: raise `ulimit -Hn`",
    )


def look_at_port(host: str, port: int) -> Finding:
    try:
        check_port(host, port)
    except PortInUse as error:
        if is_dynamo(host, port):
            return fine(f"port: Dynamo listens on {host}:{port}")
        return wrong(f"port: {str(error).split('. ')[0].rstrip('.')}, and it is no Dynamo that listens there")
    return fine(f"port: {host}:{port} is free")


def is_dynamo(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/livez", timeout=SECONDS) as answer:
            return bool(answer.read(3) == b"ok")
    except (OSError, ValueError):
        return False
