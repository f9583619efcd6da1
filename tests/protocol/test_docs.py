"""The spec names everything that is on the wire, with the values that the code has."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from protocol import envelope, errors, limits, topics
from protocol.command import ARGUMENTS, CommandName
from protocol.enrolment import EnrolmentState
from protocol.health import ClockSource, State
from protocol.reasons import GREY_REASONS, SENTENCES, Reason
from protocol.terms import CertificateKind, Clock, Colour, Direction, Kind, PlaceKind, Scheme, Verdict
from protocol.trust import KeyUse
from protocol.vectors import make

FOLDER = Path(make.__file__).parents[1]
SPEC = (FOLDER / "README.md").read_text(encoding="utf-8")
VECTORS = (FOLDER / "vectors" / "README.md").read_text(encoding="utf-8")


def section(number):
    return SPEC.split(f"\n## {number} ")[1].split("\n## ")[0]


def rows(text):
    return [
        tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines() if line.startswith("|")
    ]


def test_every_reason_stands_in_the_spec_with_its_sentences():
    documented = {row for row in rows(section("8.")) if row[0].isdigit()}
    assert documented == {(str(reason.value), reason.wire_name, zh, en) for reason, (zh, en) in SENTENCES.items()}


def test_the_spec_says_which_reasons_are_grey():
    assert "Shown **grey** and never red: 10 to 13, and 20 and up." in section("8.")
    assert {reason for reason in Reason if 10 <= reason <= 13 or reason >= 20} == GREY_REASONS


def test_every_limit_stands_in_the_spec_with_its_value_and_a_reason():
    documented = {row[0]: row[1:] for row in rows(section("9.")) if row[0].isupper()}
    assert {name: int(row[0]) for name, row in documented.items()} == {
        name: value for name, value in vars(limits).items() if name.isupper()
    }
    assert all(len(row[1]) > 8 for row in documented.values())


def test_every_limit_has_a_docstring_with_its_reason():
    lines = Path(limits.__file__).read_text(encoding="utf-8").splitlines()
    for line, after in pairwise(lines):
        if re.match(r"[A-Z0-9_]+ = ", line):
            assert after.startswith('"""'), line


@pytest.mark.parametrize(
    "kind",
    [
        Colour,
        Verdict,
        Direction,
        Kind,
        Scheme,
        Clock,
        KeyUse,
        State,
        ClockSource,
        EnrolmentState,
        PlaceKind,
        CertificateKind,
    ],
)
def test_every_number_with_a_name_stands_in_the_spec(kind):
    named = {row[0]: row[1] for row in rows(section("1."))}
    words = {KeyUse: "key use", State: "health state", ClockSource: "clock source", EnrolmentState: "enrolment state"}
    words |= {PlaceKind: "place kind", CertificateKind: "certificate kind"}
    word = words.get(kind, kind.__name__.lower())
    assert named[word] == ", ".join(f"{member.value} {member.name.lower()}" for member in kind)


def test_every_topic_stands_in_the_spec():
    device, list_id = bytes(8), "ab" * 8
    made = {topics.HUB_PRESENCE, topics.TRUST, topics.used("PLACE")}
    made |= {getattr(topics, f"status_{leaf}")(list_id) for leaf in ("version", "snapshot", "delta")}
    made |= {
        getattr(topics, leaf)(device)
        for leaf in (
            "checkins", "receipts", "presence", "health", "policy", "commands", "results", "resolve", "resolved", "time",
        )
    }  # fmt: skip
    public = {name for name in vars(topics) if not name.startswith("_") and name not in {"re", "MalformedError"}}
    assert len(made) == len(
        public
        - {"device_id_text", "is_shared", "parse_device_topic", "parse_status_topic"}
        - {name for name in public if name.endswith("_FILTER")}
    )
    documented = {row[0].strip("`") for row in rows(section("7.")) if row[0].startswith("`gatelight/1/")}
    plain = {
        topic.replace(device.hex(), "{device}")
        .replace("/00/", "/{s}/")
        .replace("PLACE", "{place}")
        .replace(list_id, "{list}")
        for topic in made
    }
    assert documented == plain
    for name in public:
        if name.endswith("_FILTER"):
            assert f"`{getattr(topics, name)}`" in SPEC


def test_every_external_aad_stands_in_the_spec():
    for name, aad in vars(envelope).items():
        if name.startswith("AAD_") and aad:
            assert f"`{aad.decode()}`" in section("4.")


def test_every_command_stands_in_the_spec_with_its_args():
    table = section("7.").split("| name | args |\n|---|---|\n")[1].split("\n\n")[0]
    documented = {name.strip("`"): args.strip("`") for name, args in rows(table)}
    made = {}
    for name in CommandName:
        bounds = ARGUMENTS.get(name, {})
        args = (f'"{key}": {"bool" if of is None else f"{of[0]} to {of[1]}"}' for key, of in bounds.items())
        made[name.value] = "{" + ", ".join(args) + "}"
    assert documented == made


def test_every_error_reason_stands_in_the_spec():
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ProtocolError)
    ]
    documented = {row[0].strip("`") for row in rows(section("10.")) if row[0].startswith("`")}
    assert documented == {kind.reason for kind in kinds} - {errors.ProtocolError.reason}


def test_every_module_and_every_file_of_vectors_is_named():
    for path in FOLDER.glob("*.py"):
        if path.stem != "__init__":
            assert f"`{path.name}`" in SPEC, path.name
    for name in make.build():
        assert f"`{name}`" in VECTORS, name


def test_the_decisions_are_dated():
    assert re.search(r"^## Decisions\n\n\d{4}-\d{2}-\d{2}$", SPEC, re.MULTILINE)
