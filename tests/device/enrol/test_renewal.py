"""A certificate renewed over the old one, with the power cut at every step."""

import random
import secrets
import threading
from pathlib import Path

import pytest

from device import sitefile, tomlfile
from device.config import load
from device.enrol import certificates, site
from device.enrol.attempt import Attempt
from device.enrol.client import _judged
from device.enrol.errors import AnswerError, EnrolmentError, RefusedError, SiteError, UnreachableError
from device.enrol.renewal import Renewal
from device.identity import load_identity
from protocol.enrolment import EnrolmentState
from protocol.keyfile import encode_seed
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.trust import seal_trust

DAY_S = 86_400


@pytest.fixture
def enrolled(around, book, direct, with_changes):
    """Surroundings of an enrolled device."""
    book.state = EnrolmentState.APPROVED
    around.state_dir.mkdir()
    here = with_changes(around, open_hub=lambda code, now_s: direct(book))
    assert Attempt.begin(book.text(), here).step() is EnrolmentState.APPROVED
    book.issued.clear()
    return here


@pytest.fixture
def make(book, direct, told):
    """A renewal of the site in force: `make(here, now_s=..., ...)`."""

    def renewal(here, *, now_s=None, site_in_force=None, **changes):
        found = site_in_force or sitefile.load_current(here.state_dir)
        now_s = now_s or book.world.now_s
        given = {
            "state_dir": here.state_dir,
            "signing": signing_of(found, here),
            "keys": here.keys,
            "log": told,
            "now_s": lambda: now_s,
            "mono_s": lambda: 1000.0,
            "random": random.Random(1).random,
            "random_bytes": secrets.token_bytes,
            "open_hub": lambda _: direct(book),
        }
        return Renewal(found, **{**given, **changes})

    return renewal


def signing_of(found, here):
    keys = found.keys
    return load_identity(
        device=found.device, signing=keys.signing, stored=keys.stored, store=here.keys, hub=keys.hub, root=keys.root
    ).signing


def certificate_of(here):
    return certificates.window_s(sitefile.load_current(here.state_dir).broker.cert.read_bytes())


def test_it_is_due_when_a_third_of_its_life_is_left(enrolled, make, book):
    now_s = book.world.now_s
    # The certificate of the tests holds from a day ago for 91 days.
    assert not make(enrolled, now_s=now_s + 59 * DAY_S).due()
    assert make(enrolled, now_s=now_s + 60 * DAY_S).due()
    assert make(enrolled, now_s=now_s + 400 * DAY_S).due(), "an ended one is asked for all the same"
    assert make(enrolled).days_left() == 90
    assert make(enrolled, now_s=now_s + 91 * DAY_S).days_left() == -1


def test_without_a_clock_nothing_is_due(enrolled, make):
    renewal = make(enrolled, now_s=1)
    renewal._now_s = lambda: None
    assert not renewal.due()
    assert renewal.days_left() is None


def test_a_renewed_site_is_the_old_one_with_another_certificate(enrolled, make, book):
    before = sitefile.load_current(enrolled.state_dir)
    old_key = before.broker.key.read_bytes()
    book.lifetime_days = 200
    assert make(enrolled, now_s=book.world.now_s + 80 * DAY_S).renew_if_due()
    after = site.check(site.current(enrolled.state_dir), keys=enrolled.keys)
    assert (after.device, after.place, after.keys.stored) == (before.device, before.place, before.keys.stored)
    assert after.broker.key.read_bytes() != old_key
    assert certificate_of(enrolled)[1] == book.world.now_s + 200 * DAY_S
    assert before.broker.key.read_bytes() == old_key, "who runs on the old one still can"
    site.tidy(enrolled.state_dir, keys=enrolled.keys)
    assert {path.name for path in enrolled.state_dir.iterdir()} == {"site", "keys"}
    assert after.trust.bundle.read_bytes()
    assert not make(enrolled).due()


@pytest.mark.sockets
def test_over_the_network_the_old_certificate_shows_who_asks(enrolled, make, book, serving):
    book.state = EnrolmentState.APPROVED
    serving(book)
    path = site.current(enrolled.state_dir) / "site.toml"
    path.write_text(path.read_text().replace("https://127.0.0.1:8443", book.url))
    from device.enrol.renewal import open_known

    book.lifetime_days = 200
    make(enrolled, open_hub=open_known).renew()
    assert book.seen == [("POST", "/v1/renewals")]
    assert certificate_of(enrolled)[1] == book.world.now_s + 200 * DAY_S


def test_rotation_makes_a_new_signing_key_and_the_old_goes_at_the_next_start(enrolled, make, book):
    old = sitefile.load_current(enrolled.state_dir).keys.stored
    book.lifetime_days = 100
    make(enrolled).renew(rotate=True)
    new = sitefile.load_current(enrolled.state_dir).keys.stored
    assert new != old
    assert enrolled.keys.load(new).public.kid in book.device_keys
    assert enrolled.keys.load(old), "the running gate signs with it until it starts again"
    site.tidy(enrolled.state_dir, keys=enrolled.keys)
    assert [path.name for path in (enrolled.state_dir / "keys").iterdir()] == [f"{new}.key"]


def test_a_hub_that_dies_after_issuing_gives_the_same_keys_another_certificate(enrolled, make, book, told):
    book.die_after_renewal, book.lifetime_days = 1, 200
    renewal = make(enrolled, now_s=book.world.now_s + 80 * DAY_S)
    assert not renewal.renew_if_due()
    assert told.of("renewal_failed")[0]["reason"] == "unreachable"
    assert not renewal.due(), "not again at once"
    assert make(enrolled).due(), "what was begun is gone on with after a start"
    assert make(enrolled).renew_if_due()
    first, second = book.issued
    assert first.public_key() == second.public_key()
    site.check(site.current(enrolled.state_dir), keys=enrolled.keys)


def test_a_rotation_asked_for_while_a_renewal_is_begun_keeps_its_tls_key(enrolled, make, book):
    book.die_after_renewal, book.lifetime_days = 1, 200
    with pytest.raises(UnreachableError):
        make(enrolled).renew()
    make(enrolled).renew(rotate=True)
    first, second = book.issued
    assert first.public_key() == second.public_key()
    assert len(book.device_keys) == 2


@pytest.mark.parametrize("what", ["another key", "another device", "longer", "not signed"])
def test_a_certificate_that_does_not_fit_is_not_put_into_force(enrolled, make, book, make_authority, what):
    before = sitefile.load_current(enrolled.state_dir)
    own = book.chain
    book.lifetime_days = 200
    if what == "another key":
        old = certificates.request_for(before.broker.key.read_bytes(), name="x")
        book.chain = lambda csr: own(old)
    elif what == "another device":
        book.device, asked_for = bytes(8), book.device
        book.device_keys = dict(book.device_keys)
        hub = book.renew
        book.renew = lambda body, peer: hub(body, peer=book.device.hex())
        assert asked_for == before.device
    elif what == "longer":
        book.lifetime_days = 90
    else:
        book.authority = make_authority("Hub CA")
    with pytest.raises(AnswerError, match=what):
        make(enrolled).renew()
    assert sitefile.load_current(enrolled.state_dir) == before


def test_a_revoked_device_is_told_so(enrolled, make, book, direct):
    book.device_keys.clear()
    over_http = direct(book)
    over_http.renew = lambda request: _judged(*book.handle("POST", "/v1/renewals", request, book.device.hex()), limit=1)
    with pytest.raises(RefusedError) as raised:
        make(enrolled, open_hub=lambda _: over_http).renew()
    assert raised.value.reason == "unknown_key"
    assert sitefile.load_current(enrolled.state_dir).broker.key.is_file()


def test_a_site_without_a_hub_renews_nothing(enrolled, make, book):
    path = site.current(enrolled.state_dir) / "site.toml"
    path.write_text(path.read_text().partition("[hub]")[0])
    renewal = make(enrolled, now_s=book.world.now_s + 89 * DAY_S)
    assert not renewal.due()
    assert not renewal.renew_if_due()
    from device.enrol.renewal import open_known

    with pytest.raises(SiteError, match="names no hub"):
        make(enrolled, open_hub=open_known).renew()


def test_a_certificate_that_cannot_be_read_is_an_error(enrolled, make):
    found = sitefile.load_current(enrolled.state_dir)
    for data in (b"", b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"):
        found.broker.cert.write_bytes(data)
        with pytest.raises(EnrolmentError, match="not a certificate"):
            make(enrolled).due()
    found.broker.cert.unlink()
    with pytest.raises(EnrolmentError, match="No such file"):
        make(enrolled).due()


def test_a_certificate_that_ends_with_the_old_one_will_do_for_a_rotation_only(enrolled, make, book):
    """The authority itself may end then."""
    with pytest.raises(AnswerError, match="longer"):
        make(enrolled).renew()
    make(enrolled).renew(rotate=True)
    assert len(book.device_keys) == 2


@pytest.mark.slow
def test_a_power_cut_at_any_step_of_a_rotation_leaves_the_old_or_the_new(cuts, enrolled, prepared, make, book):
    book.lifetime_days = 200
    old_end_s = certificate_of(enrolled)[1]
    old = sitefile.load_current(enrolled.state_dir).keys.stored
    known = dict(book.device_keys)
    ends = set()
    for cut in cuts():
        book.device_keys = dict(known)
        here = prepared(cut)
        with cut:
            make(here).renew(rotate=True)
        site.tidy(here.state_dir, keys=here.keys)
        found = site.check(site.current(here.state_dir), keys=here.keys)
        assert here.keys.load(found.keys.stored).public.kid in book.device_keys, "the hub knows who signs"
        ended_s = certificate_of(here)[1]
        ends.add(ended_s)
        if ended_s == old_end_s:
            make(here).renew(rotate=True)
            site.tidy(here.state_dir, keys=here.keys)
            found = site.check(site.current(here.state_dir), keys=here.keys)
        assert found.keys.stored != old
        assert len(book.device_keys) == 2, "the same new key asked again"
        assert {path.name for path in here.state_dir.iterdir()} == {"site", "keys"}
        assert [path.name for path in (here.state_dir / "keys").iterdir()] == [f"{found.keys.stored}.key"]
    assert ends == {old_end_s, book.world.now_s + 200 * DAY_S}


# A gate that was provisioned by hand.

MACHINE = """
device_id = "00112233445566aa"
place = "mall-1"
gate = "north"
state_dir = "state"
[keys]
signing = "device.key"
hub = "hub.pub"
root = "root.pub"
[trust]
bundle = "trust.cose"
[broker]
host = "broker.example"
ca = "ca.pem"
cert = "chain.pem"
key = "tls.key"
[hub]
url = "https://127.0.0.1:8443"
ca = "ca.pem"
[camera]
kind = "pi"
[hardware]
kind = "sim"
"""


@pytest.fixture
def provisioned(tmp_path, around, book, monkeypatch):
    """A gate with its site inside device.toml, named by a relative path: its configuration file."""
    folder = tmp_path / "etc"
    folder.mkdir()
    monkeypatch.chdir(folder)
    seed = bytes(range(32))
    tls_key = certificates.make_tls_key()
    files = {
        "device.toml": MACHINE.encode(),
        "device.key": encode_seed(seed),
        "hub.pub": encode_key(book.hub_key.public),
        "root.pub": encode_key(book.world.root.public),
        "trust.cose": seal_trust(book.world.bundle(), key=book.world.root),
        "ca.pem": certificates.to_pem(book.authority.der),
        "chain.pem": certificates.to_pem(*book.chain(certificates.request_for(tls_key, name="x"))),
        "tls.key": tls_key,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    key = Ed25519SigningKey(seed)
    book.device_keys[key.public.kid] = key.public
    return Path("device.toml")


def test_a_provisioned_gate_renews_without_touching_its_own_files(provisioned, make, make_surroundings, told, book):
    config = load(provisioned)
    here = make_surroundings(config.state_dir, told)
    config.state_dir.mkdir()
    (config.state_dir / "spool.db").write_bytes(b"check-ins")
    before = {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    book.lifetime_days = 200
    make(here, site_in_force=config.site).renew(rotate=True)
    renewed = load(provisioned)
    assert renewed.broker.cert != config.broker.cert
    assert renewed.keys.stored
    assert renewed.keys.signing is None
    assert (renewed.keys.root, renewed.broker.ca) == (config.keys.root, config.broker.ca)
    assert before == {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert (config.state_dir / "spool.db").read_bytes() == b"check-ins", "a renewal moves nobody in"
    # And again, over the renewed one.
    book.lifetime_days = 300
    site.tidy(config.state_dir, keys=here.keys)
    make(here, site_in_force=renewed.site).renew()
    again = load(provisioned)
    assert again.keys.stored == renewed.keys.stored
    assert certificates.window_s(again.broker.cert.read_bytes())[1] == book.world.now_s + 300 * DAY_S
    assert signing_of(again.site, here).public.kid in book.device_keys


def test_a_gate_that_is_provisioned_again_forgets_its_renewals(provisioned, make, make_surroundings, told, book):
    config = load(provisioned)
    here = make_surroundings(config.state_dir, told)
    book.lifetime_days = 200
    make(here, site_in_force=config.site).renew(rotate=True)
    site.tidy(config.state_dir, keys=here.keys)  # As every start does.
    tls_key = certificates.make_tls_key()
    Path("chain.pem").write_bytes(certificates.to_pem(*book.chain(certificates.request_for(tls_key, name="x"))))
    Path("tls.key").write_bytes(tls_key)
    anew = load(provisioned)
    assert anew.broker.cert == config.broker.cert
    assert anew.keys.signing == config.keys.signing
    # Its own renewal starts from what it was given, not from what lies there.
    book.lifetime_days = 300
    make(here, site_in_force=anew.site).renew()
    assert load(provisioned).keys.signing is not None
    assert load(provisioned).broker.cert != config.broker.cert


def test_a_broken_folder_of_renewals_is_an_error_that_names_it(provisioned, make, make_surroundings, told, book):
    config = load(provisioned)
    here = make_surroundings(config.state_dir, told)
    book.lifetime_days = 200
    make(here, site_in_force=config.site).renew()
    (site.current(config.state_dir) / "site.toml").write_text("[keys")
    with pytest.raises(tomlfile.ConfigError, match=r"site\.toml"):
        load(provisioned)


def test_keys_rotated_twice_before_the_restart_are_rotated_once(enrolled, make, book):
    """An operator who presses twice must not leave a site that points into the folder which `tidy` removes."""
    book.lifetime_days = 200
    renewal = make(enrolled)
    renewal.renew(rotate=True)
    once = sitefile.load_current(enrolled.state_dir)
    renewal.renew(rotate=True)
    assert sitefile.load_current(enrolled.state_dir) == once
    site.tidy(enrolled.state_dir, keys=enrolled.keys)
    found = site.check(site.current(enrolled.state_dir), keys=enrolled.keys)
    assert found.renews is None


def test_new_keys_are_not_made_on_top_of_a_renewal_that_waits_for_the_restart(enrolled, make, book):
    book.lifetime_days = 200
    renewal = make(enrolled)
    renewal.renew()
    once = sitefile.load_current(enrolled.state_dir)
    with pytest.raises(SiteError, match="after it"):
        renewal.renew(rotate=True)
    assert sitefile.load_current(enrolled.state_dir) == once
    assert len(book.device_keys) == 1


def test_a_renewal_that_comes_due_while_keys_are_rotated_waits_and_renews_nothing(enrolled, make, book, direct):
    """The thread that looks after the certificate, and the one that works on commands."""
    at_the_hub, answers = threading.Event(), threading.Event()

    class Slow(direct):
        def renew(self, request):
            at_the_hub.set()
            assert answers.wait(5)
            return super().renew(request)

    book.lifetime_days = 200
    renewal = make(enrolled, now_s=book.world.now_s + 80 * DAY_S, open_hub=lambda _: Slow(book))
    threads = [threading.Thread(target=renewal.renew, kwargs={"rotate": True}), threading.Thread(target=renewal.renew)]
    threads[0].start()
    assert at_the_hub.wait(5)
    threads[1].start()
    answers.set()
    for thread in threads:
        thread.join(5)
    assert len(book.issued) == 1
    stored = sitefile.load_current(enrolled.state_dir).keys.stored
    assert enrolled.keys.load(stored).public.kid in list(book.device_keys)[1:], "the key that the hub knows as the new"
