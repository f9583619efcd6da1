"""The un-enrolled device, from the code before its camera to the site in force."""

import json
import secrets
import threading
from dataclasses import replace

import pytest

from device import sitefile
from device.enrol import pace, pending, site
from device.enrol.attempt import Attempt
from device.enrol.errors import CodeError, EnrolmentError, JoinError, RefusedError, UnreachableError
from device.enrol.mode import AGAIN_S, Mode
from device.enrol.pending import Enrolling
from protocol.enrolment import EnrolmentState, fingerprint_characters, fingerprint_words

STRANGERS = ("GL1:ABC", "HTTPS://EXAMPLE.COM", "", "GLE", "gle1:x", "x" * 5000)


class EndedError(Exception):
    """The test has waited for longer than anybody would."""


class Life:
    """A device's hours in no time: what is in front of the camera, and what happens at which second."""

    def __init__(self, around, told, *, boot_file=None, bound_s=3600.0):
        self.now = 0.0
        self.texts = ()
        self.at = []  # (second, action)
        self.bound_s = bound_s
        self.mode = Mode(
            around,
            signals=told.signals(),
            wait=self.wait,
            random=lambda: 0.5,
            boot_file=boot_file,
            mono_s=lambda: self.now,
        )

    def wait(self, pause_s):
        self.now += pause_s
        while self.at and self.at[0][0] <= self.now:
            if self.at.pop(0)[1]() == "stop":
                return True
        if self.now > self.bound_s:
            raise EndedError
        return False

    def run(self):
        return self.mode.run(lambda: self.texts)

    def show(self, *texts):
        self.texts = texts


@pytest.fixture
def offline(around, book, direct, with_changes):
    """Surroundings whose hub is reached without a network between."""
    return with_changes(around, open_hub=lambda code, now_s: direct(book))


def approve(book):
    book.state = EnrolmentState.APPROVED


@pytest.mark.sockets
def test_the_whole_way_over_the_real_network(around, told, book, serving):
    """Shown, asked, approved, in force; token and password stand in no event."""
    serving(book)
    life = Life(around, told)
    life.show(*STRANGERS, book.text(wifi=("guests", "a long password")))
    life.at = [(10, lambda: approve(book))]
    assert life.run()
    assert life.now < 60
    found = sitefile.load_current(around.state_dir)
    assert (found.device, found.place) == (book.device, "mall-1")
    site.check(site.current(around.state_dir), keys=around.keys)
    assert not (around.state_dir / "enrolling").exists()
    (request,) = book.requests.values()
    assert (request.serial, request.model) == ("serial-1", "Test Pi")
    assert told.shown[0] == "waiting"
    assert told.shown[-1] == "done"
    assert ("fingerprint", fingerprint_words(request.key), fingerprint_characters(request.key)) in told.shown
    assert told.of("fingerprint")[0]["words"] == " ".join(fingerprint_words(request.key))
    said = json.dumps(told.events)
    assert book.token.hex() not in said
    assert "a long password" not in said
    assert "GLE1" not in said


@pytest.mark.sockets
def test_a_hub_that_comes_later_is_found(around, told, book, serving):
    """The first tries find nobody; they are spread, and slower and slower."""
    life = Life(around, told)
    life.show(book.text(url="https://127.0.0.1:1"))
    pauses = []

    def count():
        pauses.extend(fields["pause_s"] for fields in told.of("enrolment_retry"))
        return "stop"

    life.at = [(90, count)]
    assert not life.run()
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(pauses) == 20.0
    assert "failed" not in told.shown, "trying is no failure"


def test_strangers_codes_are_no_matter(offline, told):
    life = Life(offline, told)
    life.show(*STRANGERS)
    life.at = [(5, lambda: "stop")]
    assert not life.run()
    assert told.events == []
    assert told.shown == ["waiting"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"expires_s": 1_700_000_000}, "code_expired"),
        ({"token": bytes(16)}, "token_unknown"),
    ],
)
def test_a_bad_code_is_told_once_while_it_stays_and_the_device_is_back_to_waiting(offline, told, book, change, reason):
    life = Life(offline, told)
    life.show(book.text(**change))
    life.at = [(20, life.show), (50, lambda: "stop")]
    assert not life.run()
    assert [fields["reason"] for fields in told.of("enrolment_failed")] == [reason]
    assert told.shown.count("failed") == 1
    assert told.shown[-1] == "waiting"
    assert not (offline.state_dir / "enrolling").exists()
    assert list((offline.state_dir / "keys").glob("*")) == []


def test_a_broken_code_is_told(offline, told):
    life = Life(offline, told)
    life.show("GLE1:HELLO")
    life.at = [(2, lambda: life.show("GLE2:HELLO")), (10, lambda: life.show("GLE2:HELLO")), (20, lambda: "stop")]
    assert not life.run()
    assert {fields["reason"] for fields in told.of("enrolment_failed")} <= {"malformed", "unsupported"}
    assert len(told.of("enrolment_failed")) == 2


def test_codes_that_take_turns_do_not_fill_the_log(offline, told):
    life = Life(offline, told)
    life.show("GLE1:A", "GLE1:B", "GLE1:C")
    life.at = [(60, lambda: "stop")]
    life.run()
    assert len(told.of("enrolment_failed")) <= 21


def test_a_refused_device_waits_for_the_next_code(offline, told, book):
    life = Life(offline, told)
    life.show(book.text())

    def refuse():
        book.state = EnrolmentState.REFUSED
        life.show()

    def again():
        book.token, book.state = secrets.token_bytes(16), EnrolmentState.APPROVED
        life.show(book.text())

    life.at = [(5, refuse), (30, again)]
    assert life.run()
    assert [fields["reason"] for fields in told.of("enrolment_failed")] == ["not_approved"]
    first, second = book.requests.values()
    assert first.key != second.key, "a refused key is not used again"


def test_nobody_approves_for_a_day(offline, told, book):
    life = Life(offline, told, bound_s=90_000.0)
    life.mode._around.log.event = lambda *_, **__: None
    book.look = lambda path: looked.append(life.now) or (200, book.answer(bytes.fromhex(path[1:])))
    looked = []
    life.show(book.text())
    life.at = [(60, life.show), (pace.APPROVAL_S + 60, lambda: "stop")]
    # Frames of 20 a second for a day are too many for a test: look at the camera more rarely.
    frames = life.wait
    life.mode._wait = lambda pause_s: frames(5.0)
    assert not life.run()
    assert told.shown[-1] == "waiting"
    assert "failed" in told.shown
    assert 4000 < len(looked) < 9000, "soon at first, then every 15 s"


def test_a_lasting_signal_is_shown_again(offline, told, book):
    life = Life(offline, told)
    life.at = [(3.5 * AGAIN_S, lambda: "stop")]
    life.run()
    assert told.shown == ["waiting"] * 4


def test_another_code_takes_the_place_of_the_one_at_work(offline, told, book):
    life = Life(offline, told)
    first = book.text()
    life.show(first)

    def start_anew():
        book.token = secrets.token_bytes(16)
        life.show(first, book.text(), first)
        book.state = EnrolmentState.APPROVED

    life.at = [(5, start_anew)]
    assert life.run()
    assert len(book.requests) == 2
    assert len(list((offline.state_dir / "keys").glob("*"))) == 1


def test_a_bad_code_does_not_end_the_good_one(offline, told, book):
    life = Life(offline, told)
    life.show(book.text())
    life.at = [
        (5, lambda: life.show(book.text(token=bytes(16), expires_s=1))),
        (10, lambda: approve(book)),
    ]
    assert life.run()
    assert len(book.requests) == 1


def test_check_ins_without_receipt_keep_the_device_where_it_is(offline, told, book, with_changes):
    life = Life(with_changes(offline, unsent=lambda: 3), told)
    life.show(book.text())
    life.at = [(1, lambda: "stop")]
    assert not life.run()
    (failed,) = told.of("enrolment_failed")
    assert failed["reason"] == "unsent"
    assert book.requests == {}


class Joins:
    """A FAKE network that fails as often as it is told."""

    def __init__(self, fails=0):
        self.fails = fails
        self.joined = []

    def join(self, ssid, psk):
        if self.fails:
            self.fails -= 1
            raise JoinError("not there")
        self.joined.append((ssid, psk))

    def leave(self):
        self.joined.clear()


def test_the_network_of_the_code_is_joined_first_and_once(offline, told, book, with_changes):
    network = Joins(fails=2)
    life = Life(with_changes(offline, network=network), told)
    life.show(book.text(wifi=("商场", "password-1")))
    approve(book)
    assert life.run()
    assert network.joined == [("商场", "password-1")]
    assert [fields["reason"] for fields in told.of("enrolment_retry")] == ["network", "network"]


def test_a_clock_that_is_not_to_be_believed_judges_no_code(offline, told, book, with_changes):
    life = Life(with_changes(offline, now_s=lambda: None), told)
    life.show(book.text(expires_s=1))
    approve(book)
    assert life.run()


def test_without_a_clock_a_hub_is_not_sought_for_ever(around, told, book, with_changes):
    def nobody(code, now_s):
        raise UnreachableError("nobody there")

    life = Life(with_changes(around, now_s=lambda: None, open_hub=nobody), told)
    life.show(book.text())
    life.at = [(10, life.show), (1000, lambda: "stop")]
    assert not life.run()
    assert [fields["reason"] for fields in told.of("enrolment_failed")] == ["code_expired"]


def test_a_code_that_ends_while_the_hub_is_away_is_given_up(around, told, book, with_changes):
    def nobody(code, now_s):
        raise UnreachableError("nobody there")

    life = Life(with_changes(around, open_hub=nobody), told)
    life.mode._around = with_changes(life.mode._around, now_s=lambda: book.world.now_s + int(life.now))
    life.show(book.text())
    life.at = [(10, life.show), (800, lambda: "stop")]
    assert not life.run()
    assert [fields["reason"] for fields in told.of("enrolment_failed")] == ["code_expired"]
    assert not (around.state_dir / "enrolling").exists()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c, other, changed: changed(c, ca=other.der), "another certificate authority"),
        (lambda c, other, changed: changed(c, chain=(other.der,)), "another key"),
        (lambda c, other, changed: changed(c, chain=(c.chain[0], other.der)), "not signed by the next"),
        (lambda c, other, changed: changed(c, device=bytes(8)), "another device"),
        (lambda c, other, changed: changed(c, chain=(b"\x30\x03abc",)), "not a chain"),
        (lambda c, other, changed: changed(c, place="elsewhere"), "could not start"),
        (lambda c, other, changed: changed(c, trust=c.policy), "could not start"),
        (lambda c, other, changed: changed(c, policy=c.trust), "could not start"),
        (lambda c, other, changed: changed(c, root=c.hub_keys[0]), "could not start"),
    ],
)
def test_a_configuration_that_does_not_fit_is_not_put_into_force(offline, book, make_authority, change, what):
    other, told = make_authority(), offline.log
    book.change = lambda configuration: change(configuration, other, replace)
    approve(book)
    life = Life(offline, told)
    life.show(book.text())
    life.at = [(5, life.show), (10, lambda: "stop")]
    assert not life.run()
    (failed,) = told.of("enrolment_failed")
    assert what in failed["what"]
    assert site.current(offline.state_dir) is None
    assert list((offline.state_dir / "keys").glob("*")) == []


def test_a_certificate_that_has_ended_is_not_put_into_force(offline, told, book):
    book.lifetime_days = -0.5
    approve(book)
    life = Life(offline, told)
    life.show(book.text())
    life.at = [(5, life.show), (10, lambda: "stop")]
    assert not life.run()
    assert "outside its time" in told.of("enrolment_failed")[0]["what"]


# Without a camera.


def test_one_code_is_taken_without_a_camera(offline, told, book):
    life = Life(offline, told)
    life.at = [(8, lambda: approve(book))]
    assert life.mode.enrol(book.text())
    assert site.current(offline.state_dir) is not None


def test_a_failure_without_a_camera_is_an_error(offline, told, book):
    book.state = EnrolmentState.REFUSED
    with pytest.raises(RefusedError):
        Life(offline, told).mode.enrol(book.text())
    assert not (offline.state_dir / "enrolling").exists()
    with pytest.raises(CodeError):
        Life(offline, told).mode.enrol("hello")


# The boot partition.


@pytest.fixture
def boot_file(tmp_path):
    return tmp_path / "enrol.json"


@pytest.mark.parametrize("form", ["code", "parts"])
def test_a_file_on_the_boot_partition_enrols_and_goes(offline, told, book, boot_file, form):
    code = book.code(wifi=("guests", "a long password"), place="mall-1")
    parts = {
        "url": code.url,
        "token": code.token.hex(),
        "ca_hash": code.ca_hash.hex(),
        "expires_s": code.expires_s,
        "wifi": {"ssid": "guests", "psk": "a long password"},
        "place": "mall-1",
    }
    text = book.text(wifi=code.wifi, place="mall-1")
    boot_file.write_text(json.dumps({"code": text} if form == "code" else parts))
    approve(book)
    assert Life(offline, told, boot_file=boot_file).run()
    assert not boot_file.exists()
    left = (boot_file.parent / "enrol.json.done").read_text()
    assert json.loads(left)["done"]
    assert "a long password" not in left
    assert code.token.hex() not in left


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff\xfe",
        b'{"code": 7}',
        b'{"code": "GLE1:X"}',
        b'{"code": "GL1:X", "more": 1}',
        b'{"url": "https://hub", "token": "00"}',
        b"[" * 60_000,
        b'{"code": "' + b"x" * 70_000 + b'"}',
    ],
)
def test_a_boot_file_that_cannot_be_used_is_told_and_stays(offline, told, boot_file, data):
    boot_file.write_bytes(data)
    life = Life(offline, told, boot_file=boot_file)
    life.at = [(100, lambda: "stop")]
    assert not life.run()
    assert len(told.of("enrolment_failed")) == 1, "it is read once"
    assert boot_file.read_bytes() == data


def test_a_boot_partition_that_cannot_be_written_does_not_undo_the_enrolment(
    offline, told, book, boot_file, monkeypatch
):
    boot_file.write_text(json.dumps({"code": book.text()}))
    approve(book)

    def read_only(path):
        raise OSError("read-only file system")

    monkeypatch.setattr("device.enrol.bootfile.retire", read_only)
    assert Life(offline, told, boot_file=boot_file).run()
    assert told.of("boot_file_stays")


# Power cuts.


def test_after_a_cut_between_asking_and_approval_the_same_keys_go_on(offline, told, book):
    life = Life(offline, told)
    life.show(book.text())
    life.at = [(5, lambda: "stop")]
    assert not life.run()
    approve(book)
    after = Life(offline, told)
    assert after.run(), "nothing needs to be shown again"
    assert len(book.requests) == 1
    ((_, request),) = book.requests.items()
    assert offline.keys.load(sitefile.load_current(offline.state_dir).keys.stored).public == request.key
    assert told.of("enrolment_resumed")[0]["asked"]


def test_after_a_cut_before_asking_an_ended_code_is_dropped(offline, told, book, with_changes):
    Attempt.begin(book.text(), offline)
    later = with_changes(offline, now_s=lambda: book.world.now_s + 10_000)
    life = Life(later, told)
    life.at = [(1, lambda: "stop")]
    assert not life.run()
    assert told.of("enrolment_dropped")[0]["reason"] == "code_expired"
    assert list((offline.state_dir / "keys").glob("*")) == []


def test_a_state_of_another_form_is_dropped(offline, told):
    folder = offline.state_dir / "enrolling"
    for data in (
        *(b"", b"{}", b"\xff", b'{"code": 1}', b"[" * 5000, b"x" * 100_000),
        *(b'{"code": "\xff"}', b'{"\xff": 1}', b'{"more": ' + b"[" * 5000),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "state.json").write_bytes(data)
        assert pending.load(folder, Enrolling) is None
        site.tidy(offline.state_dir, keys=offline.keys)
        assert not folder.exists()


@pytest.mark.slow
def test_a_power_cut_at_any_step_of_an_enrolment_is_gone_over(cuts, book, prepared, direct, told):
    """Each time the device comes up again, un-enrolled or enrolled, and in the end it is enrolled once."""
    outcomes = set()
    for cut in cuts():
        told.events.clear()
        book.requests.clear()
        book.state = EnrolmentState.APPROVED
        here = prepared(cut, open_hub=lambda code, now_s: direct(book))
        here.state_dir.mkdir(parents=True, exist_ok=True)
        with cut:
            Life(here, told).mode.enrol(book.text())
        site.tidy(here.state_dir, keys=here.keys)
        enrolled = site.current(here.state_dir) is not None
        outcomes.add(enrolled)
        if not enrolled:
            life = Life(here, told)
            life.show(book.text())
            assert life.run()
        found = site.check(site.current(here.state_dir), keys=here.keys)
        signing = here.keys.load(found.keys.stored).public
        assert signing in [request.key for request in book.requests.values()], "a key that the hub knows"
        site.tidy(here.state_dir, keys=here.keys)
        assert {path.name for path in here.state_dir.iterdir()} == {"site", "keys"}
        assert [path.name for path in (here.state_dir / "keys").iterdir()] == [f"{found.keys.stored}.key"]
    assert outcomes == {True, False}


@pytest.mark.slow
def test_a_power_cut_while_an_enrolment_is_dropped_leaves_nothing_half(cuts, book, around, prepared):
    around.state_dir.mkdir()
    Attempt.begin(book.text(), around)._remember(id=bytes(16).hex())
    for cut in cuts():
        here = prepared(cut)
        with cut:
            Attempt.resume(here).drop()
        site.tidy(here.state_dir, keys=here.keys)
        resumed = Attempt.resume(here)
        if resumed is not None:
            assert resumed.signing_key(), "whole"
            resumed.drop()
        assert not (here.state_dir / "enrolling").exists()
        assert list((here.state_dir / "keys").glob("*.key")) == []


def test_a_hundred_devices_wait_each_for_itself(book, direct, told, tmp_path, make_surroundings):
    """One code for many is the hub's matter; here only: no two devices make the same keys."""
    book.state = EnrolmentState.APPROVED
    keys = set()
    for at in range(5):
        here = make_surroundings(tmp_path / str(at), told, open_hub=lambda code, now_s: direct(book))
        assert Life(here, told).mode.enrol(book.text())
        keys.add(here.keys.load(sitefile.load_current(here.state_dir).keys.stored).public.kid)
    assert len(keys) == 5


def test_errors_have_reasons():
    def below(kind):
        return [kind, *(found for under in kind.__subclasses__() for found in below(under))]

    for kind in below(EnrolmentError):
        made = kind("because", "what") if kind in {RefusedError, CodeError} else kind("because")
        assert made.reason
        assert str(made)
    assert threading.active_count() < 20


def test_an_enrolment_does_not_go_on_over_check_ins_that_came_since(offline, told, book, with_changes):
    """An armed gate that was not approved in time is a gate again, until its button is held the next time."""
    offline.state_dir.mkdir()
    spool = offline.state_dir / "spool.db"
    first = Attempt.begin(book.text(), offline)
    first.step()
    spool.write_bytes(b"check-ins")
    book.state = EnrolmentState.APPROVED
    assert Attempt.resume(with_changes(offline, unsent=lambda: 1)) is None
    assert told.of("enrolment_dropped")[-1]["reason"] == "unsent"
    assert pending.load(offline.state_dir / "enrolling", Enrolling) is None
    assert site.current(offline.state_dir) is None
    assert spool.read_bytes() == b"check-ins"
