"""The enrolled site on disk, with the power cut at every step."""

import pytest

from device import durable, sitefile
from device.config import is_enrolled, load_machine
from device.enrol import certificates, compose, pending, site
from device.enrol.certificates import make_tls_key
from device.enrol.errors import SiteError
from device.enrol.pending import Enrolling, Renewing
from protocol.enrolment import EnrolmentRequest


def files_for(book, around, *, name="signing-1", tls_key=None):
    tls_key = tls_key or make_tls_key()
    key = around.keys.make(name)
    request = EnrolmentRequest(
        token=book.token,
        csr=certificates.request_for(tls_key, name="x"),
        key=key.public,
        serial="s",
        model="m",
        firmware="f",
    )
    return compose.compose(book.configuration(request), tls_key=tls_key, signing=name)


def stale(state_dir):
    """What an older life left beside the site."""
    for name in ("spool.db", "spool.db-wal", "commands.log"):
        (state_dir / name).write_bytes(b"of before")
    (state_dir / "believed" / "lists").mkdir(parents=True)
    (state_dir / "believed" / "lists" / "1").write_bytes(b"of before")


def state_of(state_dir):
    """(device id in force, what lies beside it), or a failure: every start must find one of the two."""
    folder = site.current(state_dir)
    found = None if folder is None else sitefile.load_site(folder).device_id
    beside = {path.name for path in state_dir.iterdir()} - {"site", "keys", "enrolling", "renewing"}
    return found, beside


def test_an_installed_site_is_read_as_a_configuration(tmp_path, book, around):
    folder = site.install(around.state_dir, files_for(book, around), keys=around.keys, moving_in=True)
    assert folder.name == "1"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    machine = tmp_path / "device.toml"
    machine.write_text('state_dir = "state"\n[camera]\nkind = "pi"\n[hardware]\nkind = "sim"\n')
    assert is_enrolled(load_machine(machine))
    from device.config import load

    config = load(machine)
    assert (config.device, config.place, config.gate, config.direction) == (book.device, "mall-1", "north", "in")
    assert config.keys.stored == "signing-1"
    assert config.broker.cert == folder / "chain.pem", "a switch does not change what runs"
    assert (config.hub.url, config.broker.host) == (book.url, "broker.example")


def test_folders_that_are_not_in_force_go_with_the_keys_that_only_they_name(book, around):
    first = site.install(around.state_dir, files_for(book, around, name="old"), keys=around.keys, moving_in=True)
    second = site.install(around.state_dir, files_for(book, around, name="new"), keys=around.keys, moving_in=True)
    assert around.keys.load("old"), "who runs on it still can"
    site.tidy(around.state_dir, keys=around.keys)
    assert not first.exists()
    assert site.current(around.state_dir) == second
    assert around.keys.load("new")
    with pytest.raises(Exception, match="no such key"):
        around.keys.load("old")


def test_a_key_that_something_begun_needs_is_kept(book, around):
    files = files_for(book, around, name="needed")
    folder = around.state_dir / "site" / "7"
    durable.make_folder(folder)
    for name, data in files.items():
        durable.write_atomic(folder / name, data)
    pending.save(around.state_dir / "renewing", Renewing(tls_key="x", signing="needed"))
    site.tidy(around.state_dir, keys=around.keys)
    assert not folder.exists()
    assert around.keys.load("needed")


def test_what_was_begun_and_is_done_is_dropped(book, around):
    tls_key = make_tls_key()
    files = files_for(book, around, tls_key=tls_key)
    pending.save(around.state_dir / "enrolling", Enrolling(code="x", signing="signing-1", tls_key=tls_key.decode()))
    site.install(around.state_dir, files, keys=around.keys, moving_in=True)
    site.tidy(around.state_dir, keys=around.keys)
    assert not (around.state_dir / "enrolling").exists()
    assert around.keys.load("signing-1"), "the key is now the site's"


@pytest.mark.parametrize(
    "broken",
    ["tls.key", "chain.pem", "ca.pem", "hub.cose", "root.cose", "trust.cose", "policy.cose", "site.toml"],
)
def test_a_site_that_no_gate_could_start_from_is_not_put_into_force(book, around, broken):
    site.install(around.state_dir, files_for(book, around, name="old"), keys=around.keys, moving_in=True)
    files = files_for(book, around, name="new")
    for spoilt in (b"", b"\xff\x00", files[broken][:-9]):
        with pytest.raises(SiteError, match="could not start"):
            site.install(around.state_dir, {**files, broken: spoilt}, keys=around.keys, moving_in=True)
        assert sitefile.load_current(around.state_dir).keys.stored == "old"


def test_a_site_whose_signing_key_is_not_there_is_not_put_into_force(book, around):
    files = files_for(book, around)
    around.keys.erase("signing-1")
    with pytest.raises(SiteError, match="no such key"):
        site.install(around.state_dir, files, keys=around.keys, moving_in=True)
    assert site.current(around.state_dir) is None


def test_a_host_or_address_that_no_configuration_takes_is_refused(book, around, with_changes):
    book.change = lambda configuration: with_changes(configuration, broker_host='a"\nplace = "x')
    with pytest.raises(SiteError):
        site.install(around.state_dir, files_for(book, around), keys=around.keys, moving_in=True)


@pytest.mark.slow
def test_a_power_cut_at_any_step_of_a_first_site_leaves_none_or_all(cuts, book, around, prepared):
    files = files_for(book, around)
    results = set()
    for cut in cuts():
        here = prepared(cut)
        with cut:
            site.install(here.state_dir, files, keys=here.keys, moving_in=True)
        site.tidy(here.state_dir, keys=here.keys)
        found, _ = state_of(here.state_dir)
        results.add(found)
        if found is not None:
            site.check(site.current(here.state_dir), keys=here.keys)
        assert found is not None or not cut.completed
        assert len(site._numbered(here.state_dir / "site")) == (found is not None)
    assert results == {None, book.device.hex()}


@pytest.mark.slow
def test_a_power_cut_at_any_step_of_moving_leaves_the_old_site_with_its_things_or_the_new_one_without(
    cuts, book, around, prepared
):
    results = set()
    first, second = book.device, bytes(8)
    site.install(around.state_dir, files_for(book, around, name="old"), keys=around.keys, moving_in=True)
    stale(around.state_dir)
    book.device = second
    files = files_for(book, around, name="new")
    for cut in cuts():
        here = prepared(cut)
        with cut:
            site.install(here.state_dir, files, keys=here.keys, moving_in=True)
        site.tidy(here.state_dir, keys=here.keys)
        found, beside = state_of(here.state_dir)
        results.add(found)
        if found == first.hex():
            assert beside == {"spool.db", "spool.db-wal", "commands.log", "believed"}
        else:
            assert (found, beside) == (second.hex(), set())
        site.check(site.current(here.state_dir), keys=here.keys)
        assert len(site._numbered(here.state_dir / "site")) == 1
    assert results == {first.hex(), second.hex()}


@pytest.mark.slow
def test_a_power_cut_while_tidying_changes_nothing_that_counts(cuts, book, around, prepared):
    site.install(around.state_dir, files_for(book, around, name="old"), keys=around.keys, moving_in=True)
    site.install(around.state_dir, files_for(book, around, name="new"), keys=around.keys, moving_in=True)
    for cut in cuts():
        here = prepared(cut)
        with cut:
            site.tidy(here.state_dir, keys=here.keys)
        site.tidy(here.state_dir, keys=here.keys)
        assert sitefile.load_current(here.state_dir).keys.stored == "new"
        site.check(site.current(here.state_dir), keys=here.keys)
        assert site._numbered(here.state_dir / "site") == ["2"]
        assert [path.name for path in (here.state_dir / "keys").iterdir()] == ["new.key"]


def test_only_one_process_at_a_time_enrols(around):
    with (
        site.alone(around.state_dir),
        pytest.raises(SiteError, match="another process"),
        site.alone(around.state_dir),
    ):
        pass
    with site.alone(around.state_dir):
        pass
