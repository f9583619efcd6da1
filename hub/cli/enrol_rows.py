"""How an enrolment is written, for lists and while a code is shown."""

from typing import Any, Final

from hub.cli.output import time_text
from hub.store.enrol_ports import Enrolment
from protocol.enrolment import EnrolmentState, fingerprint_characters, fingerprint_words
from protocol.keys import decode_key
from protocol.terms import Direction

DIRECTIONS: Final = {"in": Direction.IN, "out": Direction.OUT}
"""A scanner that enrols has one; which is both is entered later."""


def enrolment_row(enrolment: Enrolment) -> dict[str, Any]:
    """An enrolment as it is listed."""
    key = decode_key(enrolment.asked.cose_key)
    asked = enrolment.asked
    return {
        "id": asked.enrolment_id.hex(),
        "state": EnrolmentState(enrolment.state).name.lower(),
        "words": " ".join(fingerprint_words(key)),
        "characters": fingerprint_characters(key),
        "serial": asked.serial,
        "model": asked.model,
        "firmware": asked.firmware,
        "address": asked.address,
        "key": asked.kid.hex(),
        "place": enrolment.place_id,
        "gate": enrolment.gate_id,
        "direction": enrolment.direction.wire_name,
        "asked": time_text(asked.asked_ms),
        "decided": None if enrolment.decided_ms is None else time_text(enrolment.decided_ms),
        "who": enrolment.who,
        "device": None if enrolment.device_id is None else enrolment.device_id.hex(),
        "reason": enrolment.reason,
    }
