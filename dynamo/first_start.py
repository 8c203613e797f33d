"""What `up` prepares before it serves."""

from __future__ import annotations

import secrets

from django.contrib.auth import get_user_model
from django.core.management import call_command

from .reachability import unapplied_migrations

ADMIN = "admin"


def migrate() -> int:
    """Apply the migrations that the database lacks; returns how many."""
    missing = unapplied_migrations()
    if missing:
        call_command("migrate", verbosity=0, interactive=False)
    return missing


def make_admin() -> str:
    """Make the first user, a superuser, and return the password; '' where there are users already."""
    users = get_user_model()._default_manager
    if users.exists():
        return ""
    password = secrets.token_urlsafe(15)
    users.create_superuser(ADMIN, password=password)  # type: ignore[attr-defined]
    return password
