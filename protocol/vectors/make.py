"""Writes the golden vectors beside this file: `python -m protocol.vectors.make`.

Everything is derived from fixed labels and both signature schemes are deterministic, so that the files are the same
wherever they are made; a test makes them again and compares byte for byte.
"""  # noqa: INP001 - as raw.py

import json
from pathlib import Path
from typing import Any

from protocol.vectors.make_checkins import make_chains, make_checkins
from protocol.vectors.make_codes import make as make_codes
from protocol.vectors.make_platform import make_batch_receipts, make_batches, make_trust
from protocol.vectors.make_receipts import make_messages, make_receipts
from protocol.vectors.make_small import make_health, make_keys, make_presence, make_terms, make_topics

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
    "presence": "Retained presence of hub and device: hex -> fields.",
    "health": "What a device says of itself every 30 s: hex -> fields.",
    "topics": "MQTT topics of a device: topic -> device id and last level.",
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
