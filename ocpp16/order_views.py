"""The API of orders to simulated charge points."""

from __future__ import annotations

from typing import Any

from chargepoints.models import ChargePoint

from .beginnings import Beginning
from .models import Command
from .orders import CHARGE_POINT, EXAMPLES
from .refusals import CommandRefusal, NotSimulated
from .schema import CommandSchema
from .views import CommandView

TAGS = ["Simulator"]
ANSWERED = (Command.State.ACCEPTED, Command.State.REJECTED)


class OrderSchema(CommandSchema):
    """Describes an order by its row of ORDERS."""

    def get_tags(self) -> list[str]:
        return TAGS

    def get_description(self) -> str:  # type: ignore[override]
        told = str(self.view.endpoint.serializer.__doc__)
        return (
            f"{told}\n\nOnly a simulated charge point can be told so; answered is that it does it, not that it is done."
        )

    def get_request_and_answer(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        request = {**CHARGE_POINT, **EXAMPLES[name]}
        return request, {**request, "status": "Accepted", "sent_at": "2024-03-10T15:05:00Z"}


class OrderView(CommandView):
    """All orders: a command to a simulated charge point, of which only Accepted is a success."""

    schema = OrderSchema()

    def check_charge_point(self, charge_point: ChargePoint) -> None:
        if not charge_point.is_simulated:
            raise NotSimulated(f"{charge_point.identity} is not simulated: it obeys people and vehicles.")

    async def tell(self, beginning: Beginning, command: Command) -> Any:
        if command.state in ANSWERED and command.status not in ("", "Accepted"):
            raise refusal(command)
        return await super().tell(beginning, command)


def refusal(command: Command) -> CommandRefusal:
    """Why the charge point does not do it."""
    told: dict[str, Any] = command.response or {}
    message = f"The charge point does not know this order: {command.status}. Another simulator may run it."
    if command.status == "Rejected":
        message = str(told.get("data") or "The charge point refused.")
    return CommandRefusal(message, command, {"status": command.status, "response": told})
