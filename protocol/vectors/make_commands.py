"""Vectors of what an operator tells a device: commands, results, wipe proofs."""  # noqa: INP001 - as raw.py

from dataclasses import replace
from typing import Any

from protocol.checkin import GENESIS
from protocol.command import (
    Command,
    CommandName,
    CommandResult,
    WipeProof,
    encode_result,
    seal_command,
    seal_wipe_proof,
)
from protocol.envelope import AAD_COMMAND, AAD_WIPE
from protocol.vectors.faults import Bad, Changes, all_bad, faults, good, missing, payload_of, plain_good
from protocol.vectors.make_checkins import AT_MS, DEVICE, EPOCH
from protocol.vectors.make_gate import AT_S, OTHER_DEVICE
from protocol.vectors.raw import Vector, filler, refused, sign1, signer, with_pairs

COMMAND = Command(
    device=DEVICE, id=filler("command", 16), name=CommandName.LOCATE, args={"seconds": 10},
    issued_s=AT_S, expires_s=AT_S + 60,
)  # fmt: skip
PROOF = WipeProof(
    device=DEVICE, command_id=filler("wipe", 16), at_ms=AT_MS, epoch=EPOCH, newest_seq=41,
    head_hash=filler("head", 32), unsent=0,
)  # fmt: skip


def make_commands() -> list[Vector]:
    """Commands, opened by one device; time is the caller's to judge."""
    opener: dict[str, Any] = {"hub_keys": ["hub"], "device": DEVICE.hex()}
    args: dict[CommandName, dict[str, int | bool]] = {
        CommandName.LOCATE: {"seconds": 300}, CommandName.HOLD_OPEN: {"minutes": 720},
        CommandName.SEND_LOGS: {"lines": 500},
        CommandName.UPDATE: {"release": 2_001}, CommandName.WIPE: {"even_unsent": True},
    }  # fmt: skip
    named = [replace(COMMAND, name=name, args=args.get(name, {}), expires_s=AT_S + 86_400) for name in CommandName]
    sealed = seal_command(COMMAND, key=signer("hub"))
    unknown = sign1(with_pairs(payload_of(sealed), {2: "dance", 3: {}}), key=signer("hub"), aad=AAD_COMMAND)
    fields = {1: "id", 2: "name", 3: "args", 4: "issued", 5: "expires", 6: "device"}
    changes: Changes = [
        *missing(fields),
        ("id-short", "an id of 15 bytes", {1: bytes(15)}),
        ("seconds-zero", "an argument below its bound", {3: {"seconds": 0}}),
        ("seconds-301", "an argument above its bound", {3: {"seconds": 301}}),
        ("seconds-true", "true is not 1", {3: {"seconds": True}}),
        ("argument-missing", "no argument where there must be one", {3: {}}),
        ("argument-unknown", "an argument too many", {3: {"seconds": 10, "loud": True}}),
        ("argument-of-another", "an argument of another command", {3: {"minutes": 10}}),
        ("argument-later", "unknown keys are refused here", {3: {"seconds": 10, 65: 0}}),
        ("even-unsent-one", "1 is not true", {2: "wipe", 3: {"even_unsent": 1}}),
        ("close-with-argument", "an argument for a command that has none", {2: "close", 3: {"seconds": 10}}),
        ("expires-at-issued", "it lives for no time", {5: AT_S}),
        ("expires-late", "it lives for more than a day", {5: AT_S + 86_401}),
        ("other-device", "for another device", {6: OTHER_DEVICE}),
    ]
    return [
        good("short", "a command for a minute", sealed, COMMAND, AAD_COMMAND, **opener),
        *(
            good(value.name.value, f"{value.name.value}, for a day", seal_command(value, key=signer("hub")), value,
                 AAD_COMMAND, **opener)
            for value in named
        ),
        *all_bad(
            [
                *faults(sealed, AAD_COMMAND, by="hub", other_signer="unknown_key", changes=changes),
                ("name-unknown", "a command of a later version", unknown, "unsupported"),
                ("too-long", "more than 512 bytes", sealed + bytes(512), "limit"),
            ],
            **opener,
        ),
    ]  # fmt: skip


def make_results() -> list[Vector]:
    """Results of commands; not signed."""
    proof = seal_wipe_proof(PROOF, key=signer("device"))
    values = [
        ("done", "done, nothing to say", CommandResult(id=COMMAND.id, ok=True, detail="")),
        ("failed", "not done, with a reason", CommandResult(id=COMMAND.id, ok=False, detail="闸机正忙")),
        ("wiped", "with a wipe proof", CommandResult(id=PROOF.command_id, ok=True, detail="", proof=proof)),
    ]
    data = encode_result(values[0][2])
    bad: Bad = [
        ("id-missing", "no id", with_pairs(data, {1: None}), "malformed"),
        ("ok-one", "1 is not true", with_pairs(data, {2: 1}), "malformed"),
        ("detail-missing", "no detail", with_pairs(data, {3: None}), "malformed"),
        ("detail-bytes", "a detail that is no text", with_pairs(data, {3: b"done"}), "malformed"),
        ("proof-empty", "an empty proof", with_pairs(data, {4: b""}), "malformed"),
        ("proof-long", "a proof of 513 bytes", with_pairs(data, {4: bytes(513)}), "malformed"),
        ("unknown-low-key", "unknown key 5", with_pairs(data, {5: 0}), "malformed"),
        ("trailing-byte", "a byte after the end", data + b"\x00", "malformed"),
    ]
    start, long = "a30150" + COMMAND.id.hex() + "02f50379", "e997b8"
    return [
        *plain_good(values, encode_result),
        *all_bad(bad),
        refused("detail-too-long", "32,769 bytes of detail, in fewer characters",
                {"hex_repeated": [[start + "8001", 1], [long, 10_923]]}, "limit"),
        refused("too-long", "more than 34,816 bytes", {"hex_repeated": [["00", 34_817]]}, "limit"),
    ]  # fmt: skip


def make_wipe_proofs() -> list[Vector]:
    """What a device signs before it forgets everything."""
    nothing = replace(PROOF, newest_seq=0, head_hash=GENESIS)
    unsent = replace(PROOF, unsent=41)
    values = [
        ("all-receipted", "everything had a receipt", PROOF, "device"),
        ("all-receipted-es256", "the same by a P-256 key", PROOF, "device-p256"),
        ("nothing-recorded", "nobody ever passed", nothing, "device"),
        ("all-unsent", "nothing had a receipt", unsent, "device"),
    ]
    sealed = seal_wipe_proof(PROOF, key=signer("device"))
    names = {1: "device", 2: "command", 3: "at", 4: "epoch", 5: "newest", 6: "head", 7: "unsent"}
    changes: Changes = [
        *missing(names),
        ("nothing-with-hash", "nothing recorded, yet a hash", {5: 0}),
        ("unsent-42", "more unsent than recorded", {7: 42}),
        ("unsent-true", "true is not 1", {7: True}),
    ]
    bad = faults(sealed, AAD_WIPE, by="device", other_signer="bad_signature", changes=changes)
    return [
        *(
            good(name, shows, seal_wipe_proof(value, key=signer(by)), value, AAD_WIPE, key=by)
            for name, shows, value, by in values
        ),
        *all_bad(bad, key="device"),
    ]
