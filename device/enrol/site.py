"""The enrolled site on disk: `state_dir/site/N/`, each written whole, and `site/current` that points at one.

A new site becomes the site in force by the switch of one link. Where it belongs to another device id, what the old
one left beside it (spool, policy, lists) has to go with it; then a mark beside the link is the moment from which on
only forward leads anywhere, and a start after a power cut finishes what it says.
"""

import fcntl
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from device import durable, sitefile
from device.enrol import pending
from device.enrol.errors import SiteError
from device.enrol.pending import ENROLLING, RENEWING, Enrolling, Renewing
from device.identity import IdentityError, load_identity
from device.keystore.ports import KeyStore, KeyStoreError
from device.sitefile import SiteConfig
from device.tomlfile import ConfigError
from protocol.errors import ProtocolError
from protocol.policy import open_policy
from protocol.trust import open_trust

KEYS = "keys"
"""Below `state_dir`: what the key store keeps."""

_TAKING = "taking"
_STAYS = frozenset({"site", KEYS, ENROLLING, RENEWING, "lost+found"})
"""What a change of the device id leaves in `state_dir`. The last is the file system's own."""


def install(state_dir: Path, files: Mapping[str, bytes], *, keys: KeyStore, moving_in: bool) -> Path:
    """Puts a site into force; it is, for good, when this returns. The folders before it stay until `tidy`.

    `moving_in`: an enrolment. If the site is not of the device id before, nothing else of that stays in `state_dir`,
    and no spool may be open.

    1. The files, in a folder that nobody looks into yet; `site.toml` last.
    2. They are read back as a starting gate reads them.
    3. The link, after whatever belonged to another device id.

    Raises:
        SiteError: a gate could not start from them, or the disk did not allow it; the site in force is the old one.
    """
    sites = state_dir / "site"
    try:
        durable.make_folder(sites)
        # 1.
        folder = sites / str(1 + max(map(int, _numbered(sites)), default=0))
        durable.make_folder(folder)
        for name, data in files.items():
            durable.write_atomic(folder / name, data)
        # 2.
        check(folder, keys=keys)
        # 3.
        if moving_in and _other_device(sites, folder):
            durable.write_atomic(sites / _TAKING, folder.name.encode())
            _take(state_dir)
        else:
            durable.switch(state_dir / sitefile.CURRENT, folder.name)
    except OSError as error:
        raise SiteError(f"{sites}: {error}") from error
    return folder


def check(folder: Path, *, keys: KeyStore) -> SiteConfig:
    """Whether a gate can start from this folder: every file is read and every signature verified.

    Raises:
        SiteError: it cannot.
    """
    try:
        site = sitefile.load_site(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(site.broker.ca)
        context.load_cert_chain(site.broker.cert, site.broker.key)
        identity = load_identity(
            device=site.device,
            signing=site.keys.signing,
            stored=site.keys.stored,
            store=keys,
            hub=site.keys.hub,
            root=site.keys.root,
        )
        open_trust(site.trust.bundle.read_bytes(), root=identity.root)
        if site.trust.policy is not None:
            open_policy(
                site.trust.policy.read_bytes(),
                hub_keys={key.kid: key for key in identity.hub_keys},
                device=site.device,
                place=site.place,
                gate=site.gate,
            )
    except (OSError, ConfigError, IdentityError, ProtocolError) as error:
        raise SiteError(f"a gate could not start from this: {error}") from error
    return site


def current(state_dir: Path) -> Path | None:
    """The folder in force, by its own name; None where there is none."""
    link = state_dir / sitefile.CURRENT
    return link.resolve() if link.is_symlink() and link.is_dir() else None


def stored_in_force(state_dir: Path) -> str | None:
    """The name of the signing key of the site in force, if that has one in the key store."""
    return _stored(current(state_dir))


@contextmanager
def alone(state_dir: Path) -> Iterator[None]:
    """Only one process at a time enrols or wipes the device of this `state_dir`.

    Raises:
        SiteError: another one does, or the folder cannot be made.
    """
    try:
        durable.make_folder(state_dir)
        descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SiteError(f"{state_dir}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SiteError(f"{state_dir}: another process is enrolling or wiping this device") from error
    else:
        yield
    finally:
        os.close(descriptor)


def tidy(state_dir: Path, *, keys: KeyStore) -> None:
    """What a start does before anything else: finishes a change of site, and removes what is no longer of use.

    Enrolments and renewals that came to their end are dropped, folders that are not in force removed, and signing
    keys that only those folders named erased.

    Raises:
        SiteError: the disk or the key store did not allow it.
    """
    sites = state_dir / "site"
    try:
        if (sites / _TAKING).exists():
            _take(state_dir)
        folder = current(state_dir)
        enrolling, renewing = state_dir / ENROLLING, state_dir / RENEWING
        in_force = _tls_key(folder)
        begun = [pending.load(enrolling, Enrolling), pending.load(renewing, Renewing)]
        for place, state in zip((enrolling, renewing), begun, strict=True):
            # One that cannot be read has nothing to go on with.
            if place.exists() and (state is None or state.tls_key.encode() == in_force):
                pending.drop(place)
        needed = {state.signing for state in begun if state is not None} | {_stored(folder)}
        for number in _numbered(sites):
            other = sites / number
            if other != folder and (folder is None or other.resolve() != folder):
                _remove(other, keys=keys, needed=needed)
    except (OSError, KeyStoreError) as error:
        raise SiteError(f"{state_dir}: {error}") from error


def _remove(folder: Path, *, keys: KeyStore, needed: set[str | None]) -> None:
    stored = _stored(folder)
    if stored is not None and stored not in needed:
        keys.erase(stored)
    durable.remove_tree(folder, overwrite=True)


def _take(state_dir: Path) -> None:
    """The rest of a change of device id, from its mark on."""
    sites = state_dir / "site"
    number = (sites / _TAKING).read_bytes().decode("ascii", "replace")
    if number in _numbered(sites):
        for path in sorted(state_dir.iterdir()):
            if path.name not in _STAYS:
                durable.remove_tree(path, overwrite=True)
        durable.switch(state_dir / sitefile.CURRENT, number)
    durable.erase(sites / _TAKING)


def _other_device(sites: Path, new: Path) -> bool:
    try:
        return sitefile.load_site(sites / "current").device_id != sitefile.load_site(new).device_id
    except ConfigError:
        # The first site of this device, or one that cannot be read: nothing here can belong to the new one.
        return True


def _numbered(sites: Path) -> list[str]:
    return [path.name for path in sites.iterdir() if path.name.isdecimal()] if sites.is_dir() else []


def _stored(folder: Path | None) -> str | None:
    try:
        return None if folder is None else sitefile.load_site(folder).keys.stored
    except ConfigError:
        return None


def _tls_key(folder: Path | None) -> bytes | None:
    try:
        return None if folder is None else (folder / "tls.key").read_bytes()
    except OSError:
        return None
