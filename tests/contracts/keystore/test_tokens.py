"""What goes wrong with tokens, on a PKCS#11 token and on a TPM: the contract is in `test_keystore.py`."""

import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import msgspec
import pytest
from pkcs11 import Attribute, AttributeSensitive, AttributeTypeInvalid, KeyType, MechanismFlag, ObjectClass
from pkcs11.constants import DEFAULT
from pkcs11.util.ec import encode_named_curve_parameters

from device.keystore.ports import KeyStoreError, NoSuchKeyError, make_or_load

pytestmark = [pytest.mark.sockets, pytest.mark.slow]  # swtpm listens on loopback


def in_session(rig, work):
    """As another program does it that is logged in to the same token."""
    return rig.store._token.anew(work)


def add_pair(name, curve="secp256r1"):
    def work(session):
        parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
        session.create_domain_parameters(KeyType.EC, parameters, local=True).generate_keypair(
            store=True,
            label=name,
            id=os.urandom(8),
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            public_template={Attribute.ENCRYPT: DEFAULT, Attribute.WRAP: DEFAULT},
            private_template={Attribute.DECRYPT: DEFAULT, Attribute.UNWRAP: DEFAULT, Attribute.DERIVE: DEFAULT},
        )

    return work


def objects(name):
    return lambda session: list(session.get_objects({Attribute.LABEL: name}))


def with_config(rig, **changes):
    return replace(rig, config=msgspec.structs.replace(rig.config, **changes)).fresh()


def refused(use, *args, match):
    with pytest.raises(KeyStoreError, match=match) as raised:
        use(*args)
    assert not isinstance(raised.value, NoSuchKeyError), "a caller would make a new key"


def test_a_private_key_is_made_inside_and_never_leaves(token_rig):
    token_rig.store.make("a")

    def look(session):
        (key,) = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: "a"})
        said = {
            name: key[name]
            for name in (
                *(Attribute.EXTRACTABLE, Attribute.SENSITIVE, Attribute.LOCAL),
                *(Attribute.NEVER_EXTRACTABLE, Attribute.ALWAYS_SENSITIVE),
            )
        }
        with pytest.raises((AttributeSensitive, AttributeTypeInvalid)):
            _ = key[Attribute.VALUE]
        return said

    assert in_session(token_rig, look) == {
        Attribute.EXTRACTABLE: False,
        Attribute.SENSITIVE: True,
        Attribute.LOCAL: True,
        Attribute.NEVER_EXTRACTABLE: True,
        Attribute.ALWAYS_SENSITIVE: True,
    }


def test_a_wrong_pin_is_tried_once_and_a_corrected_one_without_a_restart(token_rig):
    public = token_rig.store.make("a").public
    pin_file = token_rig.config.pin_file
    right = pin_file.read_text()
    pin_file.write_text("0000 0000")
    store = token_rig.fresh()
    refused(store.load, "a", match="PIN in .* is wrong")
    # A TPM locks itself after the third.
    for use in (store.load, store.make, store.erase, store.load, store.load):
        refused(use, "a", match="not tried again")
    pin_file.write_text(right)
    assert store.load("a").public == public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_pin_that_others_may_read_is_not_used(token_rig, mode):
    token_rig.config.pin_file.chmod(mode)
    for use in (token_rig.store.load, token_rig.store.make, token_rig.store.erase):
        refused(use, "a", match="chmod 600")


def test_a_library_that_is_not_there_or_is_none_is_named(token_rig, tmp_path):
    text = tmp_path / "text.so"
    text.write_text("not a library")
    as_configured = type(token_rig.config.module)
    for module in (tmp_path / "absent.so", text, "libc.so.6"):
        store = with_config(token_rig, module=as_configured(module))
        for use in (store.load, store.make, store.erase):
            refused(use, "a", match=re.escape(str(module)))


def test_a_token_of_another_label_is_not_taken(token_rig):
    store = with_config(token_rig, token_label="gatelight-2")
    for use in (store.load, store.make, store.erase):
        refused(use, "a", match="gatelight-2.*not there")


def test_a_token_that_went_away_is_told_and_signs_again_when_it_is_back(token_rig):
    store = token_rig.store
    key, other = store.make("a"), store.make("b")
    key.public.verify(b"1", key.sign(b"1"))
    token_rig.take_away()
    for _ in range(2):
        refused(key.sign, b"2", match="token 'gatelight'")
        for use in (store.load, store.make, store.erase):
            refused(use, "a", match="token 'gatelight'")
    token_rig.bring_back()
    for each in (other, key):
        each.public.verify(b"3", each.sign(b"3"))
    assert store.load("a").public == key.public
    assert token_rig.fresh().load("b").public == other.public


def test_one_that_was_away_from_the_start_is_found_later(token_rig):
    token_rig.take_away()
    store = token_rig.fresh()
    for _ in range(2):
        refused(store.load, "a", match="token 'gatelight'")
    token_rig.bring_back()
    assert make_or_load(store, "a")


def test_a_key_in_the_place_of_another_signs_nothing_for_it(token_rig):
    key = token_rig.store.make("a")
    key.sign(b"1")

    def replace_it(session):
        for half in objects("a")(session):
            half.destroy()
        add_pair("a")(session)

    in_session(token_rig, replace_it)
    refused(key.sign, b"2", match="does not fit the key")
    assert token_rig.store.load("a").public != key.public


def test_an_erased_key_signs_no_more(token_rig):
    key = token_rig.store.make("a")
    key.sign(b"1")
    token_rig.fresh().erase("a")
    refused(key.sign, b"2", match="0 keys of the name a")


def test_of_two_keys_of_one_name_neither_is_used_and_both_are_erased(token_rig):
    store = token_rig.store
    key = store.make("a")
    in_session(token_rig, add_pair("a"))
    refused(store.load, "a", match="two keys of the name a")
    refused(store.make, "a", match="a key of this name")
    refused(key.sign, b"message", match="2 keys of the name a")
    store.erase("a")
    assert in_session(token_rig, objects("a")) == []


@pytest.mark.parametrize("kept", [ObjectClass.PUBLIC_KEY, ObjectClass.PRIVATE_KEY])
def test_half_a_key_is_none(token_rig, kept):
    store = token_rig.store

    def halve(session):
        for half in objects("a")(session):
            if half.object_class != kept:
                half.destroy()

    old = store.make("a").public
    in_session(token_rig, halve)
    assert len(in_session(token_rig, objects("a"))) == 1
    with pytest.raises(NoSuchKeyError):
        store.load("a")
    new = make_or_load(store, "a")
    new.public.verify(b"message", new.sign(b"message"))
    assert new.public != old
    assert len(in_session(token_rig, objects("a"))) == 2
    in_session(token_rig, halve)
    store.erase("a")
    assert in_session(token_rig, objects("a")) == []


def test_a_key_of_another_curve_is_not_ours(token_rig):
    in_session(token_rig, add_pair("a", "secp384r1"))
    refused(token_rig.store.load, "a", match="P-256")
    refused(token_rig.store.make, "a", match="a key of this name")


def test_other_keys_of_the_token_stay(token_rig):
    in_session(token_rig, add_pair("somebody-elses"))
    token_rig.store.make("a")
    token_rig.store.erase("a")
    assert len(in_session(token_rig, objects("somebody-elses"))) == 2


def test_two_tokens_of_one_label_are_one_too_many(softhsm_rig, init_second_token):
    softhsm_rig.store.make("a")
    softhsm_rig.close()
    init_second_token()
    for use in (softhsm_rig.store.load, softhsm_rig.store.make, softhsm_rig.store.erase):
        refused(use, "a", match="2 tokens of this label")


def test_a_tpm_that_has_locked_itself_says_so(tpm_rig):
    tpm_rig.store.make("a")
    right = tpm_rig.config.pin_file.read_text()
    tpm_rig.config.pin_file.write_text("0000 0000")
    for _ in range(4):
        refused(tpm_rig.fresh().load, "a", match="wrong|locked")  # each as a process of its own, started again
    tpm_rig.config.pin_file.write_text(right)
    refused(tpm_rig.store.load, "a", match="locked")


def test_a_key_that_a_tpm_erased_is_not_in_the_database_any_more(tpm_rig):
    database = tpm_rig.config.store / "tpm2_pkcs11.sqlite3"

    def blobs():
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute("select attrs from tobjects").fetchall()
        return {blob for (row,) in rows for blob in re.findall(r"[0-9a-f]{200,}", row)}

    tpm_rig.store.make("kept")
    kept = blobs()
    tpm_rig.store.make("gone")
    gone = blobs() - kept
    assert gone
    assert all(blob.encode() in database.read_bytes() for blob in gone)
    tpm_rig.store.erase("gone")
    # Any part of one would do to say that the page was not overwritten.
    left = database.read_bytes()
    assert not [blob for blob in gone for at in range(0, len(blob) - 64, 32) if blob[at : at + 64].encode() in left]
    assert all(blob.encode() in database.read_bytes() for blob in kept)


def test_a_tpm_whose_database_is_in_another_machine_opens_nothing(tpm_rig, tmp_path):
    tpm_rig.store.make("a")
    tpm_rig.take_away()
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").mkdir()
    tpm_rig.bring_back()
    refused(tpm_rig.store.load, "a", match="token 'gatelight'")
