import json

import pytest

from hub.registry.checks import RegistryError
from hub.trust.rules import KEYS, Rules
from protocol.policy import GatePolicy, QuietHours
from protocol.terms import Direction, Verdict

SOME = {
    "enabled": "no",
    "green": "hold",
    "yellow": "refuse",
    "leeway_s": "60",
    "open_ms": "1500",
    "keep_masked": "yes",
    "temperature_max_cc": "3730",
    "quiet": "22:00-06:30+08:00",
    "resolve_prefixes": "MO:,HK:",
    "resolve_cards": "yes",
}


def gate(rules, **changes):
    asked = {"device": bytes(8), "place": "mall", "gate": "north", "direction": None, "closed": False} | changes
    return rules.for_gate(**asked)


def test_the_defaults_are_those_of_the_wire():
    assert gate(Rules.defaults()) == GatePolicy(device=bytes(8), version=1, issued_s=0, place="mall", gate="north")


def test_what_is_typed_is_what_gates_get():
    policy = gate(Rules.defaults().changed(SOME), direction=Direction.OUT, closed=True)
    assert (policy.enabled, policy.green, policy.notice, policy.yellow) == (
        False,
        Verdict.HOLD,
        Verdict.HOLD,
        Verdict.REFUSE,
    )
    assert (policy.leeway_s, policy.open_ms, policy.keep_masked) == (60, 1500, True)
    assert (policy.temperature_max_cc, policy.resolve_prefixes, policy.resolve_cards) == (3730, ("MO:", "HK:"), True)
    assert policy.quiet == QuietHours(from_min=1320, to_min=390, utc_offset_min=480)
    assert (policy.direction, policy.closed) == (Direction.OUT, True)


def test_every_rule_is_stored_and_typed_the_same_way():
    rules = Rules.defaults().changed(SOME)
    assert rules.texts() == Rules.defaults().texts() | SOME
    assert list(rules.texts()) == list(KEYS)
    again = Rules.from_json(rules.json())
    assert gate(again) == gate(rules)
    assert gate(again.changed(again.texts())) == gate(rules)


def test_what_can_be_off_can_be_taken_back():
    back = (
        Rules.defaults()
        .changed(SOME)
        .changed(dict.fromkeys(("quiet", "resolve_prefixes", "temperature_max_cc"), "off"))
    )
    policy = gate(back)
    assert (policy.quiet, policy.resolve_prefixes, policy.temperature_max_cc) == (None, (), None)


@pytest.mark.parametrize("text", ["00:00-00:01-05:30", "23:59-00:00+14:00", "22:00-06:00-12:00"])
def test_quiet_hours_of_the_whole_world(text):
    assert Rules.defaults().changed({"quiet": text}).texts()["quiet"] == text


def test_a_rule_that_an_older_row_does_not_have_gets_its_default():
    assert Rules.from_json('{"reuse_s": "60"}').texts() == Rules.defaults().texts() | {"reuse_s": "60"}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("green", "refuse"),
        ("yellow", "admit"),
        ("green", "GREEN"),
        ("leeway_s", "301"),
        ("leeway_s", "-1"),
        ("leeway_s", "ten"),
        ("reuse_s", "0"),
        ("stale_s", "59"),
        ("open_ms", "60001"),
        ("light_ms", ""),
        ("enabled", "true"),
        ("temperature_max_cc", "37"),
        ("temperature_max_cc", "none"),
        ("quiet", "22:00-06:00"),
        ("quiet", "24:00-06:00+08:00"),
        ("quiet", "22:00-06:00+08:60"),
        ("quiet", "22:00-06:00+15:00"),
        ("quiet", "22:00-22:00+08:00"),
        ("resolve_prefixes", ""),
        ("resolve_prefixes", "a,,b"),
        ("resolve_prefixes", ",".join("abcdefghijklmnopq")),
        ("resolve_prefixes", "x" * 33),
        ("resolve_cache_s", "3601"),
        ("closed", "yes"),
        ("version", "5"),
        ("direction", "out"),
        ("device", "x"),
        ("colour", "green"),
    ],
)
def test_what_a_gate_would_refuse_is_refused_here(key, text):
    with pytest.raises(RegistryError):
        Rules.defaults().changed({key: text})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", '{"green": 1}', '{"green": "refuse"}', '{"x": "y"}', "[" * 100_000, '{"quiet": null}'],
)
def test_rows_that_nobody_of_ours_wrote_are_refused(text):
    with pytest.raises(RegistryError):
        Rules.from_json(text)


def test_rules_are_complete_in_the_store_so_that_later_defaults_change_nothing_that_was_set():
    assert json.loads(Rules.defaults().json()).keys() == set(KEYS)
