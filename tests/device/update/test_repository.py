"""What was published, as the hub has it: real signatures, real TLS, and a hub that does what it likes."""

import contextlib
import datetime as dt
import http.server
import json
import ssl
import threading
import time
from functools import partial

import pytest

from deploy.firmware.keys import Keys
from deploy.firmware.repository import Repository as Publisher
from deploy.sandbox.pki import CertificateAuthority
from device.update import repository as module
from device.update.errors import UpdateError
from device.update.repository import Repository
from protocol.health import UpdateFailure
from tests.device.update.conftest import bundle

pytestmark = [pytest.mark.sockets, pytest.mark.slow]

NAME = "gatelight-0.2.0-sandbox.tar.gz"


class Pages(http.server.BaseHTTPRequestHandler):
    """A folder; `server.odd` says what is answered instead, by the end of a path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        odd = next((does for end, does in self.server.odd.items() if self.path.endswith(end)), None)
        with contextlib.suppress(OSError):
            if odd is not None:
                odd(self)
                return
            path = self.server.folder / self.path.removeprefix("/firmware/")
            if not path.is_file():
                self.answer(b"", status=404)
                return
            self.answer(path.read_bytes())

    def answer(self, data, *, status=200, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Hub(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, folder, files):
        super().__init__(("127.0.0.1", 0), Pages)
        self.folder, self.odd, self.asked = folder, {}, []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.cert, files.key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=partial(self.serve_forever, poll_interval=0.02))
        self.thread.start()

    def handle_error(self, *_):
        pass

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


@pytest.fixture
def authority(tmp_path):
    return CertificateAuthority(tmp_path / "pki", name="site", now=dt.datetime.now(dt.UTC))


@pytest.fixture
def publisher(tmp_path):
    publisher = Published(tmp_path)
    publisher.at().begin()
    publisher.add(2000)
    return publisher


class Published:
    def __init__(self, folder):
        self.folder = folder / "published"
        self._keys, self._made = Keys(folder / "keys"), folder

    def at(self, *, days_ago=0):
        now = dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)
        return Publisher(self.folder, keys=self._keys, now=now)

    def add(self, release, data=None):
        path = self._made / f"gatelight-0.{release // 1000}.0-sandbox.tar.gz"
        path.write_bytes(bundle(release).getvalue() if data is None else data)
        self.at().add([path])

    @property
    def metadata(self):
        return self.folder / "metadata"

    @property
    def target(self):
        (path,) = (self.folder / "targets").glob(f"*.{NAME}")
        return path


@pytest.fixture
def hub(authority, publisher):
    hub = Hub(publisher.folder, authority.server("hub"))
    yield hub
    hub.close()


@pytest.fixture
def device(tmp_path, hub, authority, publisher):
    return partial(
        Repository,
        hub=f"https://127.0.0.1:{hub.server_port}",
        ca=authority.certificate_file,
        root=publisher.metadata / "1.root.json",
        folder=tmp_path / "firmware",
        platform="sandbox",
        get_s=20,
    )


def got(repository, release=2000, **given):
    with repository.bundle(release, **given) as file:
        return file.read()


def refusal(repository, release=2000, **given):
    with pytest.raises(UpdateError) as caught:
        got(repository, release, **given)
    return caught.value.failure, str(caught.value)


def nothing_left(tmp_path):
    return not (tmp_path / "firmware" / "download").exists()


def test_what_was_published_arrives_and_goes(tmp_path, device):
    assert got(device()) == bundle(2000).getvalue()
    assert nothing_left(tmp_path)
    # The second time the root is the one that is kept.
    assert got(device()) == bundle(2000).getvalue()


def test_a_bundle_that_was_changed_is_not_trusted(device, publisher, tmp_path):
    data = bytearray(publisher.target.read_bytes())
    data[len(data) // 2] ^= 1
    publisher.target.write_bytes(data)
    assert refusal(device())[0] is UpdateFailure.UNTRUSTED
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("role", ["timestamp.json", "snapshot.json", "targets.json"])
def test_metadata_that_were_changed_are_not_trusted(device, publisher, role):
    for path in publisher.metadata.glob(f"*{role}"):
        signed = json.loads(path.read_bytes())
        signed["signed"]["version"] += 1
        path.write_bytes(json.dumps(signed).encode())
    failure, said = refusal(device())
    # One of a version that was not asked for is not there at all.
    assert failure in {UpdateFailure.UNTRUSTED, UpdateFailure.UNREACHABLE}, said
    assert (role == "timestamp.json") <= (failure is UpdateFailure.UNTRUSTED)


def test_another_publisher_is_not_trusted(device, tmp_path):
    (tmp_path / "other").mkdir()
    other = Published(tmp_path / "other")
    other.at().begin()
    assert refusal(device(root=other.metadata / "1.root.json"))[0] is UpdateFailure.UNTRUSTED


@pytest.mark.parametrize("data", [None, b"", b"{}", b"\xff", b"[" * 10_000])
def test_a_root_that_is_none_is_told(device, tmp_path, data):
    path = tmp_path / "odd.json"
    if data is not None:
        path.write_bytes(data)
    assert refusal(device(root=path))[0] is UpdateFailure.UNTRUSTED


def test_what_was_newer_once_is_not_older_again(device, publisher):
    before = {path.name: path.read_bytes() for path in publisher.metadata.iterdir()}
    publisher.add(3000)
    got(device(), 3000)
    for path in publisher.metadata.iterdir():
        path.unlink()
    for name, data in before.items():
        (publisher.metadata / name).write_bytes(data)
    assert refusal(device())[0] is UpdateFailure.UNTRUSTED


def test_what_has_ended_is_not_trusted(device, publisher):
    # A hub that keeps the newest from its gates has nothing else to show after a month.
    publisher.at(days_ago=31).renew()
    failure, said = refusal(device())
    assert failure is UpdateFailure.UNTRUSTED
    assert "expired" in said


def test_pieces_of_two_moments_do_not_go_together(device, publisher):
    old = publisher.metadata / "2.targets.json"
    data = old.read_bytes()
    publisher.add(3000)
    (publisher.metadata / "3.targets.json").write_bytes(data)
    assert refusal(device())[0] is UpdateFailure.UNTRUSTED


def test_a_root_that_the_old_one_vouches_for_is_followed(device, publisher):
    got(device())
    for role in ("root", "targets", "timestamp", "snapshot", "root"):
        publisher.at().rotate(role)
    publisher.add(3000)
    assert got(device(), 3000) == bundle(3000).getvalue()


def test_a_root_that_only_itself_vouches_for_is_not(device, publisher, tmp_path):
    (tmp_path / "thief").mkdir()
    thief = Published(tmp_path / "thief")
    thief.at().begin()
    thief.at().rotate("root")
    (publisher.metadata / "2.root.json").write_bytes((thief.metadata / "2.root.json").read_bytes())
    assert refusal(device())[0] is UpdateFailure.UNTRUSTED


@pytest.mark.parametrize(
    ("release", "platform"), [(3000, "sandbox"), (2000, "trixie-aarch64"), (2000, "bookworm-aarch64")]
)
def test_what_was_not_published_is_unfit(device, release, platform):
    assert refusal(device(platform=platform), release)[0] is UpdateFailure.UNFIT


def test_a_name_that_says_something_else_is_unfit(device, publisher, monkeypatch):
    monkeypatch.setattr("deploy.firmware.repository.release_of", lambda _: 9000)
    publisher.add(3000)
    failure, said = refusal(device(), 3000)
    assert (failure, "something else" in said) == (UpdateFailure.UNFIT, True)


def test_one_that_is_too_long_is_not_fetched(device, hub, monkeypatch):
    monkeypatch.setattr(module, "BUNDLE_BYTES", 10)
    assert refusal(device())[0] is UpdateFailure.UNFIT
    assert not any("/targets/" in path for path in hub.asked)


def test_one_for_which_there_is_no_room_is_not_fetched(device, hub):
    assert refusal(device(), free=lambda _: 1000)[0] is UpdateFailure.UNFIT
    assert not any("/targets/" in path for path in hub.asked)


def test_a_hub_that_is_away_is_unreachable(device, hub):
    assert refusal(device(hub="https://127.0.0.1:9"))[0] is UpdateFailure.UNREACHABLE
    hub.odd["timestamp.json"] = lambda page: page.answer(b"busy", status=503)
    assert refusal(device())[0] is UpdateFailure.UNREACHABLE


def test_another_authority_is_not_believed(device, hub, tmp_path):
    other = CertificateAuthority(tmp_path / "other", name="other", now=dt.datetime.now(dt.UTC))
    failure, said = refusal(device(ca=other.certificate_file))
    assert (failure, "CERTIFICATE_VERIFY_FAILED" in said) == (UpdateFailure.UNREACHABLE, True)
    assert hub.asked == []


def test_an_authority_that_cannot_be_read_is_told(device, tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"rubbish")
    assert refusal(device(ca=tmp_path / "ca.pem"))[0] is UpdateFailure.UNREACHABLE


def test_an_answer_that_is_cut_short_is_no_bundle(device, hub, tmp_path):
    hub.odd[NAME] = lambda page: (page.answer(b"x" * 10, length=500), page.wfile.flush(), page.connection.close())
    assert refusal(device())[0] is UpdateFailure.UNREACHABLE
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("end", ["timestamp.json", "snapshot.json", "targets.json", NAME])
def test_an_answer_without_end_is_ended(device, hub, tmp_path, end):
    def pour(page):
        page.send_response(200)
        page.send_header("Content-Length", str(1 << 40))
        page.end_headers()
        while True:
            page.wfile.write(bytes(65536))

    hub.odd[end] = pour
    failure, said = refusal(device())
    assert failure in {UpdateFailure.UNTRUSTED, UpdateFailure.UNREACHABLE}, said
    assert nothing_left(tmp_path)


def test_a_hub_that_drips_is_given_up(device, hub):
    def drip(page):
        page.send_response(200)
        page.send_header("Content-Length", "1000")
        page.end_headers()
        while True:
            page.wfile.write(b" ")
            time.sleep(0.05)

    hub.odd["timestamp.json"] = drip
    failure, said = refusal(device(get_s=1))
    assert (failure, "took too long" in said) == (UpdateFailure.UNREACHABLE, True)


def test_a_hub_that_leads_elsewhere_is_not_followed(device, hub):
    def lead(page):
        page.send_response(302)
        page.send_header("Location", "https://127.0.0.1:9/")
        page.send_header("Content-Length", "0")
        page.end_headers()

    hub.odd["timestamp.json"] = lead
    assert refusal(device())[0] is UpdateFailure.UNREACHABLE


def test_what_a_power_cut_left_is_removed(device, tmp_path):
    left = tmp_path / "firmware" / "tuf" / "tmpleft"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    (tmp_path / "firmware" / "download").write_bytes(b"half")
    got(device())
    assert not left.exists()
    assert nothing_left(tmp_path)
