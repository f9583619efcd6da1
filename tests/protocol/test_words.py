import hashlib

import pytest

from protocol import cbor
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.words import CHARACTERS, WORDS, fingerprint_characters, fingerprint_words


def test_the_lists_are_those_of_bip_39():
    """Hashes of the files as BIP-39 has them: an entry a line."""
    for entries, digest in (
        (WORDS, "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"),
        (CHARACTERS, "5c5942792bd8340cb8b27cd592f1015edf56a8c5b26276ee18a482428e7c5726"),
    ):
        assert len(entries) == len(set(entries)) == 2048
        assert hashlib.sha256("".join(f"{entry}\n" for entry in entries).encode()).hexdigest() == digest


def test_words_are_told_apart_by_four_letters():
    assert len({word[:4] for word in WORDS}) == 2048


@pytest.mark.parametrize("name", ["device", "device_p256"])
def test_words_and_characters_are_the_first_44_bits_of_the_hash_of_the_key(keys, name):
    key = getattr(keys, name).public
    bits = "".join(f"{byte:08b}" for byte in hashlib.sha256(cbor.encode(key.cose_key)).digest())[:44]
    words = fingerprint_words(key)
    assert "".join(f"{WORDS.index(word):011b}" for word in words) == bits
    assert "".join(f"{CHARACTERS.index(character):011b}" for character in fingerprint_characters(key)) == bits


def test_the_fingerprint_goes_on_from_the_kid(keys):
    """The kid is the first 64 bits of the same hash."""
    key = keys.device.public
    assert key.kid == hashlib.sha256(encode_key(key)).digest()[:8]
    assert WORDS.index(fingerprint_words(key)[0]) == int.from_bytes(key.kid[:2], "big") >> 5


def test_different_keys_have_different_words():
    seen = {fingerprint_words(Ed25519SigningKey(seed.to_bytes(32, "big")).public) for seed in range(1, 200)}
    assert len(seen) == 199
