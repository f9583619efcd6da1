"""Every limit of the wire, in one place, each with its reason."""

QR_TEXT_CHARS = 2048
"""A version 40 symbol holds 4,296 characters, but no code of ours passes version 10."""

CODE_BYTES = 1024
"""A live code is 122 to 155 bytes and a card 194: room for larger signatures, none for a flood."""

SUBJECT_MIN_BYTES = 16
"""Shorter subjects could be guessed."""

SUBJECT_MAX_BYTES = 64
"""An HPKE-sealed 16-byte reference is 64 bytes; longer ones would push the QR past version 10."""

CHECKIN_SUBJECT_BYTES = 256
"""A check-in may carry subjects of other schemes, which are sealed at the gate."""

CHECKIN_BYTES = 1024
"""A sealed check-in is about 350 bytes; a hub that sizes its buffers needs a bound."""

MESSAGE_CHECKINS = 64
"""One signature check covers a whole message; beyond 64 the gain is below a microsecond a check-in."""

MESSAGE_BYTES = 64 * 1024
"""64 check-ins of the usual size four times over, and what a small broker accepts in one packet."""

WINDOW_MESSAGES = 8
"""Enough to fill a 200 ms path; a device resends at most this much after a cut."""

BATCH_CHECKINS = 1000
"""Above it the cost a check-in no longer falls, and a refusal would concern too many."""

BATCH_BYTES = 1024 * 1024
"""What a web server accepts without being asked; the platform's body limit."""

BATCH_RECEIPT_BYTES = 64 * 1024
"""Every check-in of a full batch refused, with its reason, fits."""

RECEIPT_BYTES = 256
"""A receipt is about 150 bytes."""

TRUST_BYTES = 64 * 1024
"""A bundle is retained by the broker and read by every gate at start."""

TRUST_ISSUERS = 256
"""More than the provinces, regions and neighbours that may be recognised."""

TRUST_KEYS_PER_ISSUER = 16
"""The key in use, its successor and predecessor for each use."""

PRESENCE_BYTES = 1024
"""A map of a dozen short fields."""

HEALTH_BYTES = 1024
"""A map of a dozen numbers, with room for those of later versions."""

KEY_FILE_BYTES = 4096
"""A PEM of a P-256 key is 241 bytes, a COSE_Key below 100; whatever is longer is another file."""

CBOR_DEPTH = 8
"""The deepest object of ours, a trust bundle, has 6 levels; the others leave room for later fields."""

NAME_CHARS = 32
"""Place and gate ids: they stand in topics, on posters and in logs."""

MASKED_CHARS = 32
"""A surname or two digits: longer would no longer be masked."""

RULE_CHARS = 16
"""A reference to a rule, not its text."""

VERSION_CHARS = 64
"""A firmware version."""

URI_CHARS = 256
"""A status list's address."""

LIVE_CODE_S = 120
"""A screenshot handed on is worthless after two minutes."""

CODE_LEEWAY_S = 30
"""Phones and gates without GPS disagree by seconds; half a minute is generous."""

UINT64_MAX = 2**64 - 1
"""CBOR integers beyond 64 bits are bignums, which this wire does not use."""

INT64_MAX = 2**63 - 1
"""Sequence numbers and versions live in databases, whose integers are signed."""

TIME_MAX_MS = 253_402_300_799_999
"""The last millisecond of the year 9999: later ones no calendar library prints."""
