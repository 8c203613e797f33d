"""The scopes that an API key can carry. One never implies another."""

READ_CHARGE_POINTS = "read:charge_points"
WRITE_CHARGE_POINTS = "write:charge_points"
READ_SESSIONS = "read:sessions"
READ_ANALYTICS = "read:analytics"
READ_BILLING = "read:billing"
WRITE_BILLING = "write:billing"
WRITE_WEBHOOKS = "write:webhooks"
READ_API_KEYS = "read:api_keys"
WRITE_API_KEYS = "write:api_keys"
# What a view requires that is open to every key; no key carries it.
ANY_KEY = "any"

SCOPES = (
    READ_CHARGE_POINTS,
    WRITE_CHARGE_POINTS,
    READ_SESSIONS,
    READ_ANALYTICS,
    READ_BILLING,
    WRITE_BILLING,
    WRITE_WEBHOOKS,
    READ_API_KEYS,
    WRITE_API_KEYS,
)
