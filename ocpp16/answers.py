"""What the CALLs of a charge point are answered with."""

from __future__ import annotations

import logging

from django.db import Error

from chargepoints.models import ChargePoint

from . import frames, handlers
from .handlers import Outcome
from .journal import journal
from .payloads import InvalidPayload

logger = logging.getLogger(__name__)


class Answers(dict[tuple[str, str, int], str]):
    """Those of one socket: the same CALL again gets the same answer again, and has its effect once."""

    __slots__ = ()

    def of(self, call: frames.Call) -> str | None:
        return self.get(key_of(call))

    def remember(self, call: frames.Call, text: str, count: int) -> None:
        """Keep this answer, and the newest before it: of `count` CALLs on their way, all may be repeated."""
        self[key_of(call)] = text
        if len(self) > count:
            del self[next(iter(self))]


def key_of(call: frames.Call) -> tuple[str, str, int]:
    """What makes it the same as another."""
    return call.message_id, call.action, call.mark


def answer_of(charge_point: ChargePoint, call: frames.Call, outcome: Outcome | None) -> str | None:
    """The answer to a CALL, its effects committed; None where only silence makes the peer repeat it."""
    if isinstance(outcome, tuple):
        payload, findings = outcome
        for kind, detail in findings.items():
            journal.finding(charge_point.pk, kind, detail)
        return frames.call_result(call.message_id, payload)
    if isinstance(outcome, InvalidPayload):
        return refusal(call, outcome)
    if isinstance(outcome, Error):
        logger.warning("%s %s of %s: %s", call.action, call.message_id, charge_point, outcome)
        if call.action in handlers.BILLING:
            return None
    else:
        logger.error("%s %s of %s", call.action, call.message_id, charge_point, exc_info=outcome)
    return frames.call_error(call.message_id, "InternalError", "The server could not process this message.")


def refusal(call: frames.Call, invalid: InvalidPayload) -> str:
    return frames.call_error(call.message_id, invalid.code, invalid.description)
