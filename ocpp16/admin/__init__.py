from . import bulk, logs, refused

__all__ = ["bulk", "logs", "refused"]
