"""What is shipped, and on what it runs."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A Python on a processor, as the markers of requirements see it."""

    python: str
    processor: str

    @property
    def name(self) -> str:
        """How it is told to people."""
        return f"Python {'.'.join(self.python.split('.')[:2])} on {self.processor}"

    def environment(self) -> dict[str, str]:
        """The values of PEP 508's markers. What of them the system's exact release decides is left empty."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": self.processor,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python,
            "python_version": ".".join(self.python.split(".")[:2]),
            "sys_platform": "linux",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One of the two things that are delivered, with the extras that every one has and those that some have."""

    name: str
    description: str
    always: tuple[str, ...]
    sometimes: tuple[str, ...]
    machines: tuple[Machine, ...]


# Raspberry Pi OS and Debian, 12 and 13. A later point release of the same Python changes no marker in use.
PYTHONS: Final = ("3.11.2", "3.13.5")

TARGETS: Final = {
    "device": Target(
        name="device",
        description="The firmware of a gate, with what it needs on Raspberry Pi OS.",
        always=("device",),
        sometimes=("device-keys", "device-screen"),
        machines=tuple(Machine(python=python, processor="aarch64") for python in PYTHONS),
    ),
    "hub": Target(
        name="hub",
        description="The hub and its console, with what they need on Debian.",
        always=("hub", "console"),
        sometimes=(),
        machines=tuple(
            Machine(python=python, processor=processor) for python in PYTHONS for processor in ("aarch64", "x86_64")
        ),
    ),
}
