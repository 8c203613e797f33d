"""The product's settings for a server process under test: the same, on the test database."""

import os
from typing import Any

from django.core.signals import request_started

from dynamo.settings import *  # noqa: F403
from dynamo.settings import DATABASES

from .databases import spare_the_disk

DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE_NAME"]
spare_the_disk(DATABASES["default"])
# The receivers of the tests' webhooks are here.
DYNAMO_WEBHOOK_PRIVATE_ADDRESSES = True
DYNAMO_WEBHOOK_RETRY_SECONDS = 0.1


def give_up_sooner(**_: Any) -> None:
    """Only now, since no settings may import what reads them."""
    from dynamo import requests

    requests.UNSENT_SECONDS = float(os.environ["TEST_UNSENT_SECONDS"])


if "TEST_UNSENT_SECONDS" in os.environ:
    request_started.connect(give_up_sooner)
