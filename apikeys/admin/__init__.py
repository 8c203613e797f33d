from . import keys, organizations

__all__ = ["keys", "organizations"]
