from .authorization import Authorization, IdTag
from .charge_point import ChargePoint
from .charging_profile import ChargingProfile
from .configuration import ConfigurationKey
from .conformance_finding import ConformanceFinding
from .connector import Connector, ConnectorStatus
from .event import Event, OutboxEvent
from .listing import Listing, ListingChange
from .measured import Latest
from .meter_value import MeterValue, Reading
from .notification import Notification, SecurityEvent
from .reservation import Reservation
from .transaction import OrphanStop, Transaction
from .webhook_delivery import WebhookDelivery
from .webhook_endpoint import WebhookEndpoint

__all__ = [
    "Authorization",
    "ChargePoint",
    "ChargingProfile",
    "ConfigurationKey",
    "ConformanceFinding",
    "Connector",
    "ConnectorStatus",
    "Event",
    "IdTag",
    "Latest",
    "Listing",
    "ListingChange",
    "MeterValue",
    "Notification",
    "OrphanStop",
    "OutboxEvent",
    "Reading",
    "Reservation",
    "SecurityEvent",
    "Transaction",
    "WebhookDelivery",
    "WebhookEndpoint",
]
