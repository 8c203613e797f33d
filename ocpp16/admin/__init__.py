from . import logs, refused

__all__ = ["logs", "refused"]
