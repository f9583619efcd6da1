"""totals.json and the kept corpus -> docs/fuzzing.md."""

from tests.fuzz import kept
from tests.fuzz.targets import TARGETS
from tests.fuzz.totals import PAGE, Totals

HEAD = """# Fuzzing

Made by `make fuzz`, or by `python tests/fuzz/campaign.py --keep` from what was counted. Every decoder at a border of
Gatelight is run by libFuzzer ([atheris](https://github.com/google/atheris)), guided by the branches that it takes. A run
is a crash when a decoder raises anything but its package's own refusal, breaks a property (what was read is written as
the same bytes; the same stream in two pieces says the same; nobody is admitted whom nobody vouched for), takes more than
a second of the processor or more than 1 GiB, or refuses with a sentence that no log should hold.

Mutations of a signed object die at its signature. So each has a target whose input is the payload, which is put into an
envelope and opened by the public function with a key that believes everything (`tests/fuzz/stand_ins.py`); `forgery` is
the opposite: whole objects, real keys, and whatever passes must be one that was signed. `familiar` changes check-ins in
the places that a pattern of them leaves open, and asks the strict reader whether it says the same.

`make fuzz RUNS=10000000 JOBS=2` goes on where the last one ended, the target with the fewest executions first, until each
has had `RUNS`; Ctrl-C ends it at any time, and only the parts under way are lost. What is kept of the runs, the fewest
inputs that take every branch taken and every input that ever crashed a decoder, lies in `tests/fuzz/corpus` and is run
by `make test` without atheris.
"""

FOUND = """## What was found

| where | input | what happened | now |
|---|---|---|---|
| `device.enrol.certificates` | a certificate of X.509 version 13, from whoever answers before anything is trusted | `InvalidVersion` ended the enrolment's process | `UntrustedError` |
| `device.enrol.client` | an answer in chunks, of -5 or of -1 bytes, from whoever answers before anything is trusted | `ValueError` ended the process; all that came was read into memory, until the other side closed | chunks are not read: `UnreachableError` |
| `device.enrol.client` | the authority's certificate with its key and one other byte changed, from whoever answers | `ssl.SSLError` from OpenSSL, which is stricter than what checked it: the process ended | `UntrustedError` |
| `device.enrol.client` | a status line that is none | its bytes stood in the log, escape sequences too | 200 printable characters |
| `protocol.provisioning` | an unsigned provisioning code for `https://[1]`, `https://a..b` or a label of 64 characters | `ValueError` or `UnicodeError` in the device, when it asked for that address | refused as `malformed`, in addresses and broker hosts alike |
| `device.enrol.bootfile` | `expires_s` beyond 64 bits, or a text that is not UTF-8 | `ValueError`, `UnicodeDecodeError`: the un-enrolled device did not start | `CodeError` |
| `hub.broker.access` | `"totalCount": Infinity` in the broker's answer, which Python's JSON reads | `OverflowError` in the hub's connection | logged as unreadable |
| `hub.broker.wire` | a PUBLISH with QoS 1 and packet id 0 | taken, and answered with a PUBACK that MQTT does not have | `protocol_error` |
| `device.enrol.wipe`, `device.enrol.pending` | a damaged mark or state file: a text that is not UTF-8, or deep nesting | `UnicodeDecodeError`, `RecursionError`: a wipe that was begun never ended, an enrolment never went on | still a wipe; the state is dropped |
| `device.tomlfile`, `hub.config` | one key of 32,000 parts in a file of 64 KiB | 20 s and 4 GB in Python's TOML reader | `ConfigError`: lines have at most 4,096 bytes |
| `protocol.checkin.decode_message` | a message of 65,000 empty strings, from an enrolled device | all read, 60 ms, before they were counted | refused at its head |
| `protocol.envelope.parse_foreign` | a doubled map key of a kilobyte | the refusal's sentence repeated it | cut to 200 characters |
| `hub.cli.slip` | a rule of escape sequences in a device's check-in | written to the operator's terminal | one printable line |
| `hub.config` | an integer of 5,000 digits | `ValueError` instead of a sentence that names the file | `ConfigError` |
| `device.send.wire` | a broker's name that DNS cannot have | `UnicodeError` in the uplink's thread | `WireError`: tried again, and logged |
| `device.enrol.client` | a hub's refusal whose sentence is empty, from whoever answers | an empty reason stood in the log and on the screen | told as a refusal without a reason |

The certificate, the packet id and the empty refusal were found by runs, within their first thousands of executions; the others while the
decoders were read to write their targets, which then showed them. Each has a test of its own beside its module, and its
input is kept.
"""


def write(totals: Totals) -> None:
    """Writes the page."""
    PAGE.write_text(render(totals), encoding="utf-8")


def render(totals: Totals) -> str:
    """The page."""
    return "\n".join([HEAD, *_table(totals), FOUND])


def _table(totals: Totals) -> list[str]:
    sums = [totals.of(name) for name in TARGETS]
    executions = sum(each.executions for each in sums)
    seconds = sum(each.processor_s for each in sums)
    machine = ", ".join(f"{name} {value}" for name, value in totals.machine.items())
    least = min(each.executions for each in sums)
    return [
        "## What was run",
        "",
        f"{executions:,} executions of {len(TARGETS)} targets in {seconds / 3600:.1f} hours of one processor.",
        f"The target with the fewest has had {least:,}.",
        "",
        f"Machine of the last run: {machine}.",
        "",
        "Executions a second are of the processor's own time, the start of each process included. Edges are branches of",
        "`protocol`, `device` and `hub` that the best single run has taken; 0 where only the first part has run, which is",
        "traced with comparisons, is several times slower, and counts otherwise. Crashes are parts that ended in one.",
        "",
        "| target | decoder | executions | a second | edges | kept inputs | bytes | peak MB | crashes |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(name, totals) for name in TARGETS),
        "",
    ]


def _row(name: str, totals: Totals) -> str:
    target, ran, corpus = TARGETS[name], totals.of(name), kept.load(name)
    a_second = f"{ran.executions / ran.processor_s:,.0f}" if ran.processor_s else "-"
    size = sum(map(len, corpus.inputs))
    return (
        f"| `{name}` | {target.decoder} | {ran.executions:,} | {a_second} | {ran.edges} | {len(corpus.inputs)} | "
        f"{size:,} | {ran.peak_mb} | {ran.crashes} |"
    )
