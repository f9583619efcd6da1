"""Writes the golden vectors beside this file: `python -m protocol.vectors.make`.

Everything is derived from fixed labels and both signature schemes are deterministic, so that the files are the same
wherever they are made; a test makes them again and compares byte for byte.
"""  # noqa: INP001 - as raw.py

import json
from pathlib import Path
from typing import Any

from protocol.vectors.make_checkins import make_chains, make_checkins
from protocol.vectors.make_codes import make as make_codes
from protocol.vectors.make_commands import make_commands, make_results, make_wipe_proofs
from protocol.vectors.make_deltas import make_status_deltas
from protocol.vectors.make_desk import make_desk_answers, make_desk_questions
from protocol.vectors.make_enrol import (
    make_device_keys,
    make_enrolment_answers,
    make_enrolments,
    make_fingerprints,
    make_renewal_answers,
    make_renewals,
)
from protocol.vectors.make_gate import make_policies, make_time_hints, make_used
from protocol.vectors.make_places import make_applicants, make_place_codes, make_place_requests
from protocol.vectors.make_platform import make_batch_receipts, make_batches
from protocol.vectors.make_provisioning import make_provisioning
from protocol.vectors.make_receipts import make_messages, make_receipts
from protocol.vectors.make_resolve import make_id_numbers, make_queries, make_resolved
from protocol.vectors.make_small import make_health, make_keys, make_presence, make_terms, make_topics
from protocol.vectors.make_status import make_status_lists
from protocol.vectors.make_trace import make_trace_answers, make_traces
from protocol.vectors.make_trust import make_trust

FOLDER = Path(__file__).parent

ABOUT = {
    "keys": "COSE_Key maps: hex -> key. The good ones are the keys of all other files.",
    "codes": "Texts of QR codes: text -> claims, issuer and hash. Look the key up by kid among trusted_keys.",
    "checkins": "Sealed check-ins: hex -> fields and hash. Verify with key.",
    "chains": "Runs of sealed check-ins: which records fail by themselves, and where the chain breaks.",
    "messages": "Payloads of one MQTT message: hex -> sealed check-ins.",
    "receipts": "The hub's receipts: hex -> fields. Verify with key.",
    "batches": "Hub to platform: hex -> fields. Verify with key.",
    "batch-receipts": "Platform to hub: hex -> fields. Verify with key.",
    "trust": "Trust bundles: hex -> fields. Verify with root; look_ups are asked of the opened bundle.",
    "status-lists": "Status lists: hex -> claims and entries. Look the key up by kid among trusted_keys.",
    "status-deltas": "Changes of a status list, and heartbeats: hex -> fields. Keys as for status-lists.",
    "policies": "Gate policies: hex -> fields, for one device, place and gate. Look the key up by kid among hub_keys.",
    "commands": "Commands: hex -> fields, for one device. Look the key up by kid among hub_keys.",
    "results": "Results of commands: hex -> fields.",
    "wipe-proofs": "What a device signs before it erases itself: hex -> fields. Verify with key.",
    "provisioning": "Texts of provisioning codes: text -> fields.",
    "enrolments": "Requests for enrolment: hex -> fields. Verify with the key inside.",
    "enrolment-answers": "Answers to enrolment: hex -> fields.",
    "renewals": "Requests for renewal: hex -> fields. Look the key up by kid among device_keys.",
    "renewal-answers": "Answers to renewal: hex -> fields.",
    "device-keys": "What the hub tells the platform of a device's key: hex -> fields. Verify with key.",
    "fingerprints": "Keys by name -> four words and four characters.",
    "queries": "Sealed look-ups: hex -> fields. Open with private_hex.",
    "resolved": "Answers to look-ups: hex -> fields, for one device and query. trusted_keys have the use resolved.",
    "desk-questions": "What a desk asks, sealed: hex -> fields. Open with private_hex.",
    "desk-answers": "Answers to a desk: hex -> what the hub reads, and what the browser reads. Keys as for resolved.",
    "id-numbers": "Texts -> whether they are resident identity numbers.",
    "traces": "Trace queries: hex -> fields, for one hub. trusted_keys have the use trace.",
    "trace-answers": "The hub's answers to traces: hex -> fields. Verify with key.",
    "place-codes": "Texts of place codes: text -> fields. trusted_keys have the use place.",
    "place-requests": "What a hub asks about place codes: hex -> fields. Verify with key.",
    "applicants": "Sealed applicants of place requests: hex -> fields. Open with private_hex, for the request id.",
    "used": "A code was used at another gate: hex -> fields.",
    "time-hints": "The hub's clock: hex -> fields, for one session of one device. Keys as for policies.",
    "presence": "Retained presence of hub and device: hex -> fields.",
    "health": "What a device says of itself every 30 s: hex -> fields.",
    "topics": "MQTT topics of a device or a status list: topic -> id and last level.",
}


def build() -> dict[str, str]:
    """File name -> its text."""
    made = {
        "keys": make_keys(),
        "codes": make_codes(),
        "checkins": make_checkins(),
        "chains": make_chains(),
        "messages": make_messages(),
        "receipts": make_receipts(),
        "batches": make_batches(),
        "batch-receipts": make_batch_receipts(),
        "trust": make_trust(),
        "status-lists": make_status_lists(),
        "status-deltas": make_status_deltas(),
        "policies": make_policies(),
        "commands": make_commands(),
        "results": make_results(),
        "wipe-proofs": make_wipe_proofs(),
        "provisioning": make_provisioning(),
        "enrolments": make_enrolments(),
        "enrolment-answers": make_enrolment_answers(),
        "renewals": make_renewals(),
        "renewal-answers": make_renewal_answers(),
        "device-keys": make_device_keys(),
        "fingerprints": make_fingerprints(),
        "queries": make_queries(),
        "resolved": make_resolved(),
        "desk-questions": make_desk_questions(),
        "desk-answers": make_desk_answers(),
        "id-numbers": make_id_numbers(),
        "traces": make_traces(),
        "trace-answers": make_trace_answers(),
        "place-codes": make_place_codes(),
        "place-requests": make_place_requests(),
        "applicants": make_applicants(),
        "used": make_used(),
        "time-hints": make_time_hints(),
        "presence": make_presence(),
        "health": make_health(),
        "topics": make_topics(),
    }
    files = {f"{name}.json": _text({"about": ABOUT[name], "vectors": vectors}) for name, vectors in made.items()}
    return files | {"terms.json": _text({"about": "Numbers, names, sentences and limits."} | make_terms())}


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, text in build().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
