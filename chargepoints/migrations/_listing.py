"""The triggers by which the database itself keeps the lists of charge points, whoever writes to it and however.

A list is told by its organization and a status, `''` for all charge points. Its lines are rows of Listing, and its rows
of ListingChange add up to how many lines it has.

What becomes of a charge point's connectors is decided with its line in the list of all locked, so that of two who change
two of its connectors at once, the second sees what the first did. The charge point itself must not be locked: leases and
signs of life are written to many at a time, in any order.

PostgreSQL looks once at all connectors that a statement writes: for each by itself it would take thrice as long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.migrations.operations.base import Operation


def listed(row: str) -> str:
    return f"({row}.status <> '' AND NOT ({row}.connector_id = 0 AND {row}.status = 'Available'))"


def leave(row: str, rows: str = "") -> str:
    """Take the charge point from the list of the status that a connector was in, unless another still is in it."""
    return f"""
        DELETE FROM chargepoints_listing {rows and f"USING {rows} AS {row}"}
            WHERE chargepoints_listing.charge_point_id = {row}.charge_point_id
            AND chargepoints_listing.status = {row}.status AND chargepoints_listing.status <> '' AND NOT EXISTS (
                SELECT 1 FROM chargepoints_connector AS other
                WHERE other.charge_point_id = {row}.charge_point_id AND other.status = {row}.status
                AND {listed("other")});
    """  # noqa: S608  no word of anybody's


def enter(row: str, rows: str = "") -> str:
    """Put the charge point into the list of the status that a connector is in, unless another already was in it."""
    return f"""
        INSERT INTO chargepoints_listing (organization_id, status, identity, charge_point_id)
            SELECT DISTINCT line.organization_id, {row}.status, line.identity, line.charge_point_id
            FROM chargepoints_listing AS line {rows and f", {rows} AS {row}"}
            WHERE line.charge_point_id = {row}.charge_point_id AND line.status = '' AND {listed(row)} AND NOT EXISTS (
                SELECT 1 FROM chargepoints_listing AS there
                WHERE there.charge_point_id = {row}.charge_point_id AND there.status = {row}.status);
    """  # noqa: S608


# Nearly always a connector takes the only line of its charge point from one status to another. To change that line
# takes PostgreSQL half as long as to delete it and make a new one. Of several that change at once, one is taken.
CHANGE = f"""
    UPDATE chargepoints_listing AS line SET status = moved.after
        FROM (
            SELECT DISTINCT ON (charge_point_id) charge_point_id, gone.status AS before, come.status AS after
            FROM old_rows AS gone JOIN new_rows AS come USING (id, charge_point_id)
            WHERE gone.status <> come.status AND {listed("come")}
        ) AS moved
        WHERE line.charge_point_id = moved.charge_point_id AND line.status = moved.before AND line.status <> ''
        AND (line.charge_point_id, line.status) NOT IN (
            SELECT charge_point_id, status FROM chargepoints_connector AS other
            WHERE charge_point_id = ANY (changed) AND {listed("other")})
        AND NOT EXISTS (
            SELECT 1 FROM chargepoints_listing AS there
            WHERE there.charge_point_id = moved.charge_point_id AND there.status = moved.after);
    GET DIAGNOSTICS lines = ROW_COUNT;
    -- Each connector that has changed is there twice.
    IF 2 * lines = cardinality(changed) THEN RETURN NULL; END IF;
"""  # noqa: S608


def move(lines: str) -> str:
    return f"""
        UPDATE chargepoints_listing SET organization_id = NEW.organization_id, identity = NEW.identity
            WHERE charge_point_id = NEW.id AND {lines};
    """  # noqa: S608


def count(row: str, change: int, rows: str = "") -> str:
    return f"""
        INSERT INTO chargepoints_listingchange (organization_id, status, identity, change)
            SELECT {row}.organization_id, {row}.status, {row}.identity, {change} {rows and f"FROM {rows} AS {row}"};
    """  # noqa: S608


class Trigger(NamedTuple):
    """A row of TRIGGERS; `locks`: the charge points whose lines in the list of all are locked first."""

    name: str
    table: str
    event: str
    condition: str
    body: str
    locks: str = ""
    scope: str = "FOR EACH ROW"


TRIGGERS = (
    Trigger(
        "listing_charge_point_added",
        "chargepoint",
        "INSERT",
        "",
        """
        INSERT INTO chargepoints_listing (organization_id, status, identity, charge_point_id)
            VALUES (NEW.organization_id, '', NEW.identity, NEW.id);
        """,
    ),
    # The line that is locked for the others first: they must be seen as whoever held it left them.
    Trigger(
        "listing_charge_point_moved",
        "chargepoint",
        "UPDATE OF organization_id, identity",
        "(OLD.organization_id, OLD.identity) <> (NEW.organization_id, NEW.identity)",
        move("status = ''") + move("status <> ''"),
    ),
    Trigger(
        "listing_charge_point_deleted",
        "chargepoint",
        "DELETE",
        "",
        "DELETE FROM chargepoints_listing WHERE charge_point_id = OLD.id;",
        locks="SELECT OLD.id",
    ),
    Trigger(
        "listing_connector_added",
        "connector",
        "INSERT",
        listed("NEW"),
        enter("NEW"),
    ),
    Trigger(
        "listing_connector_changed",
        "connector",
        "UPDATE OF status, connector_id, charge_point_id",
        "(OLD.status, OLD.connector_id, OLD.charge_point_id) <> (NEW.status, NEW.connector_id, NEW.charge_point_id)",
        leave("OLD") + enter("NEW"),
    ),
    Trigger(
        "listing_connector_deleted",
        "connector",
        "DELETE",
        listed("OLD"),
        leave("OLD"),
    ),
    Trigger("listing_line_added", "listing", "INSERT", "", count("NEW", 1)),
    Trigger("listing_line_deleted", "listing", "DELETE", "", count("OLD", -1)),
    Trigger(
        "listing_line_moved",
        "listing",
        "UPDATE OF organization_id, identity, status",
        "(OLD.organization_id, OLD.identity, OLD.status) <> (NEW.organization_id, NEW.identity, NEW.status)",
        count("OLD", -1) + count("NEW", 1),
    ),
)

# What PostgreSQL has in place of those of the same names.
OF_CHANGED = "(SELECT * FROM {} WHERE charge_point_id = ANY (changed))"
LEAVE, ENTER = leave("gone", OF_CHANGED.format("old_rows")), enter("come", OF_CHANGED.format("new_rows"))
BY_STATEMENT = {
    trigger.name: trigger
    for trigger in (
        Trigger(
            "listing_connector_added",
            "connector",
            "INSERT",
            "",
            ENTER,
            f"SELECT charge_point_id FROM new_rows WHERE {listed('new_rows')}",
            "REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT",
        ),
        # What a statement has left as it was is in both.
        Trigger(
            "listing_connector_changed",
            "connector",
            "UPDATE",
            "",
            CHANGE + LEAVE + ENTER,
            """
            SELECT charge_point_id FROM (
                SELECT charge_point_id, connector_id, status FROM old_rows
                UNION ALL SELECT charge_point_id, connector_id, status FROM new_rows
            ) AS either GROUP BY charge_point_id, connector_id, status HAVING count(*) = 1
            """,
            "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT",
        ),
        Trigger(
            "listing_connector_deleted",
            "connector",
            "DELETE",
            "",
            LEAVE,
            f"SELECT charge_point_id FROM old_rows WHERE {listed('old_rows')}",
            "REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT",
        ),
        Trigger(
            "listing_line_added",
            "listing",
            "INSERT",
            "",
            count("line", 1, "new_rows"),
            scope="REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT",
        ),
        Trigger(
            "listing_line_deleted",
            "listing",
            "DELETE",
            "",
            count("line", -1, "old_rows"),
            scope="REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT",
        ),
        Trigger(
            "listing_line_moved",
            "listing",
            "UPDATE",
            "",
            count("line", -1, "old_rows") + count("line", 1, "new_rows"),
            scope="REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT",
        ),
    )
}

# Charge points before connectors, as whoever stores messages locks them.
LOCK_TABLES = """
    LOCK TABLE chargepoints_chargepoint, chargepoints_connector IN SHARE ROW EXCLUSIVE MODE
"""
FILL = (
    "DELETE FROM chargepoints_listing",
    "DELETE FROM chargepoints_listingchange",
    f"""
    INSERT INTO chargepoints_listing (organization_id, status, identity, charge_point_id)
        SELECT organization_id, '', identity, id FROM chargepoints_chargepoint
        UNION
        SELECT charge_point.organization_id, connector.status, charge_point.identity, charge_point.id
        FROM chargepoints_connector AS connector
        JOIN chargepoints_chargepoint AS charge_point ON charge_point.id = connector.charge_point_id
        WHERE {listed("connector")}
    """,  # noqa: S608
    """
    INSERT INTO chargepoints_listingchange (organization_id, status, identity, change)
        SELECT organization_id, status, min(identity), count(*) FROM (
            SELECT organization_id, status, identity,
                (row_number() OVER (PARTITION BY organization_id, status ORDER BY identity) - 1) / 1000 AS part
            FROM chargepoints_listing
        ) AS line GROUP BY organization_id, status, part
    """,
)


def created(trigger: Trigger, vendor: str) -> list[str]:
    trigger = BY_STATEMENT.get(trigger.name, trigger) if vendor == "postgresql" else trigger
    name, on = trigger.name, f"ON chargepoints_{trigger.table}"
    when = f"WHEN ({trigger.condition})" if trigger.condition else ""
    begin = f"TRIGGER {name} AFTER {trigger.event} {on} {trigger.scope} {when}"
    if vendor == "sqlite":  # one writes at a time, so nothing is locked
        return [f"CREATE {begin} BEGIN {trigger.body} END"]
    lock = f"""
        changed := ARRAY({trigger.locks});
        IF changed = '{{}}' THEN RETURN NULL; END IF;
        PERFORM FROM chargepoints_listing
            WHERE charge_point_id = ANY (changed) AND status = '' ORDER BY charge_point_id FOR UPDATE;
    """  # noqa: S608
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ DECLARE changed bigint[]; lines integer; "
        f"BEGIN {lock if trigger.locks else ''} {trigger.body} RETURN NULL; END $$",
        f"CREATE OR REPLACE {begin} EXECUTE FUNCTION {name}()",
    ]


def dropped(trigger: Trigger, vendor: str) -> list[str]:
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {trigger.name}"]
    return [f"DROP FUNCTION IF EXISTS {trigger.name}() CASCADE"]


class KeepLists(Operation):
    """Lists and counts what is there, and has the database keep it so."""

    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        vendor = schema_editor.connection.vendor
        for statement in (*([LOCK_TABLES] if vendor == "postgresql" else []), *FILL):
            schema_editor.execute(statement)
        for trigger in TRIGGERS:
            for statement in created(trigger, vendor):
                schema_editor.execute(statement)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for trigger in TRIGGERS:
            for statement in dropped(trigger, schema_editor.connection.vendor):
                schema_editor.execute(statement)

    def describe(self) -> str:
        return "Keep the lists of charge points by triggers"


class LeaveLists(KeepLists):
    """The reverse.

    SQLite cannot change a table otherwise than by making it anew, which fails while a trigger of another names it:
    there, a migration of ChargePoint, Connector or Listing begins with this, and ends with KeepLists.
    """

    database_forwards = KeepLists.database_backwards
    database_backwards = KeepLists.database_forwards

    def describe(self) -> str:
        return "Leave the lists of charge points as they are"


class KeepListsByStatement(KeepLists):
    """Gives PostgreSQL the triggers of today in place of those that looked at each row; the lists stay as they are."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        vendor = schema_editor.connection.vendor
        if vendor == "postgresql":
            schema_editor.execute(LOCK_TABLES)
            for trigger in BY_STATEMENT.values():
                for statement in created(trigger, vendor):
                    schema_editor.execute(statement)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing: those did the same."""

    def describe(self) -> str:
        return "Keep the lists of charge points statement by statement on PostgreSQL"
