"""The reader of our guides believes what is true, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reader import Reader, Untrue, blocks

pytestmark = pytest.mark.without_services


def sh(text: str) -> str:
    return f"```sh\n{text}\n```\n"


def shown(text: str) -> str:
    return f"```text\n{text}\n```\n"


OWN = "In a terminal of its own:\n"
FILE = "Save this as `a.py`:\n```python\nprint(3)\n```\n"
TRUE = {
    "an answer": sh("""echo '{"id":7,"a":1}'""") + shown('{"id": ...,\n "a": 1}'),
    "a port": sh("echo 8000") + shown("8000"),
    "a variable": sh("x=1") + "Then:\n" + sh("echo $x") + shown("1"),
    "a file": FILE + "Run it:\n" + sh("python3 a.py") + shown("3"),
    "what was told": sh("""echo '{"id":7}'""") + "So:\n" + sh("""echo '{"id": ...}'""") + shown('{"id": 7}'),
    "a terminal": OWN + sh("echo 1; sleep 0.2; echo 2; sleep 60") + shown("1") + "Then:\n" + shown("2"),
    "what takes its time": sh("echo >> n; wc -l < n") + shown("3"),
}
UNTRUE = {
    "another answer": sh("""echo '{"a":1}'""") + shown('{"a": 2}'),
    "more of an answer": sh("""echo '{"a":1,"b":2}'""") + shown('{"a": 1}'),
    "an answer at the second time": sh("echo >> n; wc -l < n; : -d ") + shown("2"),
    "a failure": sh("false"),
    "an error": sh("""echo '{"error":{}}'"""),
    "a silent terminal": OWN + sh("sleep 60") + "It says:\n" + shown("1"),
    "a terminal that said it before": OWN + sh("echo 1; sleep 60") + shown("1") + "Again:\n" + shown("1"),
    "what nobody told": sh("echo dyn_live_..."),
}


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Follows a text, without much patience."""
    reader = Reader(tmp_path, {"8000": "8123"}, {}, seconds=1.5)

    def follow_text(text: str) -> None:
        (tmp_path / "guide.md").write_text(f"## A guide\n{text}")
        reader.follow(blocks(tmp_path / "guide.md"))

    yield follow_text
    reader.close()


@pytest.mark.parametrize("text", TRUE.values(), ids=TRUE)
def test_believes(follow: Callable[[str], None], text: str) -> None:
    follow(text)


@pytest.mark.parametrize("text", UNTRUE.values(), ids=UNTRUE)
def test_does_not_believe(follow: Callable[[str], None], text: str) -> None:
    with pytest.raises(Untrue, match=r"guide\.md:\d"):
        follow(text)
