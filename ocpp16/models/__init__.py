from .bulk import BulkCommand, BulkTarget
from .command import Command
from .message import Message
from .refused_connection import RefusedConnection
from .simulation import Simulation

__all__ = ["BulkCommand", "BulkTarget", "Command", "Message", "RefusedConnection", "Simulation"]
