"""A ChangeConfiguration of AuthorizationKey: the new password works, the old one until then, and no log tells it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets

from chargepoints.models import ChargePoint
from ocpp16.models import Command, Message
from tests.conftest import eventually

OLD, NEW = "00112233445566778899aabbccddeeff00112233", "ffeeddccbbaa99887766554433221100ffeeddcc"


async def change(api: Any, client: Any, answer: dict[str, str] | None) -> None:
    body = {
        "charge_point_id": client.identity,
        "command": "ChangeConfiguration",
        "payload": {"key": "AuthorizationKey", "value": NEW},
    }
    request = asyncio.create_task(api.post("/api/v1/ocpp16/send_command", json=body))
    call = await client.expect("ChangeConfiguration")
    assert call.payload == {"key": "AuthorizationKey", "value": NEW}
    if answer is None:
        client.socket.transport.abort()
    else:
        await call.reply(answer)
    await request


@pytest.mark.parametrize("answer", [{"status": "Accepted"}, None], ids=["accepted", "never answered"])
async def test_lets_the_new_password_in(api: Any, connect: Any, make_charge_point: Any, answer: Any) -> None:
    row = make_charge_point(password=OLD)
    await change(api, await connect(row, OLD), answer)
    await connect(row, OLD)
    await connect(row, NEW)
    with pytest.raises(websockets.InvalidStatus):
        await connect(row, OLD)
    await connect(row, bytes.fromhex(NEW))


async def test_keeps_the_password_out_of_the_logs(api: Any, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(password=OLD)
    await change(api, await connect(row, OLD), {"status": "Accepted"})
    assert Command.objects.get().payload == {"key": "AuthorizationKey", "value": "***"}
    logged = Message.objects.filter(charge_point=row).values_list("frame", flat=True)
    frames = await eventually(lambda: [frame for frame in logged.all() if "AuthorizationKey" in frame])
    assert len(frames) == 1
    assert '"***"' in frames[0]
    assert not any(NEW in frame for frame in logged.all())


async def test_keeps_the_password_of_an_offline_charge_point_out_of_the_log(api: Any, make_charge_point: Any) -> None:
    payload = {"key": "authorizationkey", "value": NEW}
    body = {"charge_point_id": make_charge_point().identity, "command": "ChangeConfiguration", "payload": payload}
    assert (await api.post("/api/v1/ocpp16/send_command", json=body)).status_code == 422
    assert Command.objects.get().payload["value"] == "***"
    assert not ChargePoint.objects.get().next_password_digest


@pytest.mark.parametrize("answer", [{"status": "Rejected"}, {"status": "NotSupported"}])
async def test_forgets_a_password_that_was_refused(api: Any, connect: Any, make_charge_point: Any, answer: Any) -> None:
    row = make_charge_point(password=OLD)
    client = await connect(row, OLD)
    await change(api, client, answer)
    with pytest.raises(websockets.InvalidStatus):
        await connect(row, NEW)
    await connect(row, OLD)


@pytest.mark.parametrize("value", ["1", "x" * 15, "x" * 41])
async def test_sends_no_password_of_a_wrong_length(api: Any, make_charge_point: Any, value: str) -> None:
    payload = {"key": "AuthorizationKey", "value": value}
    body = {"charge_point_id": make_charge_point().identity, "command": "ChangeConfiguration", "payload": payload}
    response = await api.post("/api/v1/ocpp16/send_command", json=body)
    assert response.status_code == 400
    assert list(response.json()["error"]["details"]) == ["payload.value"]
