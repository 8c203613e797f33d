"""The configuration keys of OCPP 1.6 section 9, as a charge point keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from .makes import Make

AC_MEASURANDS = ("Energy.Active.Import.Register", "Power.Active.Import", "Current.Import", "Voltage")
DC_MEASURANDS = (*AC_MEASURANDS, "SoC")


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def is_boolean(text: str) -> bool:
    return text.lower() in ("true", "false")


def is_text(text: str) -> bool:
    return len(text) <= 500


@dataclass(frozen=True)
class Key:
    """One key; `valid` is None for one that the central system may only read."""

    value: str
    valid: Callable[[str], bool] | None = None
    needs_reboot: bool = False


def standard_keys(make: Make) -> dict[str, Key]:
    """Every required key of the profiles that the simulator has, with its factory value."""
    measurands = DC_MEASURANDS if make.direct_current else AC_MEASURANDS

    def are_measurands(text: str) -> bool:
        return all(word.strip() in measurands for word in text.split(",") if word.strip())

    return {
        "AllowOfflineTxForUnknownId": Key("true", is_boolean),
        "AuthorizationCacheEnabled": Key("true", is_boolean),
        "AuthorizeRemoteTxRequests": Key("true", is_boolean),
        "BlinkRepeat": Key("3", is_number),
        "ClockAlignedDataInterval": Key("0", is_number),
        "ConnectionTimeOut": Key("60", is_number),
        "ConnectorPhaseRotation": Key("NotApplicable" if make.direct_current else "0.RST", is_text),
        "GetConfigurationMaxKeys": Key("50"),
        "HeartbeatInterval": Key("300", is_number),
        "LightIntensity": Key("80", lambda text: is_number(text) and int(text) <= 100),
        "LocalAuthorizeOffline": Key("true", is_boolean),
        "LocalPreAuthorize": Key("false", is_boolean),
        "MaxEnergyOnInvalidId": Key("0", is_number),
        "MeterValuesAlignedData": Key("Energy.Active.Import.Register", are_measurands),
        "MeterValuesSampledData": Key(",".join(measurands), are_measurands),
        "MeterValueSampleInterval": Key("30", is_number),
        "MinimumStatusDuration": Key("0", is_number),
        "NumberOfConnectors": Key(str(make.connectors)),
        "ResetRetries": Key("1", is_number),
        "StopTransactionOnEVSideDisconnect": Key("true", is_boolean),
        "StopTransactionOnInvalidId": Key("true", is_boolean),
        "StopTxnAlignedData": Key("", are_measurands),
        "StopTxnSampledData": Key("Energy.Active.Import.Register", are_measurands),
        "SupportedFeatureProfiles": Key(
            "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"
        ),
        "TransactionMessageAttempts": Key("3", is_number),
        "TransactionMessageRetryInterval": Key("10", is_number),
        "UnlockConnectorOnEVSideDisconnect": Key("true", is_boolean),
        "WebSocketPingInterval": Key("20", is_number, needs_reboot=True),
        "LocalAuthListEnabled": Key("true", is_boolean),
        "LocalAuthListMaxLength": Key("500"),
        "SendLocalListMaxLength": Key("100"),
        "ReserveConnectorZeroSupported": Key("false"),
        "ChargeProfileMaxStackLevel": Key("20"),
        "ChargingScheduleAllowedChargingRateUnit": Key("Current,Power"),
        "ChargingScheduleMaxPeriods": Key("48"),
        "ConnectorSwitch3to1PhaseSupported": Key("false"),
        "MaxChargingProfilesInstalled": Key("20"),
    }


class Configuration:
    """The keys of one charge point; names are compared without case (CiString)."""

    def __init__(self, make: Make) -> None:
        self._keys = standard_keys(make)
        self._names = {name.lower(): name for name in self._keys}
        self._after_reboot: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        return self._keys[name].value

    def __setitem__(self, name: str, value: str) -> None:
        self._keys[name] = replace(self._keys[name], value=value)

    def integer(self, name: str) -> int:
        return int(self[name])

    def boolean(self, name: str) -> bool:
        return self[name].lower() == "true"

    def words(self, name: str) -> list[str]:
        return [word.strip() for word in self[name].split(",") if word.strip()]

    def read(self, names: Iterable[str] | None) -> tuple[list[dict[str, Any]], list[str]]:
        """The answer to GetConfiguration: the known keys as KeyValue, and the names that are unknown."""
        wanted = list(names or self._keys)
        known = [self._names[name.lower()] for name in wanted if name.lower() in self._names]
        values = [
            {"key": name, "readonly": self._keys[name].valid is None, "value": self._keys[name].value} for name in known
        ]
        return values, [name for name in wanted if name.lower() not in self._names]

    def change(self, name: str, value: str) -> str:
        """Set a key on the central system's word; returns the status of ChangeConfiguration."""
        known = self._names.get(name.lower())
        if known is None:
            return "NotSupported"
        key = self._keys[known]
        if key.valid is None or not key.valid(value):
            return "Rejected"
        if key.needs_reboot:
            self._after_reboot[known] = value
            return "RebootRequired"
        self[known] = value
        return "Accepted"

    def reboot(self) -> None:
        """Let the changes take effect that waited for a reboot."""
        for name, value in self._after_reboot.items():
            self[name] = value
        self._after_reboot.clear()
