"""What is in the database before a load begins, written straight into it; in a process on the system's settings.

`python -m tests.benchmarks.rows` takes, a line each, a function's name with its arguments as a JSON list, and prints
its result as JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import timedelta
from typing import Any

import django

PASSWORD = "benchmark-password"
BATCH = 5_000
# One charge point of a fleet in so many has a connector that charges.
CHARGING = 10


def identity(prefix: str, number: int) -> str:
    return f"{prefix}-{number:06}"


def api_key(prefix: str) -> str:
    """A new key of the organization that owns the charge points whose identities begin so; makes it if need be."""
    from apikeys.models import ApiKey, Organization
    from apikeys.scopes import SCOPES

    return ApiKey.objects.issue(Organization.objects.get_or_create(name=prefix)[0], "benchmark", SCOPES)[1]


def charge_points(prefix: str, count: int) -> None:
    """Have so many charge points whose identities begin with `prefix`."""
    from apikeys.models import Organization
    from chargepoints.credentials import make_digest
    from chargepoints.models import ChargePoint

    owner, digest = Organization.objects.get_or_create(name=prefix)[0], make_digest(PASSWORD.encode())
    there = ChargePoint.objects.filter(identity__startswith=f"{prefix}-").count()
    rows = (
        ChargePoint(organization=owner, identity=identity(prefix, number), password_digest=digest)
        for number in range(there, count)
    )
    ChargePoint.objects.bulk_create(rows, batch_size=BATCH)


def fleet(prefix: str, count: int) -> None:
    """Have so many charge points, each with two connectors, one of all of them faulted."""
    from django.utils import timezone

    from chargepoints.models import ChargePoint, Connector, ListingChange

    charge_points(prefix, count)
    of_fleet = ChargePoint.objects.filter(identity__startswith=f"{prefix}-").order_by("identity").values_list("pk")
    faulted, state = of_fleet[0], {"error_code": "NoError", "timestamp": timezone.now()}
    rows = []
    for (pk,) in of_fleet.filter(connectors=None):
        statuses = "Available" if pk % CHARGING else "Charging", "Faulted" if (pk,) == faulted else "Available"
        rows += [
            Connector(charge_point_id=pk, connector_id=number, status=status, **state)
            for number, status in enumerate(statuses, 1)
        ]
    Connector.objects.bulk_create(rows, batch_size=BATCH)
    while ListingChange.objects.sum_up():
        pass
    analyze()


# Of one transaction, a second apart; fingerprints are as good as any that differ.
METER_VALUES = {
    "postgresql": """
        INSERT INTO chargepoints_metervalue
            (charge_point_id, transaction_id, connector_id, timestamp, received_at, sampled_values, fingerprint)
        SELECT %s, %s, 1, now() - n * interval '1 second', now(), %s, lpad(to_hex(n), 32, '0')::uuid
        FROM generate_series(%s, %s) AS n""",
    "sqlite": """
        WITH RECURSIVE series (point, active, samples, n, last) AS (
            SELECT %s, %s, %s, %s, %s UNION ALL SELECT point, active, samples, n + 1, last FROM series WHERE n < last)
        INSERT INTO chargepoints_metervalue
            (charge_point_id, transaction_id, connector_id, timestamp, received_at, sampled_values, fingerprint)
        SELECT point, active, 1, datetime('now', -n || ' seconds'), datetime('now'), samples, printf('%%032x', n)
        FROM series""",
}


def meter_values(prefix: str, number: int, count: int) -> None:
    """Have the charge point of that number with one active transaction, and so many meter values of it."""
    from django.db import connection
    from django.utils import timezone

    from chargepoints.models import ChargePoint, MeterValue, Transaction

    charge_points(prefix, number + 1)
    charge_point = ChargePoint.objects.get(identity=identity(prefix, number))
    active = Transaction.objects.active().filter(charge_point=charge_point).first()
    if active is None:
        began: Any = {
            "meter_start": 0,
            "started_at": timezone.now() - timedelta(hours=1),
            "authorization_status": "Accepted",
        }
        active, _ = Transaction.objects.start(charge_point, connector_id=1, id_tag="TAG", **began)
    there = MeterValue.objects.filter(transaction=active).count()
    samples = json.dumps([{"value": "1500", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # To check thirty million foreign keys, all to the same few rows, takes most of ten minutes.
            cursor.execute("SET session_replication_role = replica")
        cursor.execute(METER_VALUES[connection.vendor], [charge_point.pk, active.pk, samples, there + 1, count])
    connection.close()
    analyze()


def analyze() -> None:
    """What PostgreSQL does by itself sooner or later; the load must not meet it half done.

    SQLite never does: statistics of a small fleet would stay with the server's open connections as the fleet grows.
    """
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def connectors(prefix: str) -> int:
    """How many connectors those charge points have reported."""
    from chargepoints.models import Connector

    return Connector.objects.filter(charge_point__identity__startswith=f"{prefix}-").exclude(status="").count()


def queries(path: str, key: str) -> int:
    """How many queries a GET makes, without those about the key."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        response = Client().get(path, headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 200, response.content
    return sum("chargepoints_" in query["sql"] for query in captured)


def main() -> None:
    functions: dict[str, Any] = {
        function.__name__: function
        for function in (api_key, charge_points, fleet, meter_values, analyze, connectors, queries)
    }
    django.setup()
    logging.disable(logging.INFO)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(functions[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
