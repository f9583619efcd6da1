"""What is published can be fetched by python-tuf's own client, and by nobody's mistake is it anything else."""

import datetime as dt
import json
import stat
from pathlib import Path

import pytest
from tuf.api.exceptions import UnsignedMetadataError
from tuf.ngclient import Updater

from deploy.firmware.cli import main
from deploy.firmware.errors import FirmwareError
from deploy.firmware.keys import ROLES, Keys
from deploy.firmware.repository import LIFE_DAYS, Repository
from hub.firmware.imports import import_repository
from hub.firmware.mirror import Mirror
from hub.firmware.sources import FOLDER_URL, FolderFetcher

NOW = dt.datetime.now(dt.UTC)
NAME = "gatelight-0.2.0-sandbox.tar.gz"


@pytest.fixture
def place(tmp_path):
    def at(days=0, passphrase=None):
        keys = Keys(tmp_path / "keys", passphrase=passphrase)
        return Repository(tmp_path / "published", keys=keys, now=NOW + dt.timedelta(days=days))

    return at


@pytest.fixture
def made(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(b"a bundle")
    return path


def fetched(tmp_path, name=NAME):
    """What a client that was given the first root gets now."""
    client = tmp_path / "client"
    client.mkdir(exist_ok=True)
    updater = Updater(
        metadata_dir=str(client),
        metadata_base_url=f"{FOLDER_URL}metadata/",
        target_base_url=f"{FOLDER_URL}targets/",
        target_dir=str(client),
        fetcher=FolderFetcher(tmp_path / "published"),
        bootstrap=(tmp_path / "published" / "metadata" / "1.root.json").read_bytes(),
    )
    updater.refresh()
    info = updater.get_targetinfo(name)
    if info is None:
        return None
    return Path(updater.download_target(info)).read_bytes()


def versions(tmp_path):
    """role -> the newest version."""
    found = {}
    for path in (tmp_path / "published" / "metadata").iterdir():
        signed = json.loads(path.read_bytes())["signed"]
        found[signed["_type"]] = max(found.get(signed["_type"], 0), signed["version"])
    return found


def test_what_was_added_can_be_fetched(place, made, tmp_path):
    place().begin()
    assert fetched(tmp_path) is None
    place().add([made])
    assert fetched(tmp_path) == b"a bundle"


def test_hubs_take_it_over(place, made, tmp_path):
    root = place().begin()
    place().add([made])
    done = import_repository(
        str(tmp_path / "published"), mirror=Mirror(tmp_path / "mirror"), root=root.read_bytes(), now_ms=1
    )
    assert [bundle.path for bundle in done.new] == [NAME]


def test_keys_are_for_their_owner_only(place, tmp_path):
    place().begin()
    for role in ROLES:
        assert stat.S_IMODE((tmp_path / "keys" / f"{role}.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_the_roots_key_may_be_under_a_passphrase(place, tmp_path):
    place(passphrase=b"a long sentence").begin()
    assert b"ENCRYPTED" in (tmp_path / "keys" / "root.pem").read_bytes()
    place().renew()
    for wrong in (None, b"another"):
        with pytest.raises(FirmwareError, match=r"root\.pem"):
            place(passphrase=wrong).rotate("targets")
    place(passphrase=b"a long sentence").rotate("targets")
    assert fetched(tmp_path) is None


def test_releases_are_made_without_the_roots_key(place, made, tmp_path):
    place().begin()
    (tmp_path / "keys" / "root.pem").rename(tmp_path / "in the safe")
    place().add([made])
    place().renew()
    assert fetched(tmp_path) == b"a bundle"


def test_nothing_is_begun_twice(place, tmp_path):
    place().begin()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FirmwareError, match="already"):
        place().begin()
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_what_was_published_under_a_name_stays(place, made, tmp_path):
    place().begin()
    place().add([made])
    place().add([made])
    made.write_bytes(b"another bundle")
    with pytest.raises(FirmwareError, match="newer release"):
        place().add([made])
    assert fetched(tmp_path) == b"a bundle"


@pytest.mark.parametrize(
    "name",
    ["firmware.tar.gz", "gatelight-0.2-sandbox.tar.gz", "gatelight-0.2.0-windows.tar.gz", "gatelight-0.0.0-sandbox.tar.gz"],
)  # fmt: skip
def test_what_is_no_bundle_is_not_published(place, tmp_path, name):
    place().begin()
    (tmp_path / name).write_bytes(b"x")
    before = versions(tmp_path)
    with pytest.raises(FirmwareError, match=name):
        place().add([tmp_path / name])
    assert versions(tmp_path) == before


def test_a_bundle_can_be_taken_back(place, made, tmp_path):
    place().begin()
    place().add([made])
    place().remove([NAME])
    assert fetched(tmp_path) is None
    with pytest.raises(FirmwareError, match="not published"):
        place().remove([NAME])


def test_a_weekly_renewal_signs_the_timestamp_alone(place, made, tmp_path):
    place().begin()
    place().add([made])
    before = versions(tmp_path)
    place(7).renew()
    assert versions(tmp_path) == before | {"timestamp": before["timestamp"] + 1}


@pytest.mark.parametrize("days", range(0, 4 * LIFE_DAYS["timestamp"], 7))
def test_with_weekly_renewals_nothing_ends(place, tmp_path, days):
    place().begin()
    for day in range(7, days + 1, 7):
        place(day).renew()
    for role in ("targets", "snapshot", "timestamp"):
        newest = [
            signed
            for path in (tmp_path / "published" / "metadata").iterdir()
            if (signed := json.loads(path.read_bytes())["signed"])["_type"] == role
        ]
        last = max(newest, key=lambda signed: signed["version"])
        assert dt.datetime.fromisoformat(last["expires"]) > NOW + dt.timedelta(days=days + 14)


@pytest.mark.parametrize("role", ROLES)
def test_a_lost_key_is_replaced_and_who_had_the_first_root_follows(place, made, tmp_path, role):
    place().begin()
    place().add([made])
    old = (tmp_path / "keys" / f"{role}.pem").read_bytes()
    place().rotate(role)
    assert (tmp_path / "keys" / f"{role}.pem").read_bytes() != old
    assert fetched(tmp_path) == b"a bundle"
    # What the old key signs counts no more.
    (tmp_path / "keys" / f"{role}.pem").write_bytes(old)
    other = made.with_name("gatelight-0.3.0-sandbox.tar.gz")
    other.write_bytes(b"of a thief")
    if role == "root":
        place().rotate("targets")
        with pytest.raises(UnsignedMetadataError):
            fetched(tmp_path)
    else:
        place().add([other])
        with pytest.raises(UnsignedMetadataError):
            fetched(tmp_path)


@pytest.mark.parametrize("data", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_told(place, made, tmp_path, data):
    place().begin()
    (tmp_path / "keys" / "timestamp.pem").write_bytes(data)
    with pytest.raises(FirmwareError, match=r"timestamp\.pem"):
        place().renew()


def test_the_command_does_all_of_it(tmp_path, made, capsys):
    where = ["--repository", str(tmp_path / "published"), "--keys", str(tmp_path / "keys")]
    assert main(["init", *where]) == 0
    assert "1.root.json" in capsys.readouterr().out
    assert main(["add", *where, str(made)]) == 0
    assert main(["renew", *where]) == 0
    assert main(["rotate", *where, "timestamp"]) == 0
    assert fetched(tmp_path) == b"a bundle"
    assert main(["remove", *where, NAME]) == 0
    assert main(["remove", *where, NAME]) == 1
    assert "not published" in capsys.readouterr().err
    assert main(["add", *where, str(tmp_path / "none.tar.gz")]) == 1
