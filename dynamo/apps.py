from django.apps import AppConfig


class DynamoConfig(AppConfig):
    name = "dynamo"
    verbose_name = "Dynamo"

    def ready(self) -> None:
        from . import checks  # noqa: F401  registers the system checks
