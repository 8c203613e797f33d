"""Statements of PostgreSQL's that the ORM has no words for, for many commands at once."""

CLAIM = """
    UPDATE ocpp16_command SET state = 'sent', sent_at = statement_timestamp()
    WHERE id = ANY(%s) AND state = 'queued' AND action <> ALL(%s)
        AND (expires_at IS NULL OR expires_at > statement_timestamp())
    RETURNING id, charge_point_id, action, payload, sent_at
"""
END = """
    UPDATE ocpp16_command AS command
    SET state = ended.state, ended_at = statement_timestamp(), response = ended.response,
        error_code = ended.error_code, error_description = ended.error_description,
        error_details = ended.error_details, response_time_ms = ended.response_time_ms
    FROM jsonb_to_recordset(%s) AS ended (
        id uuid, state text, response jsonb, error_code text, error_description text, error_details jsonb,
        response_time_ms integer
    )
    WHERE command.id = ended.id AND command.state IN ('queued', 'sent')
    RETURNING command.id
"""
