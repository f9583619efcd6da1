"""Debian's packages and PyPI's wheels for arm64 -> what the emulated Pi boots. Fetched once, and kept in `.hil/pi`."""

import compileall
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

from deploy.hil.mirror import ROOT, WORK, Apt, claimed, run

_PACKAGES: Final = (
    *("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8", "libuuid1", "libbz2-1.0"),
    *("liblzma5", "libsqlite3-0", "libcrypt1", "busybox-static"),
    *("libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal"),
)
_WHEELS: Final = ("gpiozero", "lgpio", "colorzero", "numpy", "msgspec", "cbor2", "cryptography", "pynacl", "cffi")
"""What the parts and the stage that drives them import."""

_PLATFORM: Final = ("--python-platform", "aarch64-manylinux_2_36", "--python-version", "3.11", "--only-binary", ":all:")
_LOCK: Final = ROOT / "requirements.lock"
_REVISION: Final = "a02082"
"""A Pi 3B's: the real one's firmware writes it into the device tree, and gpiozero tells the board by it."""

_GUEST: Final = Path(__file__).with_name("guest")
_CODE: Final = "opt/gatelight"
"""Where the product's code lies in the guest."""

_ENTRY: Final = """#!/usr/bin/python3.11
import sys
from device.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""
"""As installers of packages write it for `gatelight-device`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What QEMU is given."""

    kernel: Path
    device_tree: Path
    initrd: Path


def build(work: Path = WORK / "pi") -> Image:
    """The image with this checkout's code in it. What was fetched before is used again.

    Raises:
        MirrorError: a package or wheel cannot be had, or a tool is missing.
    """
    with claimed(work):
        kernel, tree = _kernel(work)
        base, made = work / "base", work / "base.made"
        wanted = hashlib.sha256(repr((_PACKAGES, _WHEELS)).encode() + _LOCK.read_bytes()).hexdigest()
        if not made.exists() or made.read_text(encoding="ascii") != wanted:
            made.unlink(missing_ok=True)
            shutil.rmtree(base, ignore_errors=True)
            _fill(base, work)
            made.write_text(wanted, encoding="ascii")
        return Image(kernel=kernel, device_tree=tree, initrd=_pack(base, work))


def _kernel(work: Path) -> tuple[Path, Path]:
    """Debian 13's kernel and its device tree, with a board revision and, as a Pi's firmware does, with entropy."""
    image, tree = work / "Image", work / "pi3.dtb"
    if not image.exists():
        shutil.rmtree(work / "kernel", ignore_errors=True)
        apt = Apt(work / "trixie", suite="trixie", arch="arm64")
        apt.update()
        [package] = apt.download([apt.newest("linux-image-arm64")], into=work / "kernel")
        unpacked = work / "unpacked"
        run(["dpkg-deb", "-x", str(package), str(unpacked)])
        [blob] = unpacked.glob("usr/lib/linux-image-*/broadcom/bcm2837-rpi-3-b.dtb")
        shutil.copy(blob, tree)
        run(["fdtput", "-c", str(tree), "/system"])
        run(["fdtput", "-t", "x", str(tree), "/system", "linux,revision", _REVISION])
        # On a Pi 3 this serial line belongs to Bluetooth, and the kernel lets nobody read from it.
        run(["fdtput", "-r", str(tree), "/soc/serial@7e201000/bluetooth"])
        # Last, because its being there says that all is.
        [vmlinuz] = unpacked.glob("boot/vmlinuz-*")
        vmlinuz.rename(image)
        shutil.rmtree(unpacked)
    # Without it Python's start waits until the kernel has gathered some.
    seed = [os.urandom(4).hex() for _ in range(16)]
    run(["fdtput", "-t", "x", str(tree), "/chosen", "rng-seed", *seed])
    return image, tree


def _fill(root: Path, work: Path) -> None:
    """Python and what the product's code imports."""
    apt = Apt(work / "bookworm", suite="bookworm", arch="arm64")
    apt.update()
    debs = work / "debs"
    shutil.rmtree(debs, ignore_errors=True)
    for package in apt.download(_PACKAGES, into=debs):
        run(["dpkg-deb", "-x", str(package), str(root)])
    for name in ("usr/share/doc", "usr/share/man", "usr/lib/python3.11/test", "usr/lib/python3.11/idlelib"):
        shutil.rmtree(root / name, ignore_errors=True)
    wheels = root / "opt/py"
    uv = Path(sys.executable).with_name("uv")
    run([str(uv), "pip", "install", "--target", str(wheels), *_PLATFORM, "--no-deps", "-c", str(_LOCK), *_WHEELS])
    for tests in wheels.glob("numpy/**/tests"):
        shutil.rmtree(tests)
    for folder in (root / "usr/lib/python3.11", wheels):
        _compile(folder, inside=Path("/") / folder.relative_to(root))
    for name in ("proc", "sys", "dev", "tmp", "root", "etc/gatelight"):
        (root / name).mkdir(parents=True, exist_ok=True)


def _pack(base: Path, work: Path) -> Path:
    """`base` with this checkout's code, as the archive that the kernel unpacks into its memory."""
    code = base / _CODE
    shutil.rmtree(code, ignore_errors=True)
    for package in ("device", "protocol"):
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__", "vectors", "*.md"))
    shutil.copy(_GUEST / "stage.py", code)
    _compile(code, inside=Path("/") / _CODE)
    (code / "bin").mkdir()
    (code / "bin/gatelight-device").write_text(_ENTRY, encoding="utf-8")
    shutil.copy(_GUEST / "init", base / "init")
    for program in (base / "init", code / "bin/gatelight-device"):
        program.chmod(0o755)
    archive = work / "root.cpio"
    with archive.open("wb") as out:
        names = "".join(f"{path.relative_to(base)}\0" for path in sorted(base.rglob("*"))).encode()
        command = ["cpio", "-o", "-0", "-H", "newc", "--quiet"]
        subprocess.run(command, cwd=base, input=names, stdout=out, check=True)
    return archive


def _compile(folder: Path, *, inside: Path) -> None:
    """Python's own form of the sources: reading these takes the emulated processor ten times as long as this one.

    It fits if this machine's Python is 3.11 as the guest's is. Others leave it to the guest, which is slow then.
    """
    if sys.version_info[:2] == (3, 11):
        # The files' times in the archive are not those that a form which is checked by time would tell.
        unchecked = PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(folder, quiet=2, workers=2, ddir=str(inside), invalidation_mode=unchecked)
