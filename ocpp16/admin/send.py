"""Commands that staff send from the page of a charge point, through the same code as the API."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from apikeys.admin.asking import ask
from apikeys.admin.tenancy import visible
from chargepoints.models import ChargePoint
from ocpp16 import dispatch
from ocpp16.models import Command

from .forms import FORMS, CommandForm

State = Command.State

# What the person is told of the end of a command: the level, and the sentence.
ENDINGS = {
    State.REJECTED: (messages.WARNING, "the charge point rejected it."),
    State.CALL_ERROR: (messages.ERROR, "the charge point answered with the error {command.error_code}."),
    State.TIMED_OUT: (messages.WARNING, "no answer in time. If one still comes, the command log shows it."),
    State.LOST: (messages.ERROR, "the connection closed before the answer came."),
}
ANSWERS = {
    "": (messages.SUCCESS, "done."),
    "Accepted": (messages.SUCCESS, "the charge point accepted it."),
    "Scheduled": (messages.SUCCESS, "accepted; it takes effect when the running transaction ends."),
    "Unlocked": (messages.SUCCESS, "the connector is unlocked."),
    "UnlockFailed": (messages.WARNING, "the connector could not be unlocked."),
}
OTHER_ANSWER = (messages.WARNING, "the charge point answered {command.status}.")


def send_view(request: HttpRequest, charge_point_id: int, kind: str) -> HttpResponse:
    """Ask for what the command needs, then send it and say what became of it."""
    charge_point = get_object_or_404(visible(ChargePoint.objects.all(), request.user), pk=charge_point_id)
    if not request.user.has_perm("chargepoints.change_chargepoint"):
        raise PermissionDenied
    if kind not in FORMS:
        raise Http404
    form = FORMS[kind](charge_point, request.POST or None)
    if not form.is_valid():
        return ask_for(request, charge_point, form)
    messages.add_message(request, *send(request, charge_point, form))
    return HttpResponseRedirect(reverse("admin:chargepoints_chargepoint_change", args=[charge_point.pk]))


def ask_for(request: HttpRequest, charge_point: ChargePoint, form: CommandForm) -> HttpResponse:
    offline = "" if charge_point.is_online else "The charge point is offline now: nothing can be sent. "
    title, explanation = f"{form.title}: {charge_point}", f"{offline}{form.explanation}"
    return ask(request, charge_point, title=title, submit=form.title, form=form, explanation=explanation)


def send(request: HttpRequest, charge_point: ChargePoint, form: CommandForm) -> tuple[int, str]:
    """Send the command; returns the level and the text of the message for the person."""
    request_id: str = request.request_id  # type: ignore[attr-defined]
    try:
        command = dispatch.send(charge_point, form.action, form.payload(), user=request.user, request_id=request_id)
    except dispatch.RateLimited as limit:
        return messages.ERROR, f"{form.title}: too many commands at once. Try again in {limit.retry_after} s."
    except (dispatch.ChargePointOffline, dispatch.ServiceUnavailable) as refusal:
        return messages.ERROR, f"{form.title}: {refusal}"
    level, ending = ending_of(command)
    return level, f"{form.title}: {ending}"


def ending_of(command: Any) -> tuple[int, str]:
    """What became of a finished command, for a person."""
    answered = ANSWERS.get(command.status, OTHER_ANSWER)
    level, sentence = answered if command.state == State.ACCEPTED else ENDINGS[command.state]
    sentence = sentence.format(command=command)
    explained = command.error_description if command.state == State.CALL_ERROR else ""
    return level, f"{sentence} {explained}".strip()
