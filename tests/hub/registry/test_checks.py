import pytest

from hub.registry.checks import (
    RegistryError,
    checked_device_id,
    checked_id,
    checked_key,
    checked_line,
    checked_region,
)
from protocol.keys import Ed25519SigningKey, encode_key


@pytest.mark.parametrize("text", ["a", "mall-1", "A.b_c-9", "x" * 32])
def test_ids_that_are_fine(text):
    assert checked_id(text, what="place id") == text


@pytest.mark.parametrize("text", ["", "x" * 33, "a b", "a/b", "a+b", "#", "商场", "a\n", "a\x00", "١"])
def test_ids_that_would_break_a_topic_or_a_poster(text):
    with pytest.raises(RegistryError, match="place id"):
        checked_id(text, what="place id")


def test_a_device_id_is_the_text_of_its_certificate():
    assert checked_device_id("00ff00ff00ff00ff") == bytes.fromhex("00ff00ff00ff00ff")
    for text in ("", "00FF00FF00FF00FF", "00ff00ff00ff00f", "00ff00ff00ff00ff0", "00ff00ff00ff00ff\n", "g" * 16):
        with pytest.raises(RegistryError, match="16 lower-case hex digits"):
            checked_device_id(text)


def test_lines_for_people():
    assert checked_line("北门 · north", what="name") == "北门 · north"
    assert checked_line("", what="name") == ""
    for text in ("a\nb", "\x1b[31m", "\u202ehtron", "x" * 65, "\x00", "\ud800"):
        with pytest.raises(RegistryError, match="name"):
            checked_line(text, what="name")


def test_regions():
    assert checked_region("110105") == "110105"
    assert checked_region("") == ""
    for text in ("1", "1" * 13, "11 01", "北京", "١١"):
        with pytest.raises(RegistryError, match="region"):
            checked_region(text)


def test_keys():
    public = Ed25519SigningKey(bytes(32)).public
    assert checked_key(encode_key(public)) == public
    # Anybody can sign for a key of small order: the neutral element is one.
    small_order = encode_key(public).replace(public.x, b"\x01" + bytes(31))
    for data in (b"", b"\xa0", b"x" * 5000, small_order, encode_key(public) + b"\x00"):
        with pytest.raises(RegistryError, match="no device key"):
            checked_key(data)
