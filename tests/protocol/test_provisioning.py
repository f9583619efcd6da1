from dataclasses import replace

import pytest

from protocol import base45, codes
from protocol.errors import LimitError, MalformedError, UnsupportedError
from protocol.limits import PROVISIONING_CHARS, PROVISIONING_URL_CHARS
from protocol.provisioning import is_provisioning, parse_provisioning, provisioning_text, read_host, read_url
from protocol.vectors.make_provisioning import CODE
from protocol.vectors.raw import with_pairs

FULL = replace(CODE, wifi=("gates", "correct horse"), place="mall-1", gate="north.2")


@pytest.mark.parametrize("code", [CODE, FULL, replace(CODE, place="p"), replace(CODE, wifi=("网" * 10, "f" * 64))])
def test_a_code_comes_back_as_it_was_written(code):
    text = provisioning_text(code)
    assert is_provisioning(text)
    assert not codes.is_code(text)
    assert parse_provisioning(text) == code


def test_the_text_is_for_alphanumeric_mode():
    assert set(provisioning_text(FULL)) <= set(base45.ALPHABET)


def test_what_fits_is_a_symbol_of_version_10_and_what_does_not_says_what_to_shorten():
    segno = pytest.importorskip("segno")
    fits = replace(CODE, url="https://h.example/" + "p" * 110, place="p" * 11)
    text = provisioning_text(fits)
    assert len(text) == PROVISIONING_CHARS
    symbol = segno.make_qr(text, error="m", boost_error=False)
    assert (symbol.version, symbol.mode) == (10, "alphanumeric")
    assert segno.make_qr(text + "0", error="m", boost_error=False).version == 11
    with pytest.raises(LimitError, match=r"311: shorten the url or the place by 1 bytes in all$"):
        provisioning_text(replace(fits, place="p" * 12))
    many = replace(FULL, url="https://h.example/" + "p" * 80, wifi=("gates", "p" * 63))
    with pytest.raises(LimitError) as caught:
        provisioning_text(many)
    named = "the url or the network's password or the gate or the place or the network's name"
    over = int(str(caught.value).split(" by ")[1].split()[0])
    assert f"shorten {named} by" in str(caught.value)
    shorter = replace(many, url=many.url[:-over])
    assert len(provisioning_text(shorter)) <= PROVISIONING_CHARS
    with pytest.raises(LimitError):
        provisioning_text(replace(many, url=many.url[: 1 - over]))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", MalformedError),
        ("GLE1:", MalformedError),
        ("gle1:" + "0" * 30, MalformedError),
        ("GLE0:" + "0" * 30, MalformedError),
        ("GLE2:" + "0" * 30, UnsupportedError),
        ("GLE99:" + "0" * 30, UnsupportedError),
        ("GLE100:" + "0" * 30, MalformedError),
        (" GLE1:" + "0" * 30, MalformedError),
        ("GLE1:" + "0" * 306, MalformedError),
        ("GLE1:" + "0" * 307, LimitError),
        ("https://hub.example", MalformedError),
        ("GLE1:é", MalformedError),
    ],
)
def test_other_texts_are_refused(text, error):
    with pytest.raises(error) as caught:
        parse_provisioning(text)
    assert type(caught.value) is error


def test_a_person_s_code_is_no_provisioning_code():
    assert not is_provisioning("GL1:" + provisioning_text(CODE)[5:])


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: None}, "url"),
        ({2: bytes(15)}, "token"),
        ({3: bytes(33)}, "ca_hash"),
        ({4: True}, "expires"),
        ({4: -1}, "expires"),
        ({5: []}, "wifi"),
        ({5: ["gates", 12345678]}, "wifi"),
        ({5: ["", "password"]}, "wifi"),
        ({5: ["a\x00b", "password"]}, "wifi"),
        ({5: ["网" * 11, "password"]}, "wifi"),
        ({5: ["gates", "passwor"]}, "wifi"),
        ({5: ["gates", "p" * 64]}, "wifi"),
        ({5: ["gates", "pass\nword"]}, "wifi"),
        ({5: ["gates", "password", "more"]}, "wifi"),
        ({6: ""}, "place"),
        ({6: "mall-1", 7: "a b"}, "gate"),
        ({7: "north"}, "gate"),
    ],
)
def test_refusals_name_the_field(changes, where):
    data = base45.decode(provisioning_text(CODE)[5:])
    with pytest.raises(MalformedError) as caught:
        parse_provisioning("GLE1:" + base45.encode(with_pairs(data, changes)))
    assert caught.value.where == f"provisioning code.{where}"


@pytest.mark.parametrize(
    "url",
    [
        "https://h",
        "https://hub.example",
        "https://hub.example:8443",
        "https://HUB.example:65535/a/b-c_d.e~f",
        "https://192.0.2.7:1",
        "https://[2001:db8::1]:8443",
        "https://[::ffff:192.0.2.7]",
        "https://" + "h" * 63 + "." + "h" * (PROVISIONING_URL_CHARS - 8 - 64),
    ],
)
def test_addresses_of_hubs(url):
    assert read_url(url, "url") == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        b"https://hub.example",
        "",
        "https://",
        "https:///a",
        "http://hub.example",
        "HTTPS://hub.example",
        "ftp://hub.example",
        "https://hub.example/",
        "https://hub.example//a",
        "https://hub.example?",
        "https://hub.example/?q",
        "https://hub.example#f",
        "https://me@hub.example",
        "https://me:you@hub.example",
        "https://hub.example\\@evil.example",
        "https://hub.example:",
        "https://hub.example:0",
        "https://hub.example:08443",
        "https://hub.example:65536",
        "https://hub.example:８４４３",
        "https://-hub.example",
        "https://hub..example/ ",
        "https://hub.example\n",
        "https://hub.example/\x00",
        "https://hüb.example",
        "https://[::1",
        "https://[1]",
        "https://[:::]:8443",
        "https://[192.0.2.7]",
        "https://hub..example",
        "https://hub-.example",
        "https://" + "h" * 64,
        "https://" + "h" * 63 + "." + "h" * (PROVISIONING_URL_CHARS - 8 - 63),
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(MalformedError) as caught:
        read_url(url, "place")
    assert caught.value.where == "place"


LONGEST_HOST = ".".join(["h" * 63] * 3 + ["h" * 61])


@pytest.mark.parametrize(("host", "good"), [("hub.example", True), ("192.0.2.7", True), ("[::1]", True),
                                            (LONGEST_HOST, True), (LONGEST_HOST + "h", False), ("h" * 64, False),
                                            ("hub:1", False), ("a b", False), ("", False), ("hub/", False),
                                            ("::1", False), ("[1]", False), ("hub..example", False),
                                            (7, False)])  # fmt: skip
def test_hosts(host, good):
    if good:
        assert read_host(host, "host") == host
    else:
        with pytest.raises(MalformedError):
            read_host(host, "host")


def test_no_secret_stands_in_a_representation():
    shown = repr(FULL)
    assert "hub.example" in shown
    assert not any(secret in shown for secret in (repr(FULL.token), "gates", "correct horse"))
