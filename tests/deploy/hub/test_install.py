"""install.sh in a real Debian, twice: the second run changes nothing, and the program that it installed answers."""

import os
import shutil
import subprocess

import pytest

from deploy.hil.mirror import ROOT, WORK, bootstrap, claimed, unreachable
from tests.deploy.debians import as_here, inside

pytestmark = [
    pytest.mark.hil,
    pytest.mark.install,
    pytest.mark.slow,
    pytest.mark.sockets,
    pytest.mark.xdist_group("hil-install-hub"),
]

SUITE = "bookworm"
PACKAGES = ("python3-venv", "mosquitto", "ca-certificates", "tzdata")
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "protocol", "device", "hub", "deploy")


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """A root with the checkout in it; made once, copied for each run."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a Debian")
    if (why := unreachable()) is not None:
        pytest.skip(why)
    with claimed(WORK / "install-hub") as folder:
        made = folder / "root"
        if not (made / "etc" / "os-release").exists():
            shutil.rmtree(made, ignore_errors=True)
            bootstrap(made, suite=SUITE, include=PACKAGES)
    root = tmp_path_factory.mktemp("hub") / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", str(made), str(root)], check=True)
    source = root / "usr" / "src" / "gatelight"
    source.mkdir(parents=True)
    for name in SOURCES:
        subprocess.run(["cp", "-a", str(ROOT / name), str(source / name)], check=True)
    as_here(root)
    yield root
    shutil.rmtree(root)


def test_a_hub_is_installed_once_and_answers(debian):
    install = ("bash", "/usr/src/gatelight/deploy/hub/install.sh", "--no-fonts", "--listen", "10.20.0.5")
    first = inside(debian, *install)
    assert "changed  program 0.1.0" in first
    assert "changed  user gatelight-hub" in first
    second = inside(debian, *install)
    assert "changed " not in second, second
    live = debian / "opt" / "gatelight-hub"
    assert str(live.readlink()).startswith("/opt/gatelight-hub-0.1.0-")

    # The wrapper, as the hub's own user: what it makes belongs to him.
    inside(debian, "gatelight-hub", "init")
    inside(debian, "gatelight-hub", "ca", "init")
    owner = inside(debian, "stat", "-c", "%U %a", "/var/lib/gatelight-hub/hub.sqlite", "/etc/gatelight-hub/pki/hub.key")
    assert owner.split() == ["gatelight-hub", "600"] * 2
    said = inside(debian, "gatelight-hub", "check-config", ok=False)
    assert "platform-root.pub: no such file" in said
    assert "hub.sqlite: no such file" not in said
    inside(debian, "gatelight-hub", "backup", "--to", "/var/backups/gatelight-hub")
    assert inside(debian, "stat", "-c", "%U %a", "/var/backups/gatelight-hub").split() == ["gatelight-hub", "700"]
    # The broker understands its file and finds its plugin; what it lacks is what the plugin reads.
    said = inside(debian, "mosquitto", "-c", "/etc/mosquitto/gatelight.conf", ok=False)
    assert "Unknown configuration variable" not in said
    assert "Dynamic security plugin config" in said

    # A change of the program is installed beside it; the way back is a link.
    before = live.readlink()
    with (debian / "usr/src/gatelight/hub/__init__.py").open("a") as file:
        file.write("# changed\n")
    third = inside(debian, *install)
    assert third.count("changed ") == 1
    assert live.readlink() != before
    assert (debian / "opt" / "gatelight-hub.previous").readlink() == before
    inside(debian, "bash", "/usr/src/gatelight/deploy/hub/install.sh", "--back")
    assert live.readlink() == before
    inside(debian, "gatelight-hub", "status")
