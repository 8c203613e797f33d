from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from .examples import COMMAND, EXAMPLES
from .options import LONGEST_WAIT, DeliveryQuery
from .resources import CommandResourceSerializer

PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description=f"`wait=N`: up to {LONGEST_WAIT} seconds for the charge point's answer, instead of the usual window. "
    "`respond-async`: 202 at once, or after `wait=N` seconds, where the command has not ended.",
)


class CommandSchema(AutoSchema):
    """Describes a command by its row of COMMANDS."""

    view: Any

    def get_operation_id(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    def get_tags(self) -> list[str]:
        return ["Commands"]

    def get_summary(self) -> str:
        return self.view.endpoint.summary

    def get_description(self) -> str:  # type: ignore[override]
        action = self.view.endpoint.action
        return f"Sends {action} and waits for the answer." if action else "Passes on whatever the charge point answers."

    def get_response_serializers(self) -> Any:
        return {
            200: self.view.endpoint.answer_serializer,
            202: OpenApiResponse(CommandResourceSerializer, description="It goes on: look at `Location`."),
        }

    def get_override_parameters(self) -> list[Any]:
        return [PREFER, DeliveryQuery]

    def get_request_and_answer(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is shown of a command: a request, and the answer to it."""
        return EXAMPLES[name]

    def get_examples(self) -> list[OpenApiExample]:
        name = self.get_operation_id()
        request, answer = self.get_request_and_answer(name)
        return [
            OpenApiExample(f"{name} request", value=request, request_only=True),
            OpenApiExample(f"{name} answer", value=answer, response_only=True, status_codes=["200"]),
            OpenApiExample(f"{name} that goes on", value=COMMAND.value, response_only=True, status_codes=["202"]),
        ]
