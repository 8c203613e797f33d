"""Statements that the ORM has no words for, or writes slowly."""

NOW = {"postgresql": "statement_timestamp()", "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"}
AGO = {
    "postgresql": "statement_timestamp() - interval '{} seconds'",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-{} seconds')",
}
REMOTE_STARTS = """
    SELECT {columns}
    FROM ocpp16_command
    WHERE charge_point_id IN ({ids}) AND action = 'RemoteStartTransaction'
        AND state IN ('sent', 'accepted', 'timed_out') AND created_at > {since} AND transaction_id IS NULL
    ORDER BY created_at DESC
"""
LOG = """
    INSERT INTO ocpp16_command (
        id, charge_point_id, api_key_id, user_id, request_id, action, payload, state, expires_at, is_late, error_code,
        error_description
    )
    SELECT * FROM jsonb_to_recordset(%s) AS command (
        id uuid, charge_point_id bigint, api_key_id bigint, user_id integer, request_id text, action text,
        payload jsonb, state text, expires_at timestamptz, is_late boolean, error_code text, error_description text
    )
"""
# `state || ''`: by the primary key, and not by the index of unfinished commands, which until the next vacuum also holds
# all that have ended, and takes the longer the more these are.
CLAIM = """
    UPDATE ocpp16_command SET state = 'sent', sent_at = {now}
    WHERE id {among} AND state || '' = 'queued' AND action NOT IN ({secret})
        AND (expires_at IS NULL OR expires_at > {now})
    RETURNING {columns}
"""
# With the event that tells of it: a transaction of several statements would take four round trips.
END = """
    WITH ended AS (
        UPDATE ocpp16_command AS command
        SET state = given.state, ended_at = statement_timestamp(), response = given.response,
            error_code = given.error_code, error_description = given.error_description,
            error_details = given.error_details, response_time_ms = given.response_time_ms
        FROM jsonb_to_recordset(%s) AS given (
            id uuid, state text, response jsonb, error_code text, error_description text, error_details jsonb,
            response_time_ms integer, event jsonb
        )
        WHERE command.id {among} AND command.id = given.id AND command.state || '' IN ('queued', 'sent')
        RETURNING command.id, command.charge_point_id, given.event
    ), told AS (
        INSERT INTO chargepoints_outboxevent (uuid, charge_point_id, type, data)
        SELECT (event ->> 'uuid')::uuid, charge_point_id, event ->> 'type', event -> 'data' FROM ended
    )
    SELECT id FROM ended
"""
END_EACH = f"""
    UPDATE ocpp16_command
    SET state = %s, response = %s, error_code = %s, error_description = %s, error_details = %s, response_time_ms = %s,
        ended_at = {NOW["sqlite"]}
    WHERE id = %s AND state IN ('queued', 'sent')
"""  # noqa: S608  a name of our own
