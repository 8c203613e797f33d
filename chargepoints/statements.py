"""Statements that the ORM takes longer to write than the database to carry out; sessions are what we live from."""

STARTED = (
    "id",
    "charge_point",
    "connector_id",
    "id_tag",
    "authorization_status",
    "reservation_id",
    "state",
    "started_at",
    "meter_start",
    "stop_reason",
    "stop_id_tag",
    "fingerprint",
)
# In UTC, to be read once for all rows.
NOW_AS_TEXT = {
    "postgresql": "to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
}
CONVERSING = """
    SELECT {now}, charge_point.id, charge_point.organization_id, charge_point.is_simulated,
        charge_point.registration_status, charge_point.heartbeat_interval_override,
        organization.accept_unknown_id_tags, organization.heartbeat_interval
    FROM chargepoints_chargepoint AS charge_point
    JOIN apikeys_organization AS organization ON organization.id = charge_point.organization_id
    WHERE charge_point.id IN ({ids})
"""
HOLD = "SELECT id FROM chargepoints_chargepoint WHERE id IN ({ids}) ORDER BY id {lock}"
LISTED = """
    SELECT {columns}
    FROM chargepoints_idtag
    WHERE organization_id IN ({organizations}) AND UPPER(id_tag) IN ({tags})
"""
# One question for each index: of all in one, PostgreSQL would read what it need not.
SURROUNDINGS = """
    SELECT {columns} FROM chargepoints_transaction WHERE (charge_point_id, fingerprint) IN (VALUES {marks})
    UNION ALL
    SELECT {columns} FROM chargepoints_transaction WHERE charge_point_id IN ({charge_points}) AND state = 'active'
    UNION ALL
    SELECT {columns} FROM chargepoints_transaction WHERE id IN ({numbers})
"""
TO_BE_STOPPED = """
    SELECT {columns},
        EXISTS (
            SELECT 1 FROM chargepoints_orphanstop WHERE matched_id = named.id AND transaction_id_sent <> named.id
        ) AS was_guessed_at,
        EXISTS (
            SELECT 1 FROM chargepoints_connector
            WHERE charge_point_id = named.charge_point_id AND scheduled_availability <> ''
        ) OR EXISTS (
            SELECT 1 FROM chargepoints_chargingprofile
            WHERE charge_point_id = named.charge_point_id AND connector_id = named.connector_id AND cleared_at IS NULL
        ) AS ends_more
    FROM chargepoints_transaction AS named
    WHERE id IN ({ids})
"""
STOP = """
    UPDATE chargepoints_transaction
    SET state = 'stopped', meter_stop = %s, stopped_at = %s, stop_received_at = %s,
        stop_reason = %s, stop_id_tag = %s
    WHERE id = %s AND state <> 'stopped'
"""
STOP_ALL = """
    UPDATE chargepoints_transaction AS named
    SET state = 'stopped', meter_stop = stop.meter_stop, stopped_at = stop.stopped_at,
        stop_received_at = stop.received_at, stop_reason = stop.reason, stop_id_tag = stop.id_tag
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[], %s::integer[])
        AS stop (meter_stop, stopped_at, received_at, reason, id_tag, id)
    WHERE named.id = stop.id AND named.state <> 'stopped'
    RETURNING named.id
"""
RECORD_LATEST = """
    UPDATE chargepoints_transaction
    SET latest_meter_value = %s, latest_meter_at = %s,
        meter_stop = CASE WHEN state = 'inferred' THEN %s ELSE meter_stop END,
        stopped_at = CASE WHEN state = 'inferred' THEN %s ELSE stopped_at END
    WHERE id = %s AND (latest_meter_at IS NULL OR latest_meter_at <= %s)
"""
# The same for many at a time: each would be read, planned and answered by itself.
RECORD_ALL_LATEST = """
    UPDATE chargepoints_transaction AS measured
    SET latest_meter_value = reading.wh, latest_meter_at = reading.moment,
        meter_stop = CASE WHEN state = 'inferred' THEN reading.wh ELSE meter_stop END,
        stopped_at = CASE WHEN state = 'inferred' THEN reading.moment ELSE stopped_at END
    FROM unnest(%s::integer[], %s::bigint[], %s::timestamptz[]) AS reading (id, wh, moment)
    WHERE measured.id = reading.id AND (latest_meter_at IS NULL OR latest_meter_at <= reading.moment)
"""
MEASURED = """
    SELECT id, charge_point_id, connector_id, told_at IS NULL OR told_at <= %s
    FROM chargepoints_transaction
    WHERE {where}
"""
NAMED = "id IN ({ids})"
CHARGING = "charge_point_id IN ({ids}) AND state = 'active' AND connector_id > 0"
# One parameter for all readings: ten thousand rows of the ORM's take three times as long.
INSERT_READINGS = """
    INSERT INTO chargepoints_metervalue
        (charge_point_id, transaction_id, connector_id, received_at, timestamp, sampled_values, fingerprint)
    SELECT charge_point_id, transaction_id, connector_id, received_at, timestamp, sampled_values, fingerprint
    FROM jsonb_to_recordset(%s) AS reading (
        charge_point_id bigint, transaction_id integer, connector_id integer, received_at timestamptz,
        timestamp timestamptz, sampled_values jsonb, fingerprint uuid
    )
    ON CONFLICT DO NOTHING
"""
REPORT_ROW = "(%s, %s, %s, %s, %s, %s, %s, %s, '', '')"
REPORT = """
    INSERT INTO chargepoints_connector
        (charge_point_id, connector_id, status, error_code, info, vendor_id, vendor_error_code, timestamp,
         availability, scheduled_availability)
    VALUES {}
    ON CONFLICT (charge_point_id, connector_id) DO UPDATE SET
        status = EXCLUDED.status, error_code = EXCLUDED.error_code, info = EXCLUDED.info,
        vendor_id = EXCLUDED.vendor_id, vendor_error_code = EXCLUDED.vendor_error_code,
        timestamp = EXCLUDED.timestamp
"""
# An event is its charge point's organization's; of one whose charge point is gone nobody hears.
PUBLISH = """
    INSERT INTO chargepoints_event (uuid, type, data, created_at, charge_point_id, organization_id)
    SELECT outbox.uuid, outbox.type, outbox.data, outbox.created_at, outbox.charge_point_id, owner.organization_id
    FROM chargepoints_outboxevent AS outbox
    JOIN chargepoints_chargepoint AS owner ON owner.id = outbox.charge_point_id
    WHERE outbox.id IN ({})
    ORDER BY outbox.id
    RETURNING id, organization_id, charge_point_id, type
"""
# Only what has no other end yet: whoever had hung for so long that another took over must not undo it.
SETTLE = """
    UPDATE chargepoints_webhookdelivery
    SET state = %s, tries = %s, attempts = %s, next_attempt_at = %s, gives_up_at = %s, ended_at = %s
    WHERE id = %s AND state = 'pending'
"""
