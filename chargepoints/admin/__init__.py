from . import charge_points, records, transactions

__all__ = ["charge_points", "records", "transactions"]
