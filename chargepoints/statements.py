"""Statements that the ORM takes longer to write than the database to carry out; sessions are what we live from."""


def rows_of(**types: str) -> str:
    """Rows with these columns, of a parameter that is a JSON array of arrays.

    PostgreSQL reads objects, in which each value has its name, half as fast; to write them takes nine times as long.
    """
    columns = ", ".join(
        f"CAST(line {'->' if type_ == 'jsonb' else '->>'} {place} AS {type_}) AS {name}"
        for place, (name, type_) in enumerate(types.items())
    )
    return f"SELECT {columns} FROM jsonb_array_elements(%s) AS line"  # noqa: S608  names of our own


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
# Whatever the transaction would have to wait for then fails it.
LOSE_PATIENCE = "(SELECT set_config('lock_timeout', '300ms', TRUE))"
CONVERSING = """
    SELECT {patience}, {now}, charge_point.id, charge_point.organization_id, charge_point.is_simulated,
        CAST(charge_point.registration_status AS text), charge_point.heartbeat_interval_override,
        organization.accept_unknown_id_tags, organization.heartbeat_interval
    FROM chargepoints_chargepoint AS charge_point
    JOIN apikeys_organization AS organization ON organization.id = charge_point.organization_id
    WHERE charge_point.id {among}
"""
NAMED_TO_COMMAND = "SELECT {columns} FROM chargepoints_chargepoint AS charge_point WHERE identity {among}"
# In one order everywhere, so that nobody who locks them waits for who waits for it.
HOLD = "SELECT id FROM chargepoints_chargepoint WHERE id {among} ORDER BY id {lock}"
# Most sockets are those of accepted charge points: to tell the others takes a third of telling all. The accepted are
# looked up by primary key: to join their channels, PostgreSQL would read the whole fleet for every few hundred.
NOT_ACCEPTED = """
    SELECT * FROM {lines} AS socket
    EXCEPT
    SELECT CAST(channel_name AS text) FROM chargepoints_chargepoint
    WHERE id {among} AND registration_status = 'Accepted'
"""
# Byte by byte, as the index has them: the order of words of some language knows no beginning.
CHANNELS = {
    "postgresql": "channel_name ~>=~ %s AND channel_name ~<~ %s",
    "sqlite": "channel_name >= %s AND channel_name < %s",
}
ACCEPTED = """
    SELECT count(*), sum(CAST(substr(channel_name, %s) AS bigint)) FROM chargepoints_chargepoint
    WHERE {channels} AND registration_status = 'Accepted'
"""
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
RECORD_ALL_LATEST = f"""
    UPDATE chargepoints_transaction AS measured
    SET latest_meter_value = reading.wh, latest_meter_at = reading.moment,
        meter_stop = CASE WHEN state = 'inferred' THEN reading.wh ELSE meter_stop END,
        stopped_at = CASE WHEN state = 'inferred' THEN reading.moment ELSE stopped_at END
    FROM ({rows_of(transaction_id="integer", wh="bigint", moment="timestamptz")}) AS reading
    WHERE measured.id = reading.transaction_id AND (latest_meter_at IS NULL OR latest_meter_at <= reading.moment)
"""  # noqa: S608  names of our own
MEASURED = """
    SELECT id, charge_point_id, connector_id, told_at
    FROM chargepoints_transaction
    WHERE {where}
"""
NAMED = "id {among}"
CHARGING = "charge_point_id {among} AND state = 'active' AND connector_id > 0"
READING = {
    "charge_point_id": "bigint",
    "transaction_id": "integer",
    "connector_id": "integer",
    "received_at": "timestamptz",
    "timestamp": "timestamptz",
    "sampled_values": "jsonb",
    "fingerprint": "uuid",
}
# One parameter for all: ten thousand rows of the ORM's take three times as long.
STORE_READINGS = f"""
    INSERT INTO chargepoints_metervalue ({", ".join(READING)})
    {{readings}}
    ON CONFLICT (charge_point_id, fingerprint) DO NOTHING
"""
# With the newest of them, which saves a round trip.
RECORD_READINGS = f"""
    WITH stored AS ({STORE_READINGS.format(readings=rows_of(**READING))})
    {RECORD_ALL_LATEST}
"""
REFUSED = f"""
    SELECT id FROM unnest({{senders}}) AS id WHERE {LOSE_PATIENCE} IS NOT NULL
    EXCEPT
    SELECT id FROM chargepoints_chargepoint WHERE id = ANY ({{senders}}) AND registration_status = 'Accepted'
"""  # noqa: S608  names of our own
ALL_ACCEPTED = "NOT EXISTS (SELECT FROM refused)"
# Nobody has asked for the database's time before: what has another moment than the one that was guessed keeps it.
ARRIVED = "statement_timestamp()"
IN_TIME = f"CASE WHEN timestamp = received_at THEN {ARRIVED} ELSE timestamp END"
PRESUMED_READINGS = f"""
    SELECT charge_point_id, transaction_id, connector_id, {ARRIVED}, {IN_TIME}, sampled_values, fingerprint
    FROM ({rows_of(**READING)}) AS reading
    WHERE {ALL_ACCEPTED}
"""  # noqa: S608  names of our own
# A transaction of its own, with all that has to be known of the senders: three round trips less. It tells who is not
# accepted; nothing is stored then.
RECORD_READINGS_OF_ACCEPTED = f"""
    WITH refused AS (
        {REFUSED.format(senders="CAST(%s AS bigint[])")}
    ), stored AS (
        {STORE_READINGS.format(readings=PRESUMED_READINGS)}
    ), latest AS (
        {RECORD_ALL_LATEST} AND {ALL_ACCEPTED}
    )
    SELECT id FROM refused
"""  # noqa: S608
# PostgreSQL makes an id in a fifth of the time.
RECORD_EVENTS = f"""
    INSERT INTO chargepoints_outboxevent (uuid, charge_point_id, type, data)
    SELECT gen_random_uuid(), charge_point_id, type, data
    FROM ({rows_of(charge_point_id="bigint", type="text", data="jsonb")}) AS happened
"""  # noqa: S608
# The first events of the outbox.
FIRST = "SELECT id FROM chargepoints_outboxevent ORDER BY id LIMIT %s"
TAKE = f"DELETE FROM chargepoints_outboxevent WHERE id IN ({FIRST})"  # noqa: S608
# An event is its charge point's organization's; of one whose charge point is gone nobody hears.
PUBLISH_TAKEN = """
    INSERT INTO chargepoints_event (uuid, type, data, created_at, charge_point_id, organization_id)
    SELECT taken.uuid, taken.type, taken.data, taken.created_at, taken.charge_point_id, owner.organization_id
    FROM {taken} AS taken JOIN {owners} AS owner ON owner.id = taken.charge_point_id
    ORDER BY taken.id
    RETURNING id, organization_id, charge_point_id, CAST(type AS text)
"""
# In one statement where others may be first in the outbox by the next; elsewhere TAKE follows. The outbox is empty when
# it is planned: read from front to back, as PostgreSQL reads what is small, it later shows all that was ever in it.
PUBLISH = {
    "postgresql": f"""
        WITH outbox AS (
            DELETE FROM chargepoints_outboxevent WHERE id = ANY (ARRAY({FIRST})) RETURNING *
        ), kept AS (
            SELECT charge_point.id, organization.id AS organization_id
            FROM chargepoints_chargepoint AS charge_point
            JOIN apikeys_organization AS organization ON organization.id = charge_point.organization_id
            WHERE charge_point.id = ANY (ARRAY(SELECT charge_point_id FROM outbox))
            ORDER BY charge_point.id FOR KEY SHARE
        )
        {PUBLISH_TAKEN.format(taken="outbox", owners="kept")}
    """,  # noqa: S608
    "sqlite": PUBLISH_TAKEN.format(
        taken="(SELECT * FROM chargepoints_outboxevent ORDER BY id LIMIT %s)", owners="chargepoints_chargepoint"
    ),
}
# Only what has no other end yet: whoever had hung for so long that another took over must not undo it.
SETTLE = """
    UPDATE chargepoints_webhookdelivery
    SET state = %s, tries = %s, attempts = %s, next_attempt_at = %s, gives_up_at = %s, ended_at = %s
    WHERE id = %s AND state = 'pending'
"""
