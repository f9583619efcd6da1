"""The contract of `KeyStore`, on files, on a PKCS#11 token and on a TPM."""

import threading
import time

import pytest

from device.keystore.ports import KeyStoreError, NoSuchKeyError, make_or_load
from protocol.enrolment import EnrolmentRequest, open_request, seal_request
from protocol.keys import SIGNATURE_BYTES, low_s

CUTS = 10
pytestmark = [pytest.mark.sockets, pytest.mark.slow]  # swtpm listens on loopback


def test_a_key_that_was_made_is_found_again_and_signs(keystore_rig):
    made = keystore_rig.store.make("signing-1")
    for store in (keystore_rig.store, keystore_rig.fresh()):
        found = store.load("signing-1")
        assert found.public == made.public
        made.public.verify(b"message", found.sign(b"message"))
    made.public.verify(b"more", made.sign(b"more"))


@pytest.mark.slow
def test_it_outlives_the_process(keystore_rig):
    made = keystore_rig.store.make("signing-1")
    assert keystore_rig.elsewhere("load", "signing-1")["x"] == made.public.x.hex()
    second = keystore_rig.elsewhere("make", "signing-2")["x"]
    assert keystore_rig.store.load("signing-2").public.x.hex() == second
    assert keystore_rig.store.load("signing-1").public == made.public


def test_each_name_has_its_own_key(keystore_rig):
    store = keystore_rig.store
    first, second = store.make("a"), store.make("b")
    assert first.public != second.public
    # In turn, so that no key can be taken for the one that was used last.
    for message in (b"1", b"2"):
        for key in (first, second):
            key.public.verify(message, key.sign(message))


def test_a_name_is_taken_once(keystore_rig):
    store = keystore_rig.store
    first = store.make("a")
    with pytest.raises(KeyStoreError, match="a key of this name"):
        store.make("a")
    assert store.load("a").public == make_or_load(store, "a").public == first.public


def test_one_that_was_never_made_is_not_there(keystore_rig):
    keystore_rig.store.make("ab")
    for absent in ("a", "b", "abc", "a-b"):
        with pytest.raises(NoSuchKeyError):
            keystore_rig.store.load(absent)
        keystore_rig.store.erase(absent)
    assert keystore_rig.store.load("ab")


def test_an_erased_key_is_gone_for_every_process(keystore_rig):
    store = keystore_rig.store
    old, kept = store.make("a").public, store.make("b").public
    store.erase("a")
    for any_store in (store, keystore_rig.fresh()):
        with pytest.raises(NoSuchKeyError):
            any_store.load("a")
    store.erase("a")
    assert store.load("b").public == kept
    assert make_or_load(store, "a").public != old


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A", "a.key", "x" * 65, "a\n", "ａ"])
def test_a_name_is_no_path(name, keystore_rig):
    for use in (keystore_rig.store.make, keystore_rig.store.load, keystore_rig.store.erase):
        with pytest.raises(ValueError, match="not the name of a key"):
            use(name)


def test_the_longest_name_and_messages_of_any_length(keystore_rig):
    key = keystore_rig.store.make("x" * 64)
    for length in (0, 1, 64, 100_000):
        message = bytes(length)
        signature = key.sign(message)
        assert len(signature) == SIGNATURE_BYTES
        key.public.verify(message, signature)
    assert keystore_rig.store.load("x" * 64).public == key.public


def test_it_signs_what_a_device_sends(keystore_rig):
    key = keystore_rig.store.make("a")
    request = EnrolmentRequest(
        token=bytes(16), csr=b"a request", key=key.public, serial="4711", model="a gate", firmware="1.0"
    )
    assert open_request(seal_request(request, key=key)) == request


def test_signatures_are_of_the_low_form(keystore_rig):
    key = keystore_rig.store.make("a")
    for number in range(12):
        signature = key.sign(bytes([number]))
        if key.public.y:
            assert signature == low_s(signature)


@pytest.mark.slow
def test_threads_sign_while_others_make_and_erase(keystore_rig):
    store = keystore_rig.store
    keys, failures = [store.make("scan"), store.make("proofs")], []

    def sign(key):
        try:
            for number in range(15):
                message = bytes([number])
                key.public.verify(message, key.sign(message))
        except Exception as error:  # noqa: BLE001 - whatever it is fails the test
            failures.append(error)

    threads = [threading.Thread(target=sign, args=(key,)) for key in keys for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(2):
        store.make(f"other-{number}")
        store.erase(f"other-{number}")
    for thread in threads:
        thread.join(60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.slow
def test_a_process_killed_while_it_makes_a_key_leaves_a_whole_one_or_none(keystore_rig):
    takes_s = keystore_rig.elsewhere("make", "measured")["s"]
    for step in range(CUTS):
        name = f"cut-{step}"
        process = keystore_rig.begin("make", name)
        time.sleep(takes_s * (step + 1) / CUTS)
        process.kill()
        process.wait()
        process.stdout.close()
        keystore_rig.restart_machine()
        store = keystore_rig.fresh()
        key = make_or_load(store, name)
        key.public.verify(b"message", key.sign(b"message"))
        assert store.load(name).public == key.public
        store.erase(name)
    with pytest.raises(NoSuchKeyError):
        store.load(name)
