"""The product's settings for a server process under test: the same, on the test database."""

import os

from dynamo.settings import *  # noqa: F403
from dynamo.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE_NAME"]
# The receivers of the tests' webhooks are here.
DYNAMO_WEBHOOK_PRIVATE_ADDRESSES = True
DYNAMO_WEBHOOK_RETRY_SECONDS = 0.1
