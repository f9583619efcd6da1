"""Vectors of provisioning codes."""  # noqa: INP001 - as raw.py

from dataclasses import replace

from protocol import base45
from protocol.provisioning import ProvisioningCode, provisioning_text
from protocol.vectors.faults import Changes, missing
from protocol.vectors.make_gate import AT_S, GATE, PLACE
from protocol.vectors.plain import plain
from protocol.vectors.raw import Vector, accepted, filler, pairs, refused, with_pairs

CODE = ProvisioningCode(
    url="https://hub.example:8443", token=filler("token", 16), ca_hash=filler("ca hash", 32), expires_s=AT_S + 600
)


def make_provisioning() -> list[Vector]:
    """Texts of provisioning codes."""
    everything = replace(CODE, wifi=("gates", "correct horse"), place=PLACE, gate=GATE)
    # An address of 128 characters leaves no room for anything else but a place of a few letters.
    longest = replace(CODE, url="https://h.example/" + "p" * 110, place="p" * 11)
    made = [
        ("usual", "where and with what", CODE),
        ("everything", "with a network, a place and a gate", everything),
        ("place", "for any gate of a place", replace(CODE, place=PLACE)),
        ("address", "an IPv6 address and a path", replace(CODE, url="https://[2001:db8::1]:8443/hub")),
        ("network-32-63", "the longest name, of 10 characters and 30 bytes, and password",
         replace(CODE, url="https://h.example", wifi=("商场一楼闸机专用网", "p" * 63))),
        ("longest", "311 characters: the most that fit", longest),
    ]  # fmt: skip
    data = base45.decode(provisioning_text(CODE)[5:])
    fields: Changes = [
        *missing({1: "url", 2: "token", 3: "ca-hash", 4: "expires"}),
        *(
            (f"url-{name}", shows, {1: url})
            for name, shows, url in (
                ("http", "not https", "http://hub.example"),
                ("upper-case", "a scheme in upper case", "HTTPS://hub.example"),
                ("user", "with a user", "https://me@hub.example"),
                ("query", "with a query", "https://hub.example/?a=1"),
                ("fragment", "with a fragment", "https://hub.example/#a"),
                ("slash", "with a slash at the end", "https://hub.example/"),
                ("space", "with a space", "https://hub.example/a b"),
                ("host-missing", "without a host", "https:///hub"),
                ("port-65536", "with a port beyond the last", "https://hub.example:65536"),
                ("port-zero", "with port 0", "https://hub.example:0"),
                ("newline", "with a line feed at the end", "https://hub.example\n"),
                ("label-empty", "a name with an empty label", "https://hub..example"),
                ("label-64", "a name with a label of 64 characters", "https://" + "h" * 64),
                ("brackets", "no IPv6 address in the brackets", "https://[192.0.2.7]"),
                ("long", "129 characters", "https://hub.example/" + "h" * 109),
            )
        ),
        ("token-short", "a token of 15 bytes", {2: bytes(15)}),
        ("ca-hash-short", "a hash of 31 bytes", {3: bytes(31)}),
        ("expires-true", "true is not 1", {4: True}),
        ("network-name-empty", "a network without a name", {5: ["", "correct horse"]}),
        ("network-name-33", "a name of 33 bytes in 11 characters", {5: ["网" * 11, "correct horse"]}),
        ("network-password-7", "a password of 7 characters", {5: ["gates", "passwrd"]}),
        ("network-password-64", "64 characters that are not hex", {5: ["gates", "p" * 64]}),
        ("network-password-umlaut", "a password that is not ASCII", {5: ["gates", "pässword"]}),
        ("network-alone", "a name without a password", {5: ["gates"]}),
        ("place-space", "a place that is no id", {6: "mall 1"}),
        ("gate-alone", "a gate without a place", {7: GATE}),
        ("unknown-low-key", "unknown key 8", {8: 0}),
    ]
    text = provisioning_text(CODE)
    texts = [
        ("later-version", "a later version", "GLE2:" + text[5:], "unsupported"),
        ("code", "a person's code", "GL1:" + text[5:], "malformed"),
        ("lower-case", "in lower case", text.lower(), "malformed"),
        ("cut", "the last character is missing", text[:-1], "malformed"),
        ("empty", "nothing after the prefix", "GLE1:", "malformed"),
        ("too-long", "312 characters", text.ljust(312, "0"), "limit"),
        ("trailing-byte", "a byte after the end", "GLE1:" + base45.encode(data + b"\x00"), "malformed"),
        ("key-twice", "a key twice", "GLE1:" + base45.encode(pairs((4, 1), (4, 1))), "malformed"),
    ]
    return [
        *(accepted(name, shows, {"text": provisioning_text(code)}, plain(code)) for name, shows, code in made),
        *(
            refused(name, shows, {"text": "GLE1:" + base45.encode(with_pairs(data, changed))}, "malformed")
            for name, shows, changed in fields
        ),
        *(refused(name, shows, {"text": bad}, reason) for name, shows, bad, reason in texts),
    ]
