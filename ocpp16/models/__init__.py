from .command import Command
from .message import Message
from .refused_connection import RefusedConnection

__all__ = ["Command", "Message", "RefusedConnection"]
