"""Finds and downloads pip itself, for a Python that came without it. Standard library only."""

from __future__ import annotations

import base64
import configparser
import contextlib
import hashlib
import os
import re
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

WHEEL = re.compile(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl")
NEEDED_PYTHON = re.compile(r">=\s*(\d+)\.(\d+)")
TIMEOUT = 30


class NoWheel(Exception):
    """pip cannot be downloaded; str() is the reason in half a sentence."""


class Wheel(NamedTuple):
    version: tuple[int, ...]
    url: str
    sha256: str


class IndexPage(HTMLParser):
    """The wheels of pip that a page of a package index (PEP 503) offers to this Python."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.wheels: list[Wheel] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs)
        href = link.get("href")
        if tag != "a" or not href or "data-yanked" in link or not runs_here(link.get("data-requires-python") or ""):
            return
        url, fragment = urldefrag(urljoin(self.url, href))
        found = WHEEL.fullmatch(unquote(urlsplit(url).path).rsplit("/", 1)[-1])
        if found:
            version = tuple(int(part) for part in found[1].split("."))
            self.wheels.append(Wheel(version, url, fragment.partition("sha256=")[2]))


def runs_here(requires_python: str) -> bool:
    needed = NEEDED_PYTHON.search(requires_python)
    return needed is None or sys.version_info[:2] >= (int(needed[1]), int(needed[2]))


@contextlib.contextmanager
def downloaded() -> Iterator[Path]:
    """The newest wheel of pip, in a folder that goes away; raises NoWheel."""
    wheel = newest()
    content = fetch(wheel.url)[1]
    if wheel.sha256 and hashlib.sha256(content).hexdigest() != wheel.sha256:
        raise NoWheel("its checksum is not the one that the package index names")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / unquote(urlsplit(wheel.url).path).rsplit("/", 1)[-1]
        path.write_bytes(content)
        yield path


def newest() -> Wheel:
    failure = NoWheel("the package index does not offer it to this Python")
    found: list[Wheel] = []
    for index in indexes():
        try:
            found += offered(index)
        except NoWheel as error:
            failure = error
    if not found:
        raise failure
    return max(found)


def offered(index: str) -> list[Wheel]:
    folder = f"{index.rstrip('/')}/pip/"
    url, content = fetch(folder + "index.html" if folder.startswith("file:") else folder)
    page = IndexPage(url)
    page.feed(content.decode("utf-8", "replace"))
    return page.wheels


def fetch(url: str) -> tuple[str, bytes]:
    """The address that answered, and its content; raises NoWheel."""
    context = ssl.create_default_context(cafile=configured("cert") or None)
    try:
        # The schemes are those of the person's own configuration of pip.
        with urllib.request.urlopen(request(url), timeout=TIMEOUT, context=context) as response:  # noqa: S310
            return response.url, response.read()
    except (OSError, ValueError) as error:
        host = urlsplit(url).hostname or "the package index"
        why = getattr(error, "reason", None) or error
        raise NoWheel(f"{host} cannot be reached ({getattr(why, 'strerror', None) or why})") from None


def request(url: str) -> urllib.request.Request:
    """A request that carries credentials of the URL as a header, since urllib does not."""
    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    made = urllib.request.Request(urlunsplit(parts._replace(netloc=host)))  # noqa: S310
    if at:
        made.add_header("Authorization", "Basic " + base64.b64encode(unquote(credentials).encode()).decode())
    return made


def indexes() -> list[str]:
    """The package indexes that pip would ask."""
    main = configured("index-url") or "https://pypi.org/simple"
    return [main, *configured("extra-index-url").split()]


def configured(option: str) -> str:
    """An option of pip as its environment variable or its configuration files give it, or ''."""
    given = os.environ.get("PIP_" + option.upper().replace("-", "_"))
    if given is not None:
        return given
    parser = configparser.RawConfigParser(strict=False)
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        parser.read(configuration_files())
    return parser.get("install", option, fallback="") or parser.get("global", option, fallback="")


def configuration_files() -> list[Path]:
    """Where pip looks for its configuration, least important first."""
    named = os.environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    folders = os.environ.get("XDG_CONFIG_DIRS", "") or "/etc/xdg"
    own = os.environ.get("XDG_CONFIG_HOME", "") or Path.home() / ".config"
    system = [Path(folder) / "pip" / "pip.conf" for folder in reversed(folders.split(os.pathsep))]
    files = [*system, Path("/etc/pip.conf"), Path.home() / ".pip" / "pip.conf", Path(own) / "pip" / "pip.conf"]
    return [*files, Path(named)] if named else files
