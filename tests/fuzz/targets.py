"""All targets by name."""

from importlib import import_module

from tests.fuzz.find import MODULES

TARGETS = {target.name: target for module in MODULES for target in import_module(f"tests.fuzz.{module}").TARGETS}
