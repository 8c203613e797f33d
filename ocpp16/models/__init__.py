from .bulk import BulkCommand, BulkTarget
from .command import Command
from .message import Message
from .refused_connection import RefusedConnection

__all__ = ["BulkCommand", "BulkTarget", "Command", "Message", "RefusedConnection"]
