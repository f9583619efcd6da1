"""What is kept of the runs: for each target its smallest corpus and every input that ever crashed it, as Base64."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`inputs` reach what the runs have reached; `crashes`, by a name that says what was wrong, were crashes once."""

    inputs: tuple[bytes, ...] = ()
    crashes: dict[str, bytes]


def load(name: str) -> Kept:
    """What is kept of a target."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return Kept(crashes={})
    value = json.loads(path.read_text(encoding="utf-8"))
    return Kept(
        inputs=tuple(map(base64.b64decode, value["inputs"])),
        crashes={what: base64.b64decode(data) for what, data in value["crashes"].items()},
    )


def save(name: str, kept: Kept) -> None:
    """Write it, in an order that changes little from one time to the next."""
    FOLDER.mkdir(exist_ok=True)
    inputs = sorted(set(kept.inputs), key=lambda data: (len(data), data))
    value = {
        "inputs": [base64.b64encode(data).decode() for data in inputs],
        "crashes": {what: base64.b64encode(data).decode() for what, data in sorted(kept.crashes.items())},
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(value, indent=0) + "\n", encoding="utf-8")
