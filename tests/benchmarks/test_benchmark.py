"""The benchmark runs from its command to its report; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.deployed.services import missing
from tests.servers import ROOT

# Of each kind of load one, in one of the set-ups.
LOADS = {
    "embedded": ("session", "in_flight", "idle_many", "boots", "day", "pages_small"),
    "production": ("heartbeat", "commands", "handshakes", "active_many"),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("setup", [pytest.param("embedded", marks=pytest.mark.without_services), "production"])
def test_reports_what_was_measured(setup: str, tmp_path: Path) -> None:
    if setup == "production" and (missing() or not os.environ.get("DATABASE_URL")):
        pytest.skip("needs PostgreSQL and Redis")
    files = {name: tmp_path / f"report.{name}" for name in ("json", "svg")}
    only = [f"--only={load}" for load in LOADS[setup]]
    command = [sys.executable, "manage.py", "benchmark", "--tiny", f"--setup={setup}", "--label=As tested", *only]
    ended = subprocess.run(
        [*command, f"--json={files['json']}", f"--svg={files['svg']}"], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    report = json.loads(files["json"].read_text())
    assert report["label"] == "As tested"
    assert set(report["setups"][setup]) == set(LOADS[setup])
    for name, load in report["setups"][setup].items():
        assert "failed" not in load, load
        assert load["product"]["megabytes"] > 0, name
        assert load["title"] in ended.stdout
        check(name, load)
    assert "%" in ended.stdout.partition("What it must show")[2]
    drawn = ElementTree.parse(files["svg"]).getroot()
    assert any("As tested" in (text.text or "") for text in drawn.iter("{http://www.w3.org/2000/svg}text"))


def check(name: str, load: dict[str, Any]) -> None:
    """That a load has what it is about."""
    product = load["product"]
    if name in ("session", "heartbeat"):
        assert load["bare"]["rate"] > product["rate"] > 0
    if name in ("boots", "in_flight", "day"):
        assert product["lost"] == 0
    if name == "idle_many":
        assert 0 <= product["added"] <= product["percent"]
    if name == "pages_small":
        assert product["queries"] == 3
    if name == "active_many":
        assert product["p50_times"] > 0
        assert product["cpu_times"] > 0
