from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample

from .examples import EXAMPLES


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
        return {200: self.view.endpoint.answer_serializer}

    def get_examples(self) -> list[OpenApiExample]:
        name = self.get_operation_id()
        if name not in EXAMPLES:
            return []
        request, answer = EXAMPLES[name]
        return [
            OpenApiExample(f"{name} request", value=request, request_only=True),
            OpenApiExample(f"{name} answer", value=answer, response_only=True),
        ]
