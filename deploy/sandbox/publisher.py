"""Who makes firmware, as the sandbox plays it: real bundles of this checkout, signed with keys of its own."""

import datetime as dt
import shutil
import tempfile
from pathlib import Path

from deploy.firmware.bundle import PACKAGES, build
from deploy.firmware.keys import Keys
from deploy.firmware.repository import Repository

CHECKOUT = Path(__file__).parents[2]


class Publisher:
    """In a folder: `published` is what hubs import, `keys` are the publisher's."""

    def __init__(self, folder: Path) -> None:
        self.published = folder / "published"
        self._keys, self._made = Keys(folder / "keys"), folder / "made"

    @property
    def root(self) -> Path:
        """Where trust in it begins."""
        return self.published / "metadata" / "1.root.json"

    def repository(self) -> Repository:
        """What it publishes, as of now."""
        return Repository(self.published, keys=self._keys, now=dt.datetime.now(dt.UTC))

    def release(self, version: str, *, slip: str | None = None) -> None:
        """Builds, signs and publishes a release.

        Args:
            version: such as 0.2.0.
            slip: a line of Python that got into `device/gate.py` unnoticed.

        Raises:
            FirmwareError: it could not be made.
        """
        with tempfile.TemporaryDirectory(prefix="gatelight-release-") as folder:
            checkout = CHECKOUT if slip is None else _with(slip, Path(folder))
            bundle = build(checkout, platform="sandbox", version=version, into=self._made)
        self.repository().add([bundle])


def _with(slip: str, checkout: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (checkout / "device" / "gate.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{slip}\n")
    return checkout
