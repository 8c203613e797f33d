"""The product's settings for a server process under test: the same, on the test database."""

import os
from typing import Any

from django.core.signals import request_started

from dynamo.settings import *  # noqa: F403
from dynamo.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE_NAME"]
# The receivers of the tests' webhooks are here.
DYNAMO_WEBHOOK_PRIVATE_ADDRESSES = True
DYNAMO_WEBHOOK_RETRY_SECONDS = 0.1


def forget_content_types(**_: Any) -> None:
    """Emptying the database between tests gives content types new ids; a process keeps the old ones for life."""
    from django.contrib.contenttypes.models import ContentType

    ContentType.objects.clear_cache()


request_started.connect(forget_content_types)
