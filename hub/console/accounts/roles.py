"""Who may do what. Pure; every route names one permission, and `tests/hub/console/test_matrix.py` holds all of them."""

from enum import StrEnum
from typing import Final

from hub.model import Role


class Permission(StrEnum):
    """What a route needs."""

    SIGNED_IN = "signed_in"
    """Anybody with an account: the own password, the own sessions."""
    ACCOUNTS = "accounts"
    """Making and changing accounts."""
    AUDIT = "audit"
    """Reading, verifying and exporting the audit log."""
    PLACES_READ = "places.read"
    PLACES_WRITE = "places.write"
    """Applying for place codes, gates, posters, closing and opening."""
    FLEET_READ = "fleet.read"
    FLEET_WRITE = "fleet.write"
    """Enrolling, approving, replacing, revoking, commands."""
    POLICIES_READ = "policies.read"
    POLICIES_WRITE = "policies.write"
    LIVE = "live"
    """Lights, counts, occupancy and alerts of the places that one may see."""
    ALERTS = "alerts"
    """Acknowledging and escalating."""
    ALERTS_WRITE = "alerts.write"
    """Who is told of which alert."""
    REGISTER = "register"
    """Reading a register, masked or as counts."""
    REGISTER_TAKE = "register.take"
    """Exporting and deleting it."""
    DESK = "desk"
    """Registering people without a phone, and looking up a colour."""
    SLIPS = "slips"


_P = Permission

PERMISSIONS: Final[dict[Role, frozenset[Permission]]] = {
    Role.ADMINISTRATOR: frozenset(_P) - {_P.DESK},
    Role.OPERATOR: frozenset(
        {
            _P.SIGNED_IN,
            _P.PLACES_READ,
            _P.FLEET_READ,
            _P.FLEET_WRITE,
            _P.POLICIES_READ,
            _P.LIVE,
            _P.ALERTS,
            _P.SLIPS,
        }
    ),
    Role.RESPONSIBLE: frozenset(
        {
            _P.SIGNED_IN,
            _P.PLACES_READ,
            _P.PLACES_WRITE,
            _P.POLICIES_READ,
            _P.LIVE,
            _P.ALERTS,
            _P.REGISTER,
            _P.REGISTER_TAKE,
            _P.SLIPS,
        }
    ),
    Role.ATTENDANT: frozenset({_P.SIGNED_IN, _P.LIVE, _P.ALERTS, _P.DESK, _P.SLIPS}),
    Role.AUDITOR: frozenset({_P.SIGNED_IN, _P.AUDIT}),
}
"""An administrator does not stand at a desk: who looks people up has an account of his own for it."""


def may(role: Role, permission: Permission) -> bool:
    """Whether a role has a permission. Which places it is for, the account's scope says."""
    return permission in PERMISSIONS[role]
