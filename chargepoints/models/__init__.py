from .authorization import Authorization, IdTag
from .charge_point import ChargePoint, Connector, ConnectorStatus
from .charging_profile import ChargingProfile
from .conformance_finding import ConformanceFinding
from .notification import Notification, SecurityEvent
from .reservation import Reservation
from .transaction import MeterValue, OrphanStop, Transaction

__all__ = [
    "Authorization",
    "ChargePoint",
    "ChargingProfile",
    "ConformanceFinding",
    "Connector",
    "ConnectorStatus",
    "IdTag",
    "MeterValue",
    "Notification",
    "OrphanStop",
    "Reservation",
    "SecurityEvent",
    "Transaction",
]
