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

STATUS_ENTRIES = 2**20
"""A list's entries: a list of a million takes 256 KiB, and a gate's memory is not cut into smaller pieces."""

STATUS_PACKED_BYTES = STATUS_ENTRIES // 4
"""A list when inflated, two bits an entry; nothing is inflated beyond it."""

STATUS_LIST_BYTES = 512 * 1024
"""A signed list as it travels. Even one that zlib cannot shorten is half of it."""

STATUS_DELTA_BYTES = 64 * 1024
"""About 30,000 changes. Where more change at once, the whole list is hardly longer."""

POLICY_BYTES = 16 * 1024
"""A policy is about 160 to 220 bytes; the broker retains one for each gate, and later versions may add to it."""

RESOLVE_PREFIXES = 16
"""Prefixes of foreign codes that a gate asks about: more schemes do not meet at one place."""

RESOLVE_PREFIX_CHARS = 32
"""The start of a text tells its scheme, say a host name; it is compared at every scan."""

COMMAND_BYTES = 512
"""A command is about 150 bytes."""

COMMAND_LIFE_S = 86_400
"""A command that found its gate switched off must not surprise anyone the day after tomorrow."""

RESULT_DETAIL_BYTES = 32 * 1024
"""500 lines of log at 65 bytes; more is fetched from the device itself."""

RESULT_BYTES = 34 * 1024
"""The longest detail and a wipe proof, with room for later fields."""

WIPE_PROOF_BYTES = 512
"""A proof is about 180 bytes, and stands inside a result."""

PROVISIONING_CHARS = 311
"""What QR version 10-M holds in alphanumeric mode: larger symbols a fixed-focus scanner may not read from a screen."""

PROVISIONING_URL_CHARS = 128
"""The longest address that fits the provisioning code without a network's name and password."""

HOST_CHARS = 253
"""The longest name that DNS allows (RFC 1035)."""

CSR_BYTES = 2048
"""A certificate request for a P-256 key is about 250 bytes; one for RSA with 4,096 bits 1,600."""

ENROLMENT_BYTES = 4096
"""A certificate request of the largest size, and a key and three short texts."""

RENEWAL_BYTES = 4096
"""A certificate request of the largest size, a new key and its proof."""

RENEWAL_PROOF_BYTES = 256
"""A signed hash is about 120 bytes."""

CERTIFICATE_BYTES = 2048
"""A certificate for a P-256 key is about 500 bytes; room for an authority with RSA."""

CHAIN_CERTIFICATES = 4
"""The device's own and up to three authorities above it."""

RENEWAL_ANSWER_BYTES = 9216
"""A full chain of the largest certificates."""

HUB_KEYS = 4
"""The key in use, its successor and predecessor, and one to spare."""

ENROLMENT_ANSWER_BYTES = 96 * 1024
"""The largest trust bundle, policy and chain together."""

DEVICE_KEY_BYTES = 512
"""A statement about one key is about 200 bytes."""

QUERY_TEXT_CHARS = 512
"""Opaque codes and card numbers are shorter; a longer text is an advert."""

QUERY_PADDED_BYTES = 64
"""Texts are padded to a multiple of this, so that most look alike to whoever sees only lengths."""

QUERY_BYTES = 3072
"""A text of 512 characters of four bytes, sealed."""

RESOLVED_BYTES = 1024
"""An answer with the longest subject, masked name and rule is about 850 bytes."""

TRACE_QUERY_BYTES = 512
"""A query with the longest ids and case number is about 450 bytes."""

TRACE_WHY_CHARS = 64
"""A case's number, no story about a person."""

TRACE_WINDOW_MS = 14 * 86_400_000
"""The longest incubation that contact tracing has looked back on; beyond it is the register, not a trace."""

TRACE_LIFE_S = 3 * 86_400
"""A hub that was away over a weekend still answers; later the case is another one."""

TRACE_PAGE_ROWS = 500
"""A page is read from the database in milliseconds and sent in one request, while check-ins go on."""

TRACE_GAPS = 256
"""The newest. A place with more has a broken device, which the platform knows from its own count."""

TRACE_ANSWER_BYTES = 640 * 1024
"""A page of the largest check-ins, and the gaps; below what a web server accepts without being asked."""

TRACES_WAITING = 64
"""More queries than a hub answers between two looks; the rest come with the next."""

TRACES_BYTES = 64 * 1024
"""As many queries of the largest size, with room for later fields."""
DESK_NAME_CHARS = 64
"""A name as it stands on an identity card: the longest of minorities have some 40 characters."""

DESK_PHONE_CHARS = 20
"""A number with its country, of at most 15 digits (ITU-T E.164), and what people put between."""

DESK_COMPANIONS = 8
"""A family at one desk; a coach party is several registrations."""

DESK_PADDED_BYTES = 1024
"""A look-up and nearly every registration, whoever comes along, have this one length."""

DESK_BYTES = 4096
"""A registration of nine people with the longest names, sealed, is about 3,250 bytes."""

DESK_TOLD_PADDED_BYTES = 256
"""What is told of nine people fits one step: the length does not say how many they are."""

DESK_ANSWER_BYTES = 1024
"""A signed answer is about 450 bytes."""

USED_BYTES = 128
"""Three short fields, sent for each person who passes."""

TIME_HINT_BYTES = 256
"""A hint is about 115 bytes."""

PLACE_CODE_BYTES = 512
"""A place code is 120 to 310 bytes: a larger symbol would be hard to scan from a poster."""

PLACE_NAME_CHARS = 64
"""A place or body by its name: one line of a poster or a list."""

PLACE_REQUEST_BYTES = 8192
"""An application with every text at its longest, four bytes a character."""

APPLICANT_BYTES = 512
"""Three sealed numbers are about 110 bytes."""

ADDRESS_CHARS = 128
"""Street, number, building and floor."""

COMMITMENT_CHARS = 500
"""What an applicant promises is a paragraph that people read."""

REASON_CHARS = 200
"""A reason is a sentence, not a report."""

PEOPLE_LIMIT_MOST = 1_000_000
"""More than any place holds."""

PRESENCE_BYTES = 2048
"""A map of a dozen short fields, and the versions of 64 lists."""

PRESENCE_LISTS = 64
"""Lists that a device names: 67 million people, twice what a gate holds."""

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
