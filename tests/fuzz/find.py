"""Target by name, with no more imported than it needs: what is imported for a run is instrumented, which takes seconds."""

from importlib import import_module

from tests.fuzz.target import Target

MODULES = (
    *("wire_targets", "signed_targets", "familiar_targets", "desk_targets", "forgery_targets"),
    *("scan_targets", "device_targets", "config_targets", "hub_targets", "platform_targets"),
)
"""Those that need little first."""


def find(name: str) -> Target:
    """The target of that name.

    Raises:
        KeyError: there is none.
    """
    for module in MODULES:
        for target in import_module(f"tests.fuzz.{module}").TARGETS:
            if target.name == name:
                return target
    raise KeyError(name)
