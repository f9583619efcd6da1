"""Publisher -> mirror: what is taken over, and what never is."""

import fcntl
import hashlib
import os
import shutil
import ssl
import stat
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tuf.ngclient import Updater

from hub.firmware import bundles
from hub.firmware.bundles import MirrorError, bundle_of
from hub.firmware.imports import import_repository
from hub.firmware.mirror import Mirror
from hub.firmware.sources import FOLDER_URL, FolderFetcher

pytestmark = pytest.mark.slow

NOW_MS = 1_790_000_000_000


def take(publisher, mirror, *, root=True, **changes):
    root_bytes = publisher.root_bytes if root is True else root or None
    return import_repository(str(publisher.folder), mirror=mirror, root=root_bytes, now_ms=NOW_MS, **changes)


def served(mirror):
    """Every file that devices can be given."""
    return {
        path.relative_to(mirror.folder): path.read_bytes()
        for folder in (mirror.metadata, mirror.targets)
        if folder.is_dir()
        for path in folder.iterdir()
    }


def refused(publisher, mirror, match, **changes):
    """The import fails, and everything that is served is as it was."""
    before, index = served(mirror), mirror.contents()
    with pytest.raises(MirrorError, match=match):
        take(publisher, mirror, **changes)
    after = served(mirror)
    assert all(after[name] == data for name, data in before.items())
    assert mirror.contents() == index
    return after.keys() - before.keys()


def updater_of(mirror, tmp_path, root):
    """A device, as python-tuf has it, that reads the mirror's two folders alone."""
    for name in ("trusted", "got"):
        (tmp_path / "device" / name).mkdir(parents=True, exist_ok=True)
    return Updater(
        str(tmp_path / "device" / "trusted"),
        f"{FOLDER_URL}metadata/",
        str(tmp_path / "device" / "got"),
        f"{FOLDER_URL}targets/",
        fetcher=FolderFetcher(mirror.folder),
        bootstrap=root,
    )


def test_what_was_published_is_in_the_mirror_and_a_device_believes_it(publisher, mirror, tmp_path):
    data = publisher.add("0.2.0", data=b"new" * 1000)
    publisher.add("0.2.0", "trixie-aarch64")
    publisher.put("README.txt", b"for people")
    done = take(publisher.publish(), mirror)
    assert [(each.version, each.release, each.platform) for each in done.new] == [
        ("0.2.0", 2000, "sandbox"),
        ("0.2.0", 2000, "trixie-aarch64"),
    ]
    assert (done.contents.bundles, done.passed_over) == (done.new, ("README.txt",))
    assert mirror.contents() == done.contents
    assert (done.contents.root_version, done.contents.targets_version, done.contents.timestamp_version) == (1, 1, 1)
    assert done.contents.imported_ms == NOW_MS
    assert done.contents.expires_ms == int(publisher.timestamp.signed.expires.timestamp() * 1000)
    updater = updater_of(mirror, tmp_path, publisher.root_bytes)
    info = updater.get_targetinfo("gatelight-0.2.0-sandbox.tar.gz")
    assert Path(updater.download_target(info)).read_bytes() == data
    assert info.custom["release"] == 2000


def test_a_later_import_brings_only_what_is_new_and_needs_no_root(publisher, mirror):
    publisher.add("0.2.0")
    take(publisher.publish(), mirror)
    publisher.add("0.3.0", data=b"third")
    done = take(publisher.publish(), mirror, root=None)
    assert [each.version for each in done.new] == ["0.3.0"]
    assert [each.version for each in done.contents.bundles] == ["0.3.0", "0.2.0"]
    assert [each.release for each in done.contents.of(3000)] == [3000]
    assert take(publisher, mirror).new == ()


def test_what_the_publisher_has_taken_back_is_no_longer_served(publisher, mirror):
    publisher.add("0.2.0")
    publisher.add("0.3.0", data=b"third")
    take(publisher.publish(), mirror)
    publisher.remove("gatelight-0.2.0-sandbox.tar.gz")
    take(publisher.publish(), mirror)
    assert [path.name.partition(".")[2] for path in mirror.targets.iterdir()] == ["gatelight-0.3.0-sandbox.tar.gz"]


def test_a_device_with_the_first_root_follows_a_new_one(publisher, mirror, tmp_path):
    publisher.add("0.2.0")
    take(publisher.publish(), mirror)
    first = publisher.root_bytes
    publisher.rotate_root()
    assert take(publisher.publish(), mirror).contents.root_version == 2
    updater_of(mirror, tmp_path, first).refresh()
    assert (tmp_path / "device/trusted/root_history/2.root.json").exists()


def test_the_first_import_needs_a_root(publisher, mirror):
    publisher.publish()
    refused(publisher, mirror, "first import needs", root=None)
    assert not mirror.trusted.exists()


def test_a_root_that_led_to_nothing_is_not_in_the_way_of_the_right_one(publisher, mirror, tmp_path):
    stranger = type(publisher)(tmp_path / "stranger")
    publisher.add("0.2.0")
    publisher.publish()
    refused(publisher, mirror, "not believed", root=stranger.root_bytes)
    assert take(publisher, mirror).new


@pytest.mark.parametrize("root", [b"", b"no json", b"{}"])
def test_what_is_no_root_is_refused(publisher, mirror, root):
    publisher.publish()
    with pytest.raises(MirrorError):
        import_repository(str(publisher.folder), mirror=mirror, root=root, now_ms=NOW_MS)
    assert not mirror.trusted.exists()


def test_a_mirror_trusts_the_root_that_it_had_first(publisher, mirror, tmp_path):
    publisher.add("0.2.0")
    take(publisher.publish(), mirror)
    stranger = type(publisher)(tmp_path / "stranger")
    stranger.add("9.0.0")
    stranger.publish()
    refused(stranger, mirror, "trusts another root")
    refused(stranger, mirror, "not believed", root=None)


def test_a_bundle_that_was_tampered_with_is_not_served(publisher, mirror):
    data = publisher.add("0.2.0")
    name = f"{hashlib.sha256(data).hexdigest()}.gatelight-0.2.0-sandbox.tar.gz"
    (publisher.folder / "targets" / name).write_bytes(b"hostil")
    publisher.publish()
    assert refused(publisher, mirror, "not believed") == set()


@pytest.mark.parametrize(("data", "match"), [(b"bundle and more", "exceeding"), (b"bun", "not believed")])
def test_a_bundle_of_another_length_is_not_served(publisher, mirror, data, match):
    name = f"{hashlib.sha256(publisher.add('0.2.0')).hexdigest()}.gatelight-0.2.0-sandbox.tar.gz"
    (publisher.folder / "targets" / name).write_bytes(data)
    publisher.publish()
    assert refused(publisher, mirror, match) == set()


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_metadata_that_were_tampered_with_are_refused(publisher, mirror, name):
    publisher.add("0.2.0")
    take(publisher.publish(), mirror)
    publisher.add("0.3.0", data=b"third")
    publisher.publish()
    path = publisher.folder / "metadata" / name
    honest = path.read_bytes()
    path.write_bytes(honest.replace(b'"expires":"20', b'"expires":"21'))
    assert path.read_bytes() != honest
    assert refused(publisher, mirror, "not believed") == set()


def test_older_metadata_never_come_after_newer(publisher, mirror, tmp_path):
    publisher.add("0.2.0")
    publisher.publish()
    shutil.copytree(publisher.folder, tmp_path / "old")
    publisher.add("0.3.0", data=b"third")
    take(publisher.publish(), mirror)
    shutil.rmtree(publisher.folder)
    shutil.copytree(tmp_path / "old", publisher.folder)
    assert refused(publisher, mirror, "not believed.*version") == set()


def test_parts_of_two_publishings_are_not_mixed(publisher, mirror, tmp_path):
    """An old snapshot under the name of the new one."""
    publisher.add("0.2.0")
    take(publisher.publish(), mirror)
    publisher.add("0.3.0", data=b"third")
    publisher.publish()
    metadata = publisher.folder / "metadata"
    shutil.copy(metadata / "1.snapshot.json", metadata / "2.snapshot.json")
    assert refused(publisher, mirror, "not believed") == set()


def test_metadata_that_have_ended_are_refused(publisher, tmp_path, mirror):
    late = type(publisher)(tmp_path / "late", days=-1)
    late.add("0.2.0")
    refused(late.publish(), mirror, "expired")


def test_metadata_without_end_are_cut_off(publisher, mirror):
    publisher.publish()
    (publisher.folder / "metadata" / "timestamp.json").write_bytes(b" " * 20_000)
    refused(publisher, mirror, "16384")


def test_a_file_that_is_missing_is_said(publisher, mirror):
    publisher.add("0.2.0")
    publisher.publish()
    for path in (publisher.folder / "targets").iterdir():
        path.unlink()
    refused(publisher, mirror, "no such file")


def test_a_pipe_in_the_folder_holds_nobody(publisher, mirror):
    publisher.publish()
    path = publisher.folder / "metadata" / "timestamp.json"
    path.unlink()
    os.mkfifo(path)
    refused(publisher, mirror, "no regular file")


def test_a_folder_without_a_repository_and_a_strange_address_are_said(publisher, mirror, tmp_path):
    for source, match in ((str(tmp_path), "no published repository"), ("http://example.org", "an https address")):
        with pytest.raises(MirrorError, match=match):
            import_repository(source, mirror=mirror, root=publisher.root_bytes, now_ms=NOW_MS)


def test_only_one_import_at_a_time(publisher, mirror):
    publisher.publish()
    mirror.folder.mkdir()
    with (mirror.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(publisher, mirror, "another import")
    take(publisher, mirror)


def test_a_full_disk_leaves_what_there_was(publisher, mirror, monkeypatch):
    publisher.add("0.2.0")
    take(publisher.publish(), mirror)
    publisher.add("0.3.0", data=b"third")
    publisher.publish()

    def full(*_):
        raise OSError(28, "No space left on device", "x")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", full)
        assert refused(publisher, mirror, "No space left") == set()
    assert [each.version for each in take(publisher, mirror).new] == ["0.3.0"]


@pytest.mark.parametrize("number", range(1, 12))
def test_an_import_that_is_killed_leaves_a_state_that_devices_believe(publisher, mirror, tmp_path, monkeypatch, number):
    """The world ends before the nth of the renames that change something; old or new, never neither."""
    publisher.add("0.2.0")
    take(publisher.publish(), mirror)
    publisher.add("0.3.0", data=b"third")
    publisher.remove("gatelight-0.2.0-sandbox.tar.gz")
    publisher.publish()
    left, replace = [number], os.replace

    class EndError(BaseException):
        pass

    def ends(*args, **kwargs):
        left[0] -= 1
        if left[0] <= 0:
            raise EndError
        return replace(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", ends)
        patched.setattr(Path, "replace", ends)
        try:
            take(publisher, mirror)
        except EndError:
            pass
        else:
            assert number > 8, "the test ends the world too late"
    updater = updater_of(mirror, tmp_path, publisher.root_bytes)
    infos = [updater.get_targetinfo(f"gatelight-{version}-sandbox.tar.gz") for version in ("0.2.0", "0.3.0")]
    assert sum(info is not None for info in infos) == 1
    updater.download_target(next(filter(None, infos)))
    assert [each.version for each in take(publisher, mirror).contents.bundles] == ["0.3.0"]


@pytest.mark.sockets
def test_a_repository_is_taken_from_a_server_whose_authority_is_named(publisher, mirror, authority, tmp_path):
    publisher.add("0.2.0", data=b"x" * 600_000)
    publisher.publish()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(publisher.folder))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue("server"))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        url = f"https://127.0.0.1:{server.server_port}"
        with pytest.raises(MirrorError, match="CERTIFICATE_VERIFY_FAILED"):
            import_repository(url, mirror=mirror, root=publisher.root_bytes, now_ms=NOW_MS)
        done = import_repository(url + "/", mirror=mirror, root=publisher.root_bytes, ca=authority.ca, now_ms=NOW_MS)
        assert [each.version for each in done.new] == ["0.2.0"]
        publisher.remove("gatelight-0.2.0-sandbox.tar.gz")
        publisher.add("0.4.0", data=b"never uploaded")
        publisher.publish()
        for path in (publisher.folder / "targets").iterdir():
            path.unlink()
        with pytest.raises(MirrorError, match="404"):
            import_repository(url, mirror=mirror, root=None, ca=authority.ca, now_ms=NOW_MS)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


GOOD = {"release": 2000, "version": "0.2.0", "platform": "sandbox"}
SHA = {"sha256": "0" * 64}


@pytest.mark.parametrize(
    "path",
    [
        "README.txt",
        "gatelight-0.2.0.tar.gz",
        "gatelight-0.2-sandbox.tar.gz",
        "x/gatelight-0.2.0-sandbox.tar.gz",
        "gatelight-0.2.0-sandbox.tar.gz\n",
        "gatelight-0.2.0-../../etc.tar.gz",
        "gatelight-0.2.0-Sandbox.tar.gz",
    ],
)
def test_what_is_not_named_like_a_bundle_is_none(path):
    assert bundle_of(path, length=1, hashes=SHA, said=GOOD) is None


@pytest.mark.parametrize(
    ("path", "changes", "match"),
    [
        ("gatelight-0.2.0-sandbox.tar.gz", {"said": GOOD | {"release": 3000}}, "something else"),
        ("gatelight-0.2.0-sandbox.tar.gz", {"said": GOOD | {"platform": "trixie-aarch64"}}, "something else"),
        ("gatelight-0.2.0-sandbox.tar.gz", {"said": {}}, "something else"),
        ("gatelight-0.2.0-sandbox.tar.gz", {"length": 0}, "bytes"),
        ("gatelight-0.2.0-sandbox.tar.gz", {"length": bundles.BUNDLE_BYTES + 1}, "bytes"),
        ("gatelight-0.2.0-sandbox.tar.gz", {"hashes": {"sha512": "0", "sha256": "0"}}, "sha512"),
        ("gatelight-0.2.0-sandbox.tar.gz", {"hashes": {}}, "none"),
        ("gatelight-00.2.0-sandbox.tar.gz", {}, "version"),
        ("gatelight-0.0.0-sandbox.tar.gz", {}, "version"),
    ],
)
def test_a_bundle_that_contradicts_itself_is_refused(path, changes, match):
    with pytest.raises(MirrorError, match=match):
        bundle_of(path, **{"length": 1, "hashes": SHA, "said": GOOD} | changes)


def test_more_bundles_than_anybody_needs_are_refused(publisher, mirror, monkeypatch):
    monkeypatch.setattr("hub.firmware.imports.BUNDLES_MOST", 1)
    publisher.add("0.2.0")
    publisher.add("0.3.0")
    refused(publisher.publish(), mirror, "at most 1")


def test_an_empty_mirror_has_no_contents_and_a_strange_index_is_said(tmp_path):
    mirror = Mirror(tmp_path)
    assert mirror.contents() is None
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(MirrorError, match=r"index\.json"):
        mirror.contents()


def test_old_targets_and_snapshots_go_and_roots_stay(publisher, mirror):
    take(publisher.publish(), mirror)
    for _ in range(10):
        take(publisher.publish(), mirror)
    names = sorted(path.name for path in mirror.metadata.iterdir())
    assert "1.root.json" in names
    assert len([name for name in names if name.endswith("targets.json")]) == 9
    assert "11.targets.json" in names


def test_everybody_may_read_what_is_served(publisher, mirror):
    publisher.add("0.2.0")
    take(publisher.publish(), mirror)
    for path in [*mirror.metadata.iterdir(), *mirror.targets.iterdir(), mirror.folder / "index.json"]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444, path
