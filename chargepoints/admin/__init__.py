from . import charge_points, deliveries, records, transactions, webhooks

__all__ = ["charge_points", "deliveries", "records", "transactions", "webhooks"]
