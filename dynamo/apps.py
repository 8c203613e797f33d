from axes.apps import AppConfig as AxesConfig
from django.apps import AppConfig


class DynamoConfig(AppConfig):
    default = True  # there is a second one below
    name = "dynamo"
    verbose_name = "Dynamo"

    def ready(self) -> None:
        from . import checks  # noqa: F401  registers the system checks


class FailedLoginsConfig(AxesConfig):
    """django-axes under the name that staff read in the admin."""

    verbose_name = "Logins"
