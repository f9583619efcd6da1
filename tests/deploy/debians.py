"""A Debian in a folder, to install something in."""

import os
import shutil
import subprocess
from pathlib import Path


def as_here(root):
    """Names and packages come in there as they do here; `pip` is told by the environment."""
    shutil.copyfile("/etc/resolv.conf", root / "etc" / "resolv.conf")
    shutil.copyfile("/etc/hosts", root / "etc" / "hosts")
    authorities = Path("/etc/ssl/certs/ca-certificates.crt")
    if authorities.exists():
        shutil.copyfile(authorities, root / "etc" / "ssl" / "certs" / "ca-certificates.crt")
    for config in (Path.home() / ".config" / "pip" / "pip.conf", Path("/etc/pip.conf")):
        if config.exists():
            shutil.copyfile(config, root / "etc" / "pip.conf")
            break


def inside(root, *command, ok=True):
    kept = {name: value for name, value in os.environ.items() if name.upper().startswith(("PIP_", "HTTP", "NO_PROXY"))}
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **kept}
    # A namespace of its own for /proc and /dev, which some of its programs want.
    mounts = f"mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{mounts} && exec chroot "$0" "$@"', str(root), *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout + done.stderr
