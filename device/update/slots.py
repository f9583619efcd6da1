"""Two slots for the application, and the link that says which one starts.

    a/ b/            one release each: bin/gatelight-device, lib/, bundle.json
    a.new/ b.new/    one that is being unpacked
    current          a link to the slot in force; without it the installed release starts

A slot is written only while the link leads elsewhere, so at every moment the link leads to a whole release or nowhere.
"""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from device import durable
from device.update.notes import Wanted
from device.update.plan import Situation
from device.update.state import Slot, State
from protocol.release import RELEASE_MAX

LAUNCHER = "bin/gatelight-device"
LABEL = "bundle.json"

_LABEL_BYTES = 4096
_SLOTS: tuple[Slot, Slot] = ("a", "b")


class Label(Struct, frozen=True, kw_only=True):
    """`bundle.json`: what a bundle says it is."""

    release: Annotated[int, Meta(ge=1, le=RELEASE_MAX)]
    version: Annotated[str, Meta(max_length=32)]
    platform: Annotated[str, Meta(max_length=64)]


def read_label(folder: Path) -> Label | None:
    """What the release in a folder says it is; None where none can be run."""
    launcher = folder / LAUNCHER
    if not (launcher.is_file() and os.access(launcher, os.X_OK)):
        return None
    try:
        with (folder / LABEL).open("rb") as file:
            return msgspec.json.decode(file.read(_LABEL_BYTES), type=Label)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Slots:
    """The slots below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._link = folder / "current"

    @property
    def linked(self) -> Slot | None:
        """The slot that the link names."""
        try:
            target = str(self._link.readlink())
        except OSError:
            return None
        return next((slot for slot in _SLOTS if slot == target), None)

    @property
    def idle(self) -> Slot:
        """The slot that may be written."""
        return "b" if self.linked == "a" else "a"

    def release(self, slot: Slot | None) -> int | None:
        """The release in a slot; None where none can be run."""
        label = read_label(self._folder / slot) if slot is not None else None
        return None if label is None else label.release

    def look(self, state: State, *, factory: int, wanted: Wanted | None = None) -> Situation:
        """What there is now."""
        linked = self.linked
        in_force = self.release(linked) or factory
        return Situation(state=state, linked=linked, in_force=in_force, factory=factory, wanted=wanted)

    def fresh(self, slot: Slot) -> Path:
        """Where a slot's next content is prepared."""
        return self._folder / f"{slot}.new"

    def point(self, slot: Slot | None) -> None:
        """What starts from now on; None for the installed release.

        Raises:
            OSError: the disk did not allow it; it is as before.
        """
        if slot is None:
            durable.remove_tree(self._link)
        else:
            durable.switch(self._link, slot)

    def clear(self, slot: Slot) -> None:
        """Removes an idle slot's content, old or half made.

        Raises:
            OSError: the disk did not allow it; call again.
        """
        if slot == self.linked:
            raise ValueError(f"slot {slot} is in force")
        durable.remove_tree(self.fresh(slot))
        durable.remove_tree(self._folder / slot)

    def take_over(self, slot: Slot) -> None:
        """What was prepared becomes the content of a slot that was cleared.

        Raises:
            OSError: the disk did not allow it.
        """
        os.replace(self.fresh(slot), self._folder / slot)  # noqa: PTH105 - a call that tests see
        durable.sync_folder(self._folder)

    def tidy(self) -> None:
        """Removes what a power cut left half made.

        Raises:
            OSError: the disk did not allow it; call again.
        """
        for slot in _SLOTS:
            durable.remove_tree(self.fresh(slot))
