"""Reads settings from environment variables; ImproperlyConfigured names the variable whose value is wrong."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# The variables that mean something.
read: set[str] = set()
# Django's own check asks for as much.
SECRET_KEY_LENGTH = 50
PLACEHOLDER = re.compile(r"change.?me|django-insecure|secret.?key|your.?secret|placeholder|example", re.IGNORECASE)
# Options of libpq that end the wait for a server whose machine or network has gone; the last is in milliseconds.
VANISHED_SERVER = {
    "connect_timeout": 2,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
POSTGRESQL_URL = re.compile(r"postgres(?:ql)?://[^/]*/[^/?]")


def text(name: str, default: str = "") -> str:
    """The variable without surrounding space; an empty one counts as not set."""
    read.add(name)
    return os.environ.get(name, "").strip() or default


def number(name: str, default: float, minimum: float = 0, maximum: float = 1e9) -> float:
    given = text(name)
    try:
        value = float(given) if given else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {given!r}.") from None
    if not minimum <= value <= maximum:
        raise ImproperlyConfigured(f"{name} must be between {minimum:g} and {maximum:g}, not {given!r}.")
    return value


def integer(name: str, default: int, minimum: int = 0, maximum: int = 1_000_000) -> int:
    value = number(name, default, minimum, maximum)
    if value != int(value):
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text(name)!r}.")
    return int(value)


def boolean(name: str, default: bool) -> bool:
    given = text(name).lower()
    if given not in ("", "0", "1", "true", "false", "yes", "no", "on", "off"):
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {given!r}.")
    return given in ("1", "true", "yes", "on") if given else default


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """One of `choices`, in whatever case it was written."""
    given = text(name, default).upper()
    if given not in choices:
        raise ImproperlyConfigured(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, not {given!r}.")
    return given


def words(name: str, default: str) -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def hosts(name: str, default: str) -> list[str]:
    """Host names as Django compares them, without scheme and port: with either, every request would be refused."""
    found = words(name, default)
    for host in found:
        port = ":" in host and not host.startswith("[")
        if port or "/" in host or "]:" in host:
            raise ImproperlyConfigured(f"{name} must list host names such as csms.example.com, not {host!r}.")
    return found


def origins(name: str) -> list[str]:
    found = words(name, "")
    for origin in found:
        if not origin.startswith(("http://", "https://")):
            raise ImproperlyConfigured(f"{name} must list origins such as https://csms.example.com, not {origin!r}.")
    return found


def networks(name: str) -> list[Any]:
    """Addresses, or networks such as 10.0.0.0/24."""
    try:
        return [ipaddress.ip_network(word) for word in words(name, "")]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must list addresses or networks: {error}.") from None


def header(name: str) -> str:
    given = text(name)
    if not re.fullmatch(r"[A-Za-z0-9-]*", given):
        raise ImproperlyConfigured(f"{name} must be the name of a header, such as X-Client-Certificate, not {given!r}.")
    return given


def only_behind_proxy(**variables: Any) -> None:
    """Refuse what only a proxy can bring about where none is named."""
    for name, value in variables.items():
        if value:
            raise ImproperlyConfigured(f"{name} needs DYNAMO_PROXY_ADDRESSES: a proxy ends TLS before Dynamo.")


def no_debug_beside(*names: str) -> None:
    """Refuse DYNAMO_DEBUG where a variable says that more than one person's machine is concerned."""
    for name in names:
        if text(name):
            raise ImproperlyConfigured(f"DYNAMO_DEBUG shows secrets on error pages: switch it off where {name} is set.")


def data_directory(name: str, default: Path) -> Path:
    """The folder for what the server keeps, made if it is missing."""
    path = Path(text(name) or default).expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"{name}: cannot make the folder {path}: {error.strerror}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{name}: the folder {path} is not writable.")
    return path


def secret_key(name: str, directory: Path) -> str:
    """The variable, or the key in the data folder, generated at the first start; refused if it could be guessed."""
    given, path = text(name), directory / "secret_key"
    key = given or kept_key(path)
    if len(key) < SECRET_KEY_LENGTH or PLACEHOLDER.search(key) or len(zlib.compress(key.encode())) < 32:
        raise ImproperlyConfigured(
            f"{name if given else f'The secret key in {path}'} must be at least {SECRET_KEY_LENGTH} random characters, "
            f"such as `openssl rand -hex 32` prints."
        )
    return key


def token(name: str) -> str:
    """A secret that somebody chose, or ''."""
    given = text(name)
    if given and (len(given) < 16 or not given.isascii() or not given.isprintable()):
        raise ImproperlyConfigured(f"{name} must have at least 16 characters, all of them ASCII.")
    return given


def kept_key(path: Path) -> str:
    try:
        if not path.exists():
            generate_key(path)
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"The secret key in {path} cannot be read or made: {error.strerror}.") from None


def generate_key(path: Path) -> None:
    """Write a new key whole or not at all; of several processes at once, one wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def database(name: str, pool_size: int, embedded: Path) -> dict[str, Any]:
    """PostgreSQL where the variable gives its URL, else SQLite in the file `embedded`."""
    url = text(name)
    return postgresql(name, url, pool_size) if url else sqlite(embedded)


def sqlite(path: Path) -> dict[str, Any]:
    """SQLite as concurrent writers need it: its defaults failed a third of concurrent transactions."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000;",
        },
        # A file, so that a server process under test opens the same database.
        "TEST": {"NAME": str(path.with_name(f"test-{path.name}"))},
    }


def postgresql(name: str, url: str, pool_size: int) -> dict[str, Any]:
    """PostgreSQL through a pool; further options of libpq come from the URL's query."""
    check_postgresql_url(name, url)
    parts = urlsplit(url)
    return {
        "ENGINE": "dynamo.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": {
            **VANISHED_SERVER,
            **dict(parse_qsl(parts.query)),
            "pool": {"max_size": pool_size, "timeout": 4},
        },
    }


def check_postgresql_url(name: str, url: str) -> None:
    """Raise ImproperlyConfigured about a URL that libpq could not use, without quoting a secret from it."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    if not POSTGRESQL_URL.match(url):
        raise ImproperlyConfigured(f"{name} must look like postgresql://user:password@host:5432/name.")
    try:
        port = urlsplit(url).port
        conninfo_to_dict(url)
    except ValueError:
        port = 0
    except ProgrammingError as error:
        option = re.search(r'query parameter: "([^"]*)"', str(error))
        why = f"PostgreSQL has no option {option[1]!r}" if option else "a character in it must be percent-encoded"
        raise ImproperlyConfigured(f"{name} cannot be read: {why}.") from None
    if port == 0:
        raise ImproperlyConfigured(f"{name} has a wrong port, or a character before it must be percent-encoded.")


def channel_layer(name: str) -> dict[str, Any]:
    """In memory, or Redis pub-sub: with the list-based layer a restart of Redis closes every charge point's socket."""
    url = text(name)
    if not url:
        return {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10_000}}
    check_redis_url(name, url)
    return {"BACKEND": "dynamo.channel_layer.ChannelLayer", "CONFIG": {"hosts": [url]}}


def check_redis_url(name: str, url: str) -> None:
    from redis.connection import parse_url

    wrong = ImproperlyConfigured(f"{name} must look like redis://host:6379/0.")
    try:
        database_number = urlsplit(url).path.strip("/")
        parse_url(url)
    except ValueError:
        raise wrong from None
    if not url.startswith("unix:") and database_number and not database_number.isdecimal():
        raise wrong
