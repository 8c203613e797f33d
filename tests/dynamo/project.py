"""A small project that puts itself into an environment as ours does, with requirements that need no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
# The interpreter outside of any virtual environment.
BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)
MANAGE = """
import sys
from dynamo import bootstrap

bootstrap.enter_environment(sys.argv)
import charger
print(charger.VERSION, sys.prefix, *sys.argv[1:])
"""
PYPROJECT = '[project]\ndependencies = ["{}"]\n[dependency-groups]\ndev = ["extra==1.0"]\n'


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels = folder / "project", folder / "wheels"
        (self.folder / "dynamo").mkdir(parents=True)
        self.wheels.mkdir()
        for name in ("__init__.py", "bootstrap.py", "pip_wheel.py"):
            shutil.copy(ROOT / "dynamo" / name, self.folder / "dynamo")
        (self.folder / "manage.py").write_text(MANAGE)
        self.require("charger==1.0")
        for name, version in (("charger", "1.0"), ("charger", "2.0"), ("extra", "1.0")):
            build_wheel(self.wheels, name, version)

    @property
    def environment(self) -> Path:
        return self.folder / ".venv"

    def require(self, requirement: str) -> None:
        (self.folder / "pyproject.toml").write_text(PYPROJECT.format(requirement))

    def start(self, *arguments: str, python: str | Path = BASE_PYTHON, **variables: str) -> subprocess.Popen[str]:
        command = [str(python), "manage.py", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=self.variables(**variables), **pipes)

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def variables(self, **changes: str) -> dict[str, str]:
        """The environment of a stranger without uv, whose pip finds our wheels and nothing else."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "DYNAMO_", "PYTHON"))}
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return {**kept, "PATH": "/usr/bin:/bin", **pip, **changes}


def build_wheel(folder: Path, name: str, version: str) -> None:
    information = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(
        f"{path},,\n" for path in (f"{name}.py", *(f"{information}/{x}" for x in ("METADATA", "WHEEL", "RECORD")))
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"VERSION = '{version}'\n")
        file.writestr(f"{information}/METADATA", metadata)
        file.writestr(f"{information}/WHEEL", wheel)
        file.writestr(f"{information}/RECORD", record)
