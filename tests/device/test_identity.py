import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from device.identity import (
    IdentityError,
    encode_hub_keys,
    load_hub_keys,
    load_identity,
    load_public,
    load_signing,
)
from device.keystore.file import FileKeyStore
from protocol.keys import Ed25519SigningKey, encode_key


def pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def private_file(path, data):
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def test_both_forms_of_a_private_key_are_read(tmp_path):
    seed = private_file(tmp_path / "a", b"ed25519 " + bytes(32).hex().encode() + b"\n")
    assert load_signing(seed).public == Ed25519SigningKey(bytes(32)).public
    p256 = private_file(tmp_path / "b", pem(ec.generate_private_key(ec.SECP256R1())))
    key = load_signing(p256)
    key.public.verify(b"message", key.sign(b"message"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ed25519 ",
        b"ed25519 00",
        b"ed25519 " + b"zz" * 32,
        b"\xff" * 100,
        b"x" * 5000,
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(65537, 2048)),
    ],
)
def test_what_is_no_private_key_of_ours_is_named(tmp_path, data):
    with pytest.raises(IdentityError, match="key"):
        load_signing(private_file(tmp_path / "key", data))


def test_a_private_key_that_others_may_read_is_refused(tmp_path):
    path = private_file(tmp_path / "key", b"ed25519 " + bytes(32).hex().encode())
    path.chmod(0o640)
    with pytest.raises(IdentityError, match="chmod 600"):
        load_signing(path)


def test_public_keys_are_checked(tmp_path):
    path = tmp_path / "pub"
    key = Ed25519SigningKey(bytes(32)).public
    path.write_bytes(encode_key(key))
    assert load_public(path) == key
    for data in (b"", b"\x00", encode_key(key) + b"\x00", b"\xa0"):
        path.write_bytes(data)
        with pytest.raises(IdentityError, match="pub"):
            load_public(path)
    with pytest.raises(IdentityError, match="absent"):
        load_public(tmp_path / "absent")


def test_an_identity_is_its_files(tmp_path):
    signing = private_file(tmp_path / "key", b"ed25519 " + bytes(32).hex().encode())
    public = tmp_path / "pub"
    public.write_bytes(encode_key(Ed25519SigningKey(bytes(32)).public))
    identity = load_identity(device=bytes(8), signing=signing, hub=public, root=public)
    assert identity.hub == identity.root == identity.signing.public


def hub_key(number):
    return Ed25519SigningKey(bytes([number]) * 32).public


def test_a_hub_may_have_several_keys_the_one_in_use_first(tmp_path):
    path = tmp_path / "hub"
    keys = tuple(hub_key(number) for number in range(4))
    path.write_bytes(encode_hub_keys(keys))
    assert load_hub_keys(path) == keys
    path.write_bytes(encode_key(keys[1]))
    assert load_hub_keys(path) == (keys[1],)
    for data in (encode_hub_keys(()), encode_hub_keys((*keys, hub_key(9))), b"\x81\x01", b"", b"\x81\xa0", b"\xff"):
        path.write_bytes(data)
        with pytest.raises(IdentityError, match="hub"):
            load_hub_keys(path)


def test_a_signing_key_may_lie_in_a_key_store(tmp_path):
    store = FileKeyStore(tmp_path / "keys", random_bytes=bytes)
    made = store.make("signing-1")
    public = tmp_path / "pub"
    public.write_bytes(encode_key(hub_key(1)))
    files = {"device": bytes(8), "signing": None, "hub": public, "root": public}
    assert load_identity(**files, stored="signing-1", store=store).signing.public == made.public
    for given in ({"stored": "absent", "store": store}, {"stored": "signing-1"}, {"store": store}, {}):
        with pytest.raises(IdentityError, match="key"):
            load_identity(**files, **given)
