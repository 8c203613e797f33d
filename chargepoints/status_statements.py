"""What a StatusNotification makes of its connector, of its history, and of the events that tell of it."""

from __future__ import annotations

from .statements import ALL_ACCEPTED, ARRIVED, IN_TIME, REFUSED, rows_of

STATUS = {
    "charge_point_id": "bigint",
    "connector_id": "integer",
    "status": "text",
    "error_code": "text",
    "timestamp": "timestamptz",
    "received_at": "timestamptz",
    "info": "text",
    "vendor_id": "text",
    "vendor_error_code": "text",
}
REPORTED = "charge_point_id, connector_id, status, error_code, info, vendor_id, vendor_error_code, timestamp"
# Of rows that are called `told`.
TAKE_OVER = f"""
    INSERT INTO chargepoints_connector ({REPORTED}, availability, scheduled_availability)
    SELECT {REPORTED}, '', '' FROM told WHERE TRUE ORDER BY charge_point_id, connector_id
    ON CONFLICT (charge_point_id, connector_id) DO UPDATE SET
        status = EXCLUDED.status, error_code = EXCLUDED.error_code, info = EXCLUDED.info,
        vendor_id = EXCLUDED.vendor_id, vendor_error_code = EXCLUDED.vendor_error_code,
        timestamp = EXCLUDED.timestamp
"""  # noqa: S608  names of our own
REMEMBER = f"""
    INSERT INTO chargepoints_connectorstatus ({REPORTED}, received_at)
    SELECT {REPORTED}, received_at FROM told
"""  # noqa: S608
FAULTED = "({row}.status = 'Faulted' OR {row}.error_code NOT IN ('NoError', ''))"
# chargepoints/events.py describes them. `before` is what the connector said last, and must not have been changed yet.
TELL_STATUS = f"""
    INSERT INTO chargepoints_outboxevent (uuid, charge_point_id, type, data)
    SELECT {{uuid}}, told.charge_point_id, 'charge_point.status_changed',
        {{object}}({{data}}, 'previous_status', NULLIF(before.status, ''))
    FROM told LEFT JOIN chargepoints_connector AS before
        ON before.charge_point_id = told.charge_point_id AND before.connector_id = told.connector_id
    WHERE before.id IS NULL
        OR (told.status, told.error_code, told.info, told.vendor_error_code)
            <> (before.status, before.error_code, before.info, before.vendor_error_code)
    UNION ALL
    SELECT {{uuid}}, told.charge_point_id, 'charge_point.fault', {{object}}({{data}})
    FROM told LEFT JOIN chargepoints_connector AS before
        ON before.charge_point_id = told.charge_point_id AND before.connector_id = told.connector_id
    WHERE {FAULTED.format(row="told")} AND (
        before.id IS NULL
        OR NOT {FAULTED.format(row="before")}
        OR (told.error_code, told.vendor_error_code) <> (before.error_code, before.vendor_error_code)
    )
"""  # noqa: S608
STATUS_DATA = """
    'connector_id', told.connector_id, 'status', told.status, 'error_code', told.error_code,
    'info', NULLIF(told.info, ''), 'vendor_id', NULLIF(told.vendor_id, ''),
    'vendor_error_code', NULLIF(told.vendor_error_code, ''), 'timestamp', {time}
"""
# Times as the API tells them: apikeys.clock.written.
DATA_IN_POSTGRESQL = STATUS_DATA.format(
    time="""to_char(told.timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
)
DATA_IN_SQLITE = STATUS_DATA.format(time="substr(told.timestamp, 1, 10) || 'T' || substr(told.timestamp, 12, 8) || 'Z'")
# Until the transaction ends, nobody deletes the charge points that are kept: to see to that row by row, as foreign keys
# do, takes twice as long. Their connectors come first, as in a deletion: who locks in another order may wait for ever.
REPORT_TOLD = f"""
    current AS (
        {TAKE_OVER}
        RETURNING charge_point_id
    ), kept AS (
        SELECT id FROM chargepoints_chargepoint WHERE id = ANY (ARRAY(SELECT charge_point_id FROM current))
        ORDER BY id FOR KEY SHARE
    ), history AS (
        {REMEMBER} JOIN kept ON kept.id = charge_point_id
    ), happened AS (
        {TELL_STATUS.format(uuid="gen_random_uuid()", object="jsonb_build_object", data=DATA_IN_POSTGRESQL)}
        RETURNING 1
    )
"""  # noqa: S608
# Both tell how many charge points are refused, and how many events there will be.
REPORT = f"""
    WITH told AS (
        {rows_of(**STATUS)}
    ), {REPORT_TOLD}
    SELECT 0, count(*) FROM happened
"""  # noqa: S608
REPORT_OF_ACCEPTED = f"""
    WITH said AS (
        {rows_of(**STATUS)}
    ), refused AS (
        {REFUSED.format(senders="ARRAY(SELECT charge_point_id FROM said)")}
    ), told AS (
        SELECT charge_point_id, connector_id, status, error_code, info, vendor_id, vendor_error_code,
            {IN_TIME} AS timestamp, {ARRIVED} AS received_at
        FROM said WHERE {ALL_ACCEPTED}
    ), {REPORT_TOLD}
    SELECT (SELECT count(*) FROM refused), (SELECT count(*) FROM happened)
"""  # noqa: S608
# The same for a database that changes one table at a time; a random UUID is to say that it is one.
TOLD_IN_SQLITE = "WITH told AS (SELECT {columns} FROM json_each(%s))".format(  # noqa: S608
    columns=", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(STATUS))
)
UUID_IN_SQLITE = (
    "lower(hex(randomblob(6)) || '4' || substr(hex(randomblob(2)), 2) || '8' || substr(hex(randomblob(8)), 2))"
)
TELL_STATUS_IN_SQLITE = TOLD_IN_SQLITE + TELL_STATUS.format(
    uuid=UUID_IN_SQLITE, object="json_object", data=DATA_IN_SQLITE
)
STORE_STATUS_IN_SQLITE = [TOLD_IN_SQLITE + REMEMBER, TOLD_IN_SQLITE + TAKE_OVER]
