"""What who orders something of a simulated charge point must know, without the library that it speaks by."""

from ..payloads import choices

VENDOR_ID = "dynamo.simulator"
LONGEST_ABSENCE = 3600
ERROR_CODES = sorted(choices("StatusNotification", "errorCode") - {"NoError"})
