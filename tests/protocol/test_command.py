from dataclasses import replace

import pytest

from protocol.checkin import GENESIS
from protocol.command import (
    ARGUMENTS,
    CommandName,
    CommandResult,
    decode_result,
    encode_result,
    open_command,
    open_wipe_proof,
    seal_command,
    seal_wipe_proof,
)
from protocol.envelope import AAD_COMMAND, AAD_WIPE
from protocol.errors import LimitError, MalformedError, SignatureError, UnknownKeyError, UnsupportedError
from protocol.limits import (
    COMMAND_BYTES,
    COMMAND_LIFE_S,
    INT64_MAX,
    RESULT_BYTES,
    RESULT_DETAIL_BYTES,
    WIPE_PROOF_BYTES,
)
from protocol.vectors.faults import payload_of
from protocol.vectors.make_commands import COMMAND, PROOF
from protocol.vectors.make_gate import DEVICE, OTHER_DEVICE
from protocol.vectors.raw import sign1, with_pairs

NAMES = ("locate", "test_scan", "open_once", "hold_open", "close", "disable", "enable", "restart", "rotate_keys",
         "send_logs", "update", "wipe")  # fmt: skip


@pytest.fixture
def read(keys):
    def opened(data, *, device=DEVICE):
        return open_command(data, hub_keys={keys.hub.public.kid: keys.hub.public}, device=device)

    return opened


@pytest.fixture
def signed(keys):
    def made(changes):
        payload = payload_of(seal_command(COMMAND, key=keys.hub))
        return sign1(with_pairs(payload, changes), key=keys.hub, aad=AAD_COMMAND)

    return made


def arguments(name, which):
    """The arguments of a command at their lowest (0) or highest (1)."""
    return {key: bool(which) if bounds is None else bounds[which] for key, bounds in ARGUMENTS.get(name, {}).items()}


def test_the_commands_are_these():
    assert tuple(name.value for name in CommandName) == NAMES


@pytest.mark.parametrize("name", list(CommandName))
@pytest.mark.parametrize("which", [0, 1])
def test_every_command_comes_back_as_it_was_sealed(keys, read, name, which):
    command = replace(COMMAND, name=name, args=arguments(name, which))
    opened = read(seal_command(command, key=keys.hub))
    assert opened == command
    assert opened.name is name


def test_a_command_for_another_device_is_none(keys, read):
    data = seal_command(COMMAND, key=keys.hub)
    with pytest.raises(MalformedError, match="made for another device"):
        read(data, device=OTHER_DEVICE)


def test_only_a_key_of_the_hub_commands(keys, read):
    for stranger in (keys.device, keys.platform, keys.stranger):
        with pytest.raises(UnknownKeyError, match=stranger.public.kid.hex()):
            read(seal_command(COMMAND, key=stranger))
    data = seal_command(COMMAND, key=keys.hub)
    with pytest.raises(SignatureError):
        read(data[:-1] + bytes([data[-1] ^ 1]))


def test_an_ended_command_is_opened_for_the_caller_to_judge(read, signed):
    assert read(signed({4: 1, 5: 2})).expires_s == 2


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(15)}, "command.id"),
        ({2: 3}, "command.name"),
        ({3: None}, "command.args"),
        ({3: []}, "command.args"),
        ({3: {}}, "command.args"),
        ({3: {"seconds": 0}}, "command.args.seconds"),
        ({3: {"seconds": 301}}, "command.args.seconds"),
        ({3: {"seconds": True}}, "command.args.seconds"),
        ({3: {"seconds": "10"}}, "command.args.seconds"),
        ({3: {"seconds": 1, "minutes": 1}}, "command.args"),
        ({3: {"seconds": 1, 65: 1}}, "command.args"),
        ({2: "hold_open", 3: {"minutes": 721}}, "command.args.minutes"),
        ({2: "hold_open", 3: {"minutes": 0}}, "command.args.minutes"),
        ({2: "send_logs", 3: {"lines": 501}}, "command.args.lines"),
        ({2: "wipe", 3: {}}, "command.args"),
        ({2: "wipe", 3: {"even_unsent": 0}}, "command.args.even_unsent"),
        ({2: "wipe", 3: {"even_unsent": 1}}, "command.args.even_unsent"),
        ({2: "open_once", 3: {"seconds": 1}}, "command.args"),
        ({4: 2**40}, "command.issued"),
        ({5: COMMAND.issued_s}, "command.expires"),
        ({5: COMMAND.issued_s + COMMAND_LIFE_S + 1}, "command.expires"),
        ({5: True}, "command.expires"),
        ({6: None}, "command.device"),
        ({7: 0}, "command"),
    ],
)
def test_refusals_name_the_field(read, signed, changes, where):
    with pytest.raises(MalformedError) as caught:
        read(signed(changes))
    assert caught.value.where == where


@pytest.mark.parametrize("name", ["dance", "LOCATE", "locate ", "wipe\x00"])
def test_a_name_of_a_later_version_is_unsupported(read, signed, name):
    with pytest.raises(UnsupportedError):
        read(signed({2: name}))


def test_it_lives_for_a_day_at_most(keys, read):
    command = replace(COMMAND, expires_s=COMMAND.issued_s + COMMAND_LIFE_S)
    assert read(seal_command(command, key=keys.hub)) == command
    with pytest.raises(MalformedError, match="86400"):
        seal_command(replace(command, expires_s=command.expires_s + 1), key=keys.hub)


def test_length_at_the_limit_and_one_above(read, signed):
    exact = 300 + COMMAND_BYTES - len(signed({65: bytes(300)}))
    assert len(signed({65: bytes(exact)})) == COMMAND_BYTES
    assert read(signed({65: bytes(exact)})) == COMMAND
    with pytest.raises(LimitError, match=f"command: {COMMAND_BYTES + 1} bytes"):
        read(signed({65: bytes(exact + 1)}))


RESULT = CommandResult(id=COMMAND.id, ok=True, detail="")


@pytest.mark.parametrize(
    "result",
    [
        RESULT,
        replace(RESULT, ok=False, detail="闸机正忙\n😀"),
        replace(RESULT, detail="d" * RESULT_DETAIL_BYTES, proof=bytes(WIPE_PROOF_BYTES)),
        replace(RESULT, proof=b"p"),
    ],
)
def test_a_result_comes_back_as_it_was_encoded(result):
    data = encode_result(result)
    assert decode_result(data) == result
    assert len(data) <= RESULT_BYTES


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(17)}, "result.id"),
        ({2: None}, "result.ok"),
        ({2: 1}, "result.ok"),
        ({3: b""}, "result.detail"),
        ({3: "d" * (RESULT_DETAIL_BYTES + 1)}, "result.detail"),
        ({3: "平" * 10_923}, "result.detail"),
        ({4: b""}, "result.proof"),
        ({4: bytes(WIPE_PROOF_BYTES + 1)}, "result.proof"),
        ({5: 0}, "result"),
    ],
)
def test_refused_results_name_the_field(changes, where):
    with pytest.raises(MalformedError) as caught:
        decode_result(with_pairs(encode_result(RESULT), changes))
    assert caught.value.where == where


def test_a_detail_is_bounded_in_bytes_not_in_characters():
    assert decode_result(encode_result(replace(RESULT, detail="平" * 10_922))).detail == "平" * 10_922
    with pytest.raises(LimitError, match="32768 bytes"):
        encode_result(replace(RESULT, detail="平" * 10_923))


@pytest.mark.parametrize("by", ["device", "device_p256"])
@pytest.mark.parametrize(
    "changes", [{}, {"newest_seq": 0, "head_hash": GENESIS}, {"unsent": 41}, {"newest_seq": INT64_MAX}]
)
def test_a_wipe_proof_comes_back_as_it_was_sealed(keys, by, changes):
    key, proof = getattr(keys, by), replace(PROOF, **changes)
    data = seal_wipe_proof(proof, key=key)
    assert open_wipe_proof(data, key=key.public) == proof
    assert len(data) < WIPE_PROOF_BYTES // 2


def test_only_the_device_s_key_proves_its_wipe(keys):
    data = seal_wipe_proof(PROOF, key=keys.device)
    for key in (keys.hub, keys.device_p256):
        with pytest.raises(SignatureError):
            open_wipe_proof(data, key=key.public)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({1: bytes(9)}, "wipe proof.device"),
        ({2: bytes(15)}, "wipe proof.command"),
        ({3: True}, "wipe proof.at"),
        ({4: None}, "wipe proof.epoch"),
        ({5: INT64_MAX + 1}, "wipe proof.newest"),
        ({5: 0}, "wipe proof.head"),
        ({6: bytes(31)}, "wipe proof.head"),
        ({7: 42}, "wipe proof.unsent"),
        ({7: -1}, "wipe proof.unsent"),
        ({8: 0}, "wipe proof"),
    ],
)
def test_refused_proofs_name_the_field(keys, changes, where):
    payload = payload_of(seal_wipe_proof(PROOF, key=keys.device))
    with pytest.raises(MalformedError) as caught:
        open_wipe_proof(sign1(with_pairs(payload, changes), key=keys.device, aad=AAD_WIPE), key=keys.device.public)
    assert caught.value.where == where
