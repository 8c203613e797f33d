"""Our guides are true: every block does what stands there, on a system that was started as they say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reader import Reader, blocks
from tests.servers import ROOT, free_port

pytestmark = pytest.mark.without_services

GUIDE = ROOT / "docs" / "api.md"
START = "Start"
OTHERS = {
    "README.md": ("A session of five commands",),
    "docs/resources.md": ("Registering a charge point",),
    "docs/sandbox.md": (),
    "docs/webhooks.md": ("An endpoint",),
}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader who has started the system by the guide's first part."""
    folder = tmp_path_factory.mktemp("reader")
    port, own = free_port(), free_port()
    replaced = {"9000": str(own), "manage.py up": f"{ROOT}/manage.py up --port {port}", ":8000": f":{port}"}
    reader = Reader(folder, replaced, {"DYNAMO_NO_BOOTSTRAP": "1", "DYNAMO_DATA_DIR": str(folder / "data")})
    try:
        reader.follow(blocks(GUIDE, START))
        yield reader
    finally:
        reader.close()


def test_the_guide_to_the_api_is_true(started: Reader) -> None:
    started.follow([block for block in blocks(GUIDE) if block not in blocks(GUIDE, START)])


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_examples_are_true(started: Reader, name: str) -> None:
    reader = started.another()
    try:
        reader.run(reader.fill_in("export DYNAMO_API_KEY=dyn_live_..."), None)
        reader.follow(
            [block for block in blocks(ROOT / name, *OTHERS[name]) if block.language == "sh" or block.is_below]
        )
    finally:
        reader.terminals[0].close()
