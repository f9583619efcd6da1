"""What the publisher has signed, as it is to be had at the hub; python-tuf says what of it is to be believed."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tuf.api.exceptions import DownloadError, DownloadLengthMismatchError, RepositoryError
from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # its __all__ is made at run time
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from device import durable
from device.update.errors import UpdateError
from device.update.fetch import HubFetcher, trusting
from device.update.unpack import SPARE_BYTES, free_bytes
from protocol.health import UpdateFailure
from protocol.release import version_of

BUNDLE_BYTES = 160 * 1024 * 1024
"""A release with every library is a fifth of it."""

ROOT_BYTES = 512_000
"""As python-tuf has it."""

_METADATA, _TARGETS = "/firmware/metadata/", "/firmware/targets/"


def target_name(release: int, platform: str) -> str:
    """What the publisher calls a bundle."""
    return f"gatelight-{version_of(release)}-{platform}.tar.gz"


class Repository:
    """The hub's mirror of what was published.

    Args:
        hub: the hub's address.
        ca: the authority that its certificate must be of.
        root: where trust in the publisher begins, TUF's `root.json`.
        folder: what is known of the publisher is kept in `tuf` below it, a download for as long as it is needed.
        platform: which bundles can be run here.
        get_s: the longest that one attempt may take.
    """

    def __init__(self, *, hub: str, ca: Path, root: Path, folder: Path, platform: str, get_s: float) -> None:
        self._hub, self._ca, self._root = hub.rstrip("/"), ca, root
        self._folder, self._kept = folder, folder / "tuf"
        self._platform, self._get_s = platform, get_s

    @contextmanager
    def bundle(self, release: int, *, free: Callable[[Path], int] = free_bytes) -> Iterator[IO[bytes]]:
        """The bundle of a release, verified; it lies on the disk as long as this is open.

        1. The publisher's word is the newest that the hub has, and no older than what was known here.
        2. It names a bundle of this release for this platform, and there is room for it.
        3. What was fetched is that bundle.

        Raises:
            UpdateError: one of these is not so.
            OSError: the disk did not allow it.
        """
        download = self._folder / "download"
        self._tidy(download)
        fetcher = HubFetcher(trusting(self._ca), end_s=time.monotonic() + self._get_s)
        try:
            # 1.
            client = self._client(fetcher, download)
            client.refresh()
            self._sync()
            # 2.
            target = self._target(client, release)
            if free(self._folder) < 2 * target.length + SPARE_BYTES:
                raise UpdateError(UpdateFailure.UNFIT, f"no room on the disk for {target.length} bytes")
            # 3.
            client.download_target(target, str(download))
            with download.open("rb") as file:
                yield file
        except DownloadLengthMismatchError as error:
            raise UpdateError(UpdateFailure.UNTRUSTED, f"more than was signed: {error}") from error
        except DownloadError as error:
            raise UpdateError(UpdateFailure.UNREACHABLE, str(error)) from error
        except RepositoryError as error:
            raise UpdateError(UpdateFailure.UNTRUSTED, f"{type(error).__name__}: {error}") from error
        finally:
            durable.remove_tree(download)

    def _client(self, fetcher: FetcherInterface, download: Path) -> Updater:
        try:
            with self._root.open("rb") as file:
                root = file.read(ROOT_BYTES)
        except OSError as error:
            raise UpdateError(UpdateFailure.UNTRUSTED, f"{self._root}: {error.strerror}") from error
        return Updater(
            metadata_dir=str(self._kept),
            metadata_base_url=self._hub + _METADATA,
            target_dir=str(download.parent),
            target_base_url=self._hub + _TARGETS,
            fetcher=fetcher,
            config=UpdaterConfig(max_delegations=0),
            bootstrap=root,
        )

    def _target(self, client: Updater, release: int) -> TargetFile:
        name = target_name(release, self._platform)
        target = client.get_targetinfo(name)
        if target is None:
            raise UpdateError(UpdateFailure.UNFIT, f"{name} was not published, or the hub does not have it yet")
        custom = target.custom if isinstance(target.custom, dict) else {}
        if (custom.get("release"), custom.get("platform")) != (release, self._platform):
            raise UpdateError(UpdateFailure.UNFIT, f"{name} says that it is something else: {custom!r:.80}")
        if target.length > BUNDLE_BYTES:
            raise UpdateError(UpdateFailure.UNFIT, f"{name} has {target.length} bytes, at most {BUNDLE_BYTES} fit")
        return target

    def _tidy(self, download: Path) -> None:
        """Removes what a power cut left."""
        durable.remove_tree(download)
        durable.make_folder(self._kept, mode=0o755)
        for left in self._kept.glob("tmp*"):
            durable.remove_tree(left)

    def _sync(self) -> None:
        """What is known now must not be older after a power cut: python-tuf renames, and does not wait for the disk."""
        for path in [*self._kept.rglob("*"), self._kept]:
            if path.is_dir():
                durable.sync_folder(path)
            elif not path.is_symlink():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
