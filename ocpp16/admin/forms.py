"""What a person fills in to send a command; each form makes the payload of its action."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from chargepoints.models import ChargePoint

ID_TAG_LENGTH = 20
NEEDS_CONNECTOR = ("MeterValues", "StatusNotification")
TRIGGERS = (
    *("BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification", "Heartbeat"),
    *NEEDS_CONNECTOR,
)


def connector_field(charge_point: ChargePoint, *, required: bool = True, first: str = "") -> forms.Field:
    """A choice of the connectors that the charge point has reported; a number while it has reported none."""
    known = [row.connector_id for row in charge_point.connectors.all() if row.connector_id]
    if not known:
        lowest = 0 if first.startswith("0") else 1
        return forms.IntegerField(label="Connector", min_value=lowest, required=required)
    choices = [(str(number), f"Connector {number}") for number in known]
    if first:
        choices.insert(0, ("0" if first.startswith("0") else "", first))
    return forms.TypedChoiceField(label="Connector", choices=choices, coerce=int, empty_value=None, required=required)


class CommandForm(forms.Form):
    action: ClassVar[str]
    title: ClassVar[str]
    explanation: ClassVar[str] = ""

    def __init__(self, charge_point: ChargePoint, *args: Any, **kwargs: Any) -> None:
        self.charge_point = charge_point
        super().__init__(*args, **kwargs)
        self.add_fields()

    def add_fields(self) -> None:
        """Add the fields that depend on the charge point."""

    def payload(self) -> dict[str, Any]:
        """The payload of the CALL; what was left empty is left out."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


class RemoteStartForm(CommandForm):
    action = "RemoteStartTransaction"
    title = "Start a transaction"

    def add_fields(self) -> None:
        self.fields["connectorId"] = connector_field(
            self.charge_point, required=False, first="Any: the charge point chooses"
        )
        self.fields["idTag"] = forms.CharField(label="Id tag", max_length=ID_TAG_LENGTH)


class RemoteStopForm(CommandForm):
    action = "RemoteStopTransaction"
    title = "Stop a transaction"

    def add_fields(self) -> None:
        active = self.charge_point.transactions.active().order_by("started_at")
        choices = [(row.pk, f"{row.pk}: connector {row.connector_id}, tag {row.id_tag}") for row in active]
        self.fields["transactionId"] = forms.TypedChoiceField(label="Transaction", choices=choices, coerce=int)
        if not choices:
            self.explanation = "No transaction is active."  # type: ignore[misc]


class UnlockForm(CommandForm):
    action = "UnlockConnector"
    title = "Unlock a connector"
    explanation = "A transaction on the connector is stopped first."

    def add_fields(self) -> None:
        self.fields["connectorId"] = connector_field(self.charge_point)


class ResetForm(CommandForm):
    action = "Reset"
    title = "Reset"
    type = forms.ChoiceField(
        label="Kind",
        choices=[("Soft", "Soft: stop transactions, then restart"), ("Hard", "Hard: restart at once")],
    )


class AvailabilityForm(CommandForm):
    action = "ChangeAvailability"
    title = "Change availability"
    explanation = "Where a transaction is running, the change waits for its end."

    def add_fields(self) -> None:
        self.fields["connectorId"] = connector_field(self.charge_point, first="0: the whole charge point")
        self.fields["type"] = forms.ChoiceField(
            label="Availability", choices=[("Operative", "Operative"), ("Inoperative", "Inoperative")]
        )


class TriggerForm(CommandForm):
    action = "TriggerMessage"
    title = "Trigger a message"

    def add_fields(self) -> None:
        choices = [(name, name) for name in TRIGGERS]
        self.fields["requestedMessage"] = forms.ChoiceField(label="Message", choices=choices)
        self.fields["connectorId"] = connector_field(self.charge_point, required=False, first="None")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("requestedMessage") in NEEDS_CONNECTOR and values.get("connectorId") is None:
            self.add_error("connectorId", "Choose the connector that the message is about.")
        return values


FORMS: dict[str, type[CommandForm]] = {
    "remote-start": RemoteStartForm,
    "remote-stop": RemoteStopForm,
    "unlock": UnlockForm,
    "reset": ResetForm,
    "availability": AvailabilityForm,
    "trigger": TriggerForm,
}
