"""Puts every command into a virtual environment that has the requirements.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from . import pip_wheel

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "dynamo-installed"
MARKER = ENVIRONMENT / "dynamo-installing"
LOG = ENVIRONMENT / "dynamo-install.log"

NAME = re.compile(r"[A-Za-z0-9._-]+")
REASONS = {
    r"name resolution|Name or service not known|[Ff]ailed to resolve|dns error": "the package index cannot be reached "
    "(its name does not resolve; is there a network?)",
    r"Connection refused|unreachable|No route to host|ProxyError|ConnectError": "the package index cannot be reached",
    r"[Tt]imed out": "the package index does not answer",
    r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate": "the certificate of the package index is not trusted",
    r"No space left on device": "the disk is full",
    r"No solution found": "the package index lacks one of them for this Python",
    r"No matching distribution found for (\S+)": "the package index has no {} for this Python",
}


class CannotInstall(Exception):
    """The environment cannot be made; str() is one sentence for the person at the terminal."""


def enter_environment(arguments: list[str]) -> None:
    """Return inside an environment with what the command needs, re-executing the process there if it must."""
    if os.environ.get("DYNAMO_NO_BOOTSTRAP", "") not in ("", "0"):
        return
    wanted = requirements(with_development=arguments[1:2] in (["test"], ["benchmark"], ["clients"]))
    try:
        if in_other_environment():
            refuse_what_is_missing(wanted)
        else:
            enter_own_environment(wanted)
    except CannotInstall as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Cannot make the environment {ENVIRONMENT}: {error.strerror}.")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; the next start repairs the environment.")


def enter_own_environment(wanted: list[str]) -> None:
    prepare(wanted)
    if not in_own_environment():
        execute(str(PYTHON))


def execute(python: str) -> None:
    """Become the same command in another interpreter."""
    os.execv(python, [python, *sys.orig_argv[1:]])  # noqa: S606


def requirements(with_development: bool) -> list[str]:
    """The pinned requirements of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    development = project["dependency-groups"]["dev"] if with_development else []
    return [*project["project"]["dependencies"], *development]


def in_own_environment() -> bool:
    return Path(sys.prefix).resolve() == ENVIRONMENT.resolve()


def in_other_environment() -> bool:
    return sys.prefix != sys.base_prefix and not in_own_environment()


def refuse_what_is_missing(wanted: list[str]) -> None:
    """Somebody chose this environment, so it is used as it is; raise CannotInstall if it lacks requirements."""
    missing = [requirement for requirement in wanted if not is_installed(requirement)]
    if not missing:
        return
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    raise CannotInstall(
        f"The active virtual environment {sys.prefix} lacks {missing[0]}{more}: leave it (`deactivate`) and Dynamo "
        f"makes its own, or install the requirements of pyproject.toml into it."
    )


def is_installed(requirement: str) -> bool:
    name, _, version = requirement.partition("==")
    try:
        return importlib.metadata.version(requirement_name(name)) == version
    except importlib.metadata.PackageNotFoundError:
        return False


def requirement_name(requirement: str) -> str:
    """`psycopg` of `psycopg[pool]==3.3.9`."""
    found = NAME.match(requirement)
    return found[0].lower() if found else requirement


def prepare(wanted: list[str]) -> None:
    """Make or complete the environment, unless the last start left it complete."""
    if is_complete(wanted):
        return
    with locked() as lock:
        if is_complete(wanted):  # another start, for which this one waited, has done it
            return
        if is_broken():
            clear()
        ENVIRONMENT.mkdir(exist_ok=True)
        MARKER.touch()
        if not PYTHON.exists():
            create()
        install(wanted, lock)
        record(wanted)
        MARKER.unlink()


@contextlib.contextmanager
def locked() -> Iterator[int]:
    """Let one process at a time change the environment. The lock sits on the folder itself and leaves no file."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another start that is making the environment ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def is_complete(wanted: list[str]) -> bool:
    if MARKER.exists():
        return False
    interpreter, *installed = recorded()
    return interpreter == os.path.realpath(PYTHON) and PYTHON.exists() and set(wanted) <= set(installed)


def recorded() -> list[str]:
    """What the last complete install wrote: the interpreter, then the requirements."""
    try:
        return STAMP.read_text().splitlines() or [""]
    except FileNotFoundError:
        return [""]


def record(wanted: list[str]) -> None:
    renewed = {requirement_name(requirement) for requirement in wanted}
    kept = [requirement for requirement in recorded()[1:] if requirement_name(requirement) not in renewed]
    lines = [os.path.realpath(PYTHON), *wanted, *kept]
    draft = STAMP.with_suffix(".draft")
    draft.write_text("\n".join(lines) + "\n")
    draft.replace(STAMP)


def is_broken() -> bool:
    """Whether an install was interrupted, or the Python that the environment was made of is gone."""
    interpreter = recorded()[0]
    moved = bool(interpreter) and interpreter != os.path.realpath(PYTHON)
    return MARKER.exists() or moved or (ENVIRONMENT.exists() and not PYTHON.exists())


def clear() -> None:
    """Remove the environment, from a process that does not live in it."""
    if in_own_environment():
        execute(getattr(sys, "_base_executable", sys.executable))
    shutil.rmtree(ENVIRONMENT)


def create() -> None:
    try:
        import venv
    except ImportError:
        raise CannotInstall("This Python has no venv module; install it (Debian: apt install python3-venv).") from None
    # Without pip: Debian ships the part of venv that would add it apart.
    venv.create(ENVIRONMENT, with_pip=False, symlinks=True)


def install(wanted: list[str], lock: int) -> None:
    uv = shutil.which("uv")
    started = time.monotonic()
    say(f"Installing {len(wanted)} requirements into {ENVIRONMENT} (this start only, about a minute) ...")
    if uv:
        run([uv, "pip", "install", "--python", str(PYTHON), *wanted], lock)
    else:
        ensure_pip()
        run([str(PYTHON), "-m", "pip", "install", *wanted], lock)
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def ensure_pip() -> None:
    """Put pip into the environment: the one that Python brings, else the newest of the package index."""
    if succeeds("-m", "pip", "--version") or succeeds("-m", "ensurepip", "--default-pip"):
        return
    say("This Python came without pip: downloading it ...")
    try:
        with pip_wheel.downloaded() as wheel:
            added = succeeds(str(wheel / "pip"), "install", "--no-index", "--no-deps", str(wheel))
    except pip_wheel.NoWheel as error:
        MARKER.unlink()
        raise CannotInstall(f"Cannot download pip: {error}.") from None
    if not added:
        raise CannotInstall("pip was downloaded but does not run on this Python (Debian: apt install python3-venv).")


def succeeds(*arguments: str) -> bool:
    finished = subprocess.run([PYTHON, *arguments], capture_output=True, env=pip_environment())  # noqa: S603
    return finished.returncode == 0


def pip_environment() -> dict[str, str]:
    quiet = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {"PIP_RETRIES": "2", **os.environ, **quiet}


def run(command: list[str], lock: int) -> None:
    """Run an installer behind a progress line; raise CannotInstall with its reason if it fails."""
    # It inherits the lock: should this process be killed, the next start waits until the installer is gone too.
    process = subprocess.Popen(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=pip_environment(),
        pass_fds=[lock],
    )
    assert process.stdout is not None
    with LOG.open("w") as log:
        for line in process.stdout:
            log.write(line)
            show(line.strip())
    show("")
    if process.wait():
        # The installer ended by itself and left nothing half done.
        MARKER.unlink()
        raise CannotInstall(f"Cannot install the requirements: {reason(LOG.read_text())}. The log is in {LOG}.")


def reason(log: str) -> str:
    """Why an installer failed, in half a sentence."""
    for pattern, text in REASONS.items():
        found = re.search(pattern, log)
        if found:
            return text.format(*found.groups())
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["the installer said nothing"])[-1].strip().rstrip(".")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Replace the progress line, where there is a terminal to show it."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{text[:width]}", end="", file=sys.stderr, flush=True)
