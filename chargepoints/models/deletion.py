"""The deletion of rows that others write for meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import models, transaction

Deleted = tuple[int, dict[str, int]]


def delete_whole(rows: models.QuerySet[Any]) -> Deleted:
    """Delete them with all that is theirs, as Django does; returns what it does."""
    with transaction.atomic():
        deleted = delete_theirs(rows)
        # What was written between the look for what is theirs and its deletion would undo it.
        list(rows.order_by("pk").select_for_update().values_list("pk"))
        deleted.update(rows.delete()[1])
    return deleted.total(), dict(deleted)


def delete_theirs(rows: models.QuerySet[Any]) -> Counter[str]:
    """Delete what is theirs before they are locked; returns how many rows of each model.

    Years of logs take long. Whoever writes for them would wait for the lock, and so would all that is written with it.
    """
    deleted: Counter[str] = Counter()
    relations: Any = rows.model._meta.related_objects
    for relation in relations:
        if relation.on_delete is models.CASCADE:
            theirs = relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": rows})
            deleted.update(theirs.delete()[1])
    return deleted
