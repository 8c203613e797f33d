"""The provisioning commands print their result, and only that, as the last line; errors are one line and exit 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import load_command_class

from apikeys.models import ApiKey, Organization
from chargepoints.models import ChargePoint

HOMES = {"create_organization": "apikeys", "create_api_key": "apikeys", "create_charge_point": "chargepoints"}


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line that an error is."""
        assert (self.code, self.out, self.err.count("\n")) == (1, "", 1)
        return self.err


@pytest.fixture
def run(transactional_db: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command as manage.py would."""

    def run(name: str, *arguments: str) -> Ended:
        capsys.readouterr()
        code = 0
        try:
            load_command_class(HOMES[name], name).run_from_argv(["manage.py", name, "--skip-checks", *arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture
def acme(transactional_db: None) -> Organization:
    return Organization.objects.create(name="Acme Charging")


def test_create_organization_prints_its_name(run: Callable[..., Ended]) -> None:
    assert run("create_organization", " Acme Charging ") == Ended(0, "Acme Charging\n", "")
    assert Organization.objects.get().name == "Acme Charging"


@pytest.mark.parametrize("name", ["Acme Charging", "ACME charging", " acme charging "])
def test_create_organization_refuses_a_name_that_is_taken(run: Callable[..., Ended], acme: Any, name: str) -> None:
    assert "exists already" in run("create_organization", name).refusal
    assert Organization.objects.count() == 1


def test_create_organization_compares_letters_of_every_alphabet(run: Callable[..., Ended]) -> None:
    run("create_organization", "Übermut Straße")
    assert "exists already" in run("create_organization", "ÜBERMUT STRASSE").refusal


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_create_organization_refuses_an_impossible_name(run: Callable[..., Ended], name: str) -> None:
    assert "name: " in run("create_organization", name).refusal


def test_create_api_key_prints_a_key_that_works(run: Callable[..., Ended], acme: Organization) -> None:
    ended = run(
        "create_api_key", "ACME CHARGING", "--name", "ops", "--scope", "read:billing", "--scope", "read:sessions"
    )
    assert (ended.code, ended.err) == (0, "")
    key = ApiKey.objects.find(ended.out.removesuffix("\n"))
    assert key is not None
    assert (key.organization, key.name, key.scopes) == (acme, "ops", ["read:billing", "read:sessions"])
    assert key.expires_at is None


def test_create_api_key_limits_the_key(run: Callable[..., Ended], acme: Organization) -> None:
    limits = ["--command", "Reset", "--command", "ClearCache", "--charge-point", "CP-1", "--address", "10.0.0.0/8"]
    ended = run(
        "create_api_key", "acme charging", "--name", "ops", "--scope", "write:webhooks", *limits, "--rate", "60"
    )
    assert ended.code == 0
    assert ApiKey.objects.get().limits == {
        "allowed_commands": ["Reset", "ClearCache"],
        "allowed_charge_points": ["CP-1"],
        "allowed_addresses": ["10.0.0.0/8"],
        "requests_per_minute": 60,
    }


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (["--command", "Explode"], "Unknown command: Explode."),
        (["--charge-point", "x" * 49], "1 to 48 characters"),
        (["--address", "example.com"], "Must be an address"),
        (["--rate", "0"], "requests_per_minute"),
    ],
)
def test_create_api_key_refuses_what_is_no_limit(
    run: Callable[..., Ended], acme: Organization, limit: list[str], why: str
) -> None:
    arguments = ("create_api_key", "acme charging", "--name", "ops", "--scope", "read:billing")
    assert why in run(*arguments, *limit).refusal
    assert not ApiKey.objects.exists()


def test_create_api_key_prints_a_test_key(run: Callable[..., Ended], acme: Organization) -> None:
    ended = run("create_api_key", "acme charging", "--name", "ops", "--scope", "read:billing", "--test")
    assert ended.out.startswith("dyn_test_")
    key = ApiKey.objects.find(ended.out.removesuffix("\n"))
    assert key is not None
    assert key.is_test


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2999-12-31T23:00:00+01:00", datetime(2999, 12, 31, 22, tzinfo=UTC)),
        ("2999-12-31T23:00:00Z", datetime(2999, 12, 31, 23, tzinfo=UTC)),
        ("2999-12-31T23:00:00", datetime(2999, 12, 31, 23, tzinfo=UTC)),
        ("2999-12-31", datetime(2999, 12, 31, tzinfo=UTC)),
    ],
)
def test_create_api_key_takes_an_expiry(run: Callable[..., Ended], acme: Any, text: str, moment: datetime) -> None:
    ended = run("create_api_key", "acme charging", "--name", "ops", "--scope", "read:billing", "--expires", text)
    assert ended.code == 0
    assert ApiKey.objects.get().expires_at == moment


@pytest.mark.parametrize(
    ("text", "why"), [("2020-01-01", "must lie in the future"), ("tomorrow", "ISO 8601"), ("9999-99-99", "ISO 8601")]
)
def test_create_api_key_refuses_an_impossible_expiry(run: Callable[..., Ended], acme: Any, text: str, why: str) -> None:
    ended = run("create_api_key", "acme charging", "--name", "ops", "--scope", "read:billing", "--expires", text)
    assert why in ended.refusal
    assert not ApiKey.objects.exists()


def test_create_api_key_names_an_unknown_scope_and_the_known_ones(run: Callable[..., Ended], acme: Any) -> None:
    refusal = run("create_api_key", "acme charging", "--name", "ops", "--scope", "read:everything").refusal
    assert "Unknown scope: read:everything" in refusal
    assert "write:charge_points" in refusal
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    "command",
    [("create_api_key", "Nobody", "--name", "x", "--scope", "read:billing"), ("create_charge_point", "Nobody", "CP")],
)
def test_refuses_an_unknown_organization(run: Callable[..., Ended], acme: Any, command: tuple[str, ...]) -> None:
    assert "There is no organization named 'Nobody'" in run(*command).refusal


def test_create_charge_point_makes_a_simulated_one(run: Callable[..., Ended], acme: Organization) -> None:
    run("create_charge_point", "acme charging", "REAL")
    run("create_charge_point", "acme charging", "SIM", "--simulated")
    assert dict(ChargePoint.objects.values_list("identity", "is_simulated")) == {"REAL": False, "SIM": True}


def test_create_charge_point_prints_a_password_that_fits_hardware(
    run: Callable[..., Ended], acme: Organization
) -> None:
    ended = run("create_charge_point", "acme CHARGING", "Hall 3 #7")
    charge_point = ChargePoint.objects.get()
    assert (ended.code, ended.err) == (0, "")
    assert (charge_point.organization, charge_point.identity) == (acme, "Hall 3 #7")
    assert len(bytes.fromhex(ended.out.removesuffix("\n"))) == 20
    assert charge_point.check_password(ended.out.removesuffix("\n").encode())
    assert charge_point.security_profile == 1


def test_create_charge_point_takes_the_password_of_the_hardware(run: Callable[..., Ended], acme: Any) -> None:
    assert run("create_charge_point", "acme charging", "CP", "--password", "pässword: of 16+") == Ended(
        0, "pässword: of 16+\n", ""
    )
    assert ChargePoint.objects.get().check_password("pässword: of 16+".encode())


def test_create_charge_point_warns_of_a_short_password(run: Callable[..., Ended], acme: Any) -> None:
    ended = run("create_charge_point", "acme charging", "CP", "--password", "fifteen letters")
    assert (ended.code, ended.out) == (0, "fifteen letters\n")
    assert "shorter than the 16 bytes" in ended.err


@pytest.mark.parametrize(("option", "profile"), [("--no-password", 0), ("--certificate", 3)])
def test_create_charge_point_goes_without_a_password_when_told(
    run: Callable[..., Ended], acme: Any, option: str, profile: int
) -> None:
    assert run("create_charge_point", "acme charging", "CP", option).code == 0
    charge_point = ChargePoint.objects.get()
    assert (charge_point.security_profile, charge_point.password_digest) == (profile, "")


def test_create_charge_point_refuses_an_empty_password(run: Callable[..., Ended], acme: Any) -> None:
    assert "--no-password" in run("create_charge_point", "acme charging", "CP", "--password", "").refusal
    assert not ChargePoint.objects.exists()


def test_create_charge_point_refuses_a_password_and_none_at_once(run: Callable[..., Ended], acme: Any) -> None:
    ended = run("create_charge_point", "acme charging", "CP", "--password", "x", "--no-password")
    assert ended.code != 0
    assert "not allowed with" in ended.err
    assert not ChargePoint.objects.exists()


@pytest.mark.parametrize("identity", ["", " CP", "CP ", "a/b", "a:b", "a\nb", "..", "x" * 49])
def test_create_charge_point_refuses_a_bad_identity(run: Callable[..., Ended], acme: Any, identity: str) -> None:
    assert "identity: " in run("create_charge_point", "acme charging", identity).refusal
    assert not ChargePoint.objects.exists()


def test_create_charge_point_refuses_an_identity_that_is_taken_by_anybody(run: Callable[..., Ended], acme: Any) -> None:
    run("create_organization", "Other")
    run("create_charge_point", "Other", "CP")
    assert "identity: " in run("create_charge_point", "acme charging", "CP").refusal
    assert ChargePoint.objects.count() == 1
