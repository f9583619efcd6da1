"""A checkout -> `gatelight-<version>-<platform>.tar.gz`, what fills a slot.

    bin/gatelight-device    starts the firmware of this bundle
    lib/                    device/, protocol/, the packages that they need, and gatelight's own dist-info
    bundle.json             {release, version, platform}

The same checkout gives the same bytes, whoever builds it: what was signed can be built again and compared.
"""

import gzip
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.firmware.errors import FirmwareError
from device.update.errors import UpdateError
from device.update.unpack import unpack
from protocol.errors import MalformedError
from protocol.release import release_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """For which machine packages are chosen, in uv's words."""

    python: str
    machine: str


PLATFORMS: Final[dict[str, Target | None]] = {
    "bookworm-aarch64": Target(python="3.11", machine="aarch64-manylinux_2_36"),
    "trixie-aarch64": Target(python="3.13", machine="aarch64-manylinux_2_40"),
    # The packages are those of the sandbox itself.
    "sandbox": None,
}

PACKAGES: Final = ("device", "protocol")
_LEFT_OUT: Final = ("__pycache__", "vectors")
_UNUSED: Final = (".lock", "bin", "share")
"""What packages bring beside what is imported."""
_INSTALL_S: Final = 600

LAUNCHER: Final = """\
#!/bin/sh
# Starts the firmware of the release that this file belongs to, with the installed release's interpreter.
# The real path: while it runs, `current` may come to lead to another release.
here=$(readlink -f "$0") || exit 1
PYTHONPATH="${here%/bin/*}/lib${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
# -P: what lies in the folder it is started from is no part of it.
exec "${GATELIGHT_PYTHON:-/opt/gatelight/bin/python3}" -P -m device.cli "$@"
"""


def build(checkout: Path, *, platform: str, version: str, into: Path, requirements: Path | None = None) -> Path:
    """Makes the bundle of a checkout.

    Args:
        checkout: where `device/` and `protocol/` lie.
        platform: one of `PLATFORMS`.
        version: such as 0.2.0.
        into: the folder that gets the archive.
        requirements: the firmware's packages with their hashes; needed where the platform takes any.

    Returns:
        the archive.

    Raises:
        FirmwareError: it is no version, the packages cannot be had for this platform, or no device would take it.
        OSError: the disk did not allow it.
    """
    try:
        release = release_of(version)
    except MalformedError as error:
        raise FirmwareError(str(error)) from error
    target = PLATFORMS[platform]
    with tempfile.TemporaryDirectory(prefix="gatelight-bundle-") as folder:
        tree = Path(folder)
        lib = tree / "lib"
        lib.mkdir()
        if target is not None:
            _install(target, lib, requirements=requirements)
        for package in PACKAGES:
            shutil.copytree(checkout / package, lib / package, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        write_dist_info(lib, version)
        (tree / "bin").mkdir()
        launcher = tree / "bin" / "gatelight-device"
        launcher.write_text(LAUNCHER, encoding="utf-8")
        launcher.chmod(0o755)
        label = {"platform": platform, "release": release, "version": version}
        (tree / "bundle.json").write_text(json.dumps(label) + "\n", encoding="utf-8")
        into.mkdir(parents=True, exist_ok=True)
        archive = _pack(tree, into / f"gatelight-{version}-{platform}.tar.gz")
    _try(archive, release=release, platform=platform)
    return archive


def _install(target: Target, lib: Path, *, requirements: Path | None) -> None:
    """The packages, built for the target; nothing is built here."""
    if requirements is None:
        raise FirmwareError("a list of packages is needed for this platform")
    command = [
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary", ":all:", "--python-platform", target.machine, "--python-version", target.python),
        *("--target", str(lib), "--requirements", str(requirements)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    if done.returncode:
        raise FirmwareError(f"the packages for {target.machine}, Python {target.python}: {done.stderr.strip()[-2000:]}")
    for name in _UNUSED:
        path = lib / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in sorted(lib.rglob("__pycache__")):
        shutil.rmtree(path)


def write_dist_info(lib: Path, version: str) -> None:
    """By which `importlib.metadata` knows the version that runs."""
    folder = lib / f"gatelight-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gatelight\nVersion: {version}\n", encoding="utf-8")


def _pack(tree: Path, archive: Path) -> Path:
    """Entries in the order of their names, of nobody, of no time."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(None, "w", packed, format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in _below(tree):
            entry = tarfile.TarInfo(path.relative_to(tree).as_posix())
            entry.mode = 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644
            if path.is_dir():
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                data = path.read_bytes()
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return archive


def _try(archive: Path, *, release: int, platform: str) -> None:
    """As a device does with it: what none of them would take is not made."""
    with tempfile.TemporaryDirectory(prefix="gatelight-slot-") as folder, archive.open("rb") as file:
        try:
            unpack(file, Path(folder) / "slot", release=release, platform=platform)
        except UpdateError as error:
            archive.unlink()
            raise FirmwareError(f"{archive.name}: {error}") from error


def _below(tree: Path) -> Iterator[Path]:
    """Folders before what is in them.

    Raises:
        FirmwareError: there is something that is neither file nor folder.
    """
    for path in sorted(tree.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise FirmwareError(f"{path.relative_to(tree)} is neither file nor folder")
        yield path
