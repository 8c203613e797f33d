"""The process that loads a server: it takes a job as JSON on its standard input, and prints the figures as JSON.

`python -m tests.benchmarks.client`
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys

from .driving import DRIVERS
from .job import Job


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()  # a pause of ours would count as the server's
    given = json.load(sys.stdin)
    print(json.dumps(asyncio.run(DRIVERS[given["driver"]](Job(given)))))


if __name__ == "__main__":
    main()
