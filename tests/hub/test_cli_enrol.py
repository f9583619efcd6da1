"""`ca` and `enrol` on the command line, beside a running hub's store."""

import asyncio
import contextlib
import json
import os
import pty
import ssl
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import segno
from cryptography import x509

from hub.cli import main
from hub.config import load
from hub.registry.enrolments import take_request
from hub.store.sqlite import open_store
from protocol.enrolment import EnrolmentState, fingerprint_characters, fingerprint_words, parse_provisioning

pytestmark = pytest.mark.slow

TEXT = """
hub_id = "00112233445566ff"
database = "hub.db"
keys = { signing = "hub.key", root = "root.pub" }
trust = { bundle = "trust.bundle" }
broker = { host = "broker.local", ca = "ca.pem", cert = "hub.pem", key = "tls.key" }
platform = { url = "https://platform.example", ca = "ca.pem", cert = "hub.pem", key = "tls.key" }
"""
ENROLMENT = """
ca = { cert = "ca.pem", key = "ca.key" }
enrolment = { url = "https://hub.example:8444" }
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hub.toml").write_text(TEXT + ENROLMENT)
    return tmp_path


@pytest.fixture
def bare(folder, capsys, monkeypatch):
    """Runs one command; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("SUDO_USER", "wang")

    def run(*words):
        code = main([*words, "--config", str(folder / "hub.toml")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def hub(bare):
    for words in (("init",), ("ca", "init"), ("place", "add", "--id", "mall", "--name", "商场")):
        code, _, err = bare(*words)
        assert (code, err) == (0, "")
    assert bare("gate", "add", "--place", "mall", "--id", "north")[0] == 0
    return bare


@pytest.fixture
def with_store(folder):
    """Runs a coroutine on the store, as the hub's own process would."""

    def run(act):
        async def opened():
            store = await open_store(load(folder / "hub.toml").database)
            try:
                return await act(store)
            finally:
                await store.close()

        return asyncio.run(opened())

    return run


@pytest.fixture
def asks(with_store, make_newcomer):
    """A newcomer that asks with the token of a code's text; returns it and its enrolment."""

    def ask(text, name="a"):
        newcomer = make_newcomer(name, token=parse_provisioning(text).token)
        return newcomer, with_store(
            lambda store: take_request(
                store, newcomer.request(), address="192.0.2.7", now_ms=time.time_ns() // 1_000_000
            )
        )

    return ask


@pytest.fixture
def waiting(hub, asks):
    """A newcomer that waits."""

    def make(*words, name="a"):
        code, text, err = hub("enrol", "--print", "--place", "mall", *words)
        assert (code, err) == (0, "")
        return asks(text.strip(), name)

    return make


# ---- ca


def test_ca_init_once_and_show(bare, folder):
    assert bare("init")[0] == 0
    code, out, _ = bare("ca", "init")
    assert code == 0
    assert "ca.key" in out
    assert stat.S_IMODE((folder / "ca.key").stat().st_mode) == 0o600
    before = (folder / "ca.key").read_bytes()
    code, _, err = bare("ca", "init")
    assert code == 1
    assert "exists" in err
    assert (folder / "ca.key").read_bytes() == before
    out = bare("ca", "show")[1]
    assert "Gatelight hub 00112233445566ff" in out
    assert "key hash" in out


def test_ca_issue_makes_what_tls_takes_and_writes_it_down(hub, folder, with_store):
    words = ("--cert", str(folder / "hub.pem"), "--key", str(folder / "tls.key"))
    assert hub("ca", "issue", "--client", "hub", *words)[0] == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / "hub.pem", folder / "tls.key")
    assert stat.S_IMODE((folder / "tls.key").stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate((folder / "hub.pem").read_bytes())
    serial = certificate.serial_number.to_bytes(16, "big")
    assert with_store(lambda store: store.find_certificate(serial)).name == "hub"
    assert hub("ca", "issue", "--server", "broker.local", *words)[0] == 1


@pytest.mark.parametrize("name", ["0011223344556677", "00112233445566FF", "a b", ""])
def test_nobody_gets_a_devices_name_by_hand(hub, folder, name):
    words = ("--cert", str(folder / "x.pem"), "--key", str(folder / "x.key"))
    code, _, err = hub("ca", "issue", "--client", name, *words)
    assert code == 1
    assert "client" in err
    assert not (folder / "x.key").exists()


def test_without_the_tables_there_is_a_sentence(bare, folder):
    (folder / "hub.toml").write_text(TEXT)
    assert bare("init")[0] == 0
    for words in (("ca", "init"), ("ca", "show"), ("enrol", "--print", "--place", "mall")):
        code, out, err = bare(*words)
        assert (code, out) == (2, "")
        assert "[ca]" in err or "[enrolment]" in err


# ---- the code


def test_the_code_says_where_and_pins_the_authority(hub, folder):
    (folder / "psk").write_text("correct horse\n")
    code, out, _ = hub(
        *("enrol", "--print", "--place", "mall", "--gate", "north", "--minutes", "20"),
        *("--wifi", "商场", "--psk-file", str(folder / "psk")),
    )
    assert code == 0
    found = parse_provisioning(out.strip())
    assert (found.url, found.place, found.gate) == ("https://hub.example:8444", "mall", "north")
    assert found.wifi == ("商场", "correct horse")
    assert 1190 <= found.expires_s - time.time() <= 1200
    assert found.ca_hash.hex() in hub("ca", "show")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--place", "nowhere"], "not registered"),
        (["--place", "mall", "--gate", "west"], "not registered"),
        (["--place", "mall", "--gate", "north", "--count", "2"], "one gate"),
        (["--place", "mall", "--count", "501"], "devices"),
        (["--place", "mall", "--minutes", "0"], "minutes"),
        (["--place", "mall", "--wifi", "x", "--psk-file", "short"], "8 to 63"),
        (["--place", "mall", "--wifi", "x", "--psk-file", "missing"], "No such file"),
        (["--place", "mall", "--wifi", "x" * 32, "--psk-file", "long"], "shorten"),
    ],
)
def test_a_code_that_cannot_be_made_leaves_no_token(hub, folder, with_store, words, said):
    (folder / "short").write_text("1234567")
    (folder / "long").write_text("p" * 63)
    words = [str(folder / word) if word in {"short", "long", "missing"} else word for word in words]
    (folder / "hub.toml").write_text(TEXT + ENROLMENT.replace("hub.example", ".".join(["h" * 49] * 2)))
    code, out, err = hub("enrol", "--print", *words)
    assert (code, out) == (1, "")
    assert said in err
    assert "enrol.token" not in [entry.action for entry in with_store(lambda store: store.audit_log(limit=99))]


@pytest.mark.parametrize(
    "words",
    [
        ["enrol"],
        ["enrol", "--show"],
        ["enrol", "--print", "--show", "--place", "mall"],
        ["enrol", "--print", "--place", "mall", "--wifi", "x"],
        ["enrol", "refuse", "123456"],
    ],
)
def test_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage: gatelight-hub enrol" in capsys.readouterr().err


# ---- decisions, one command each


def test_list_approve_and_keys(hub, waiting):
    newcomer, enrolment = waiting("--direction", "out")
    enrolment_id = enrolment.asked.enrolment_id.hex()
    (row,) = json.loads(hub("enrol", "list", "--json")[1])
    assert (row["id"], row["state"], row["serial"]) == (enrolment_id, "waiting", "SN-a")
    assert row["words"] == " ".join(fingerprint_words(newcomer.key.public))
    assert row["characters"] == fingerprint_characters(newcomer.key.public)
    assert row["words"] in hub("enrol", "list")[1]
    code, out, _ = hub("enrol", "approve", enrolment_id[:8], "--words", row["words"], "--gate", "north", "--name", "北")
    assert code == 0
    assert "mall/north" in out
    (device,) = json.loads(hub("device", "list", "--json")[1])
    assert (device["gate"], device["direction"], device["name"]) == ("north", "out", "北")
    (row,) = json.loads(hub("enrol", "list", "--json")[1])
    assert (row["state"], row["device"], row["who"]) == ("approved", device["id"], "wang")
    (key,) = json.loads(hub("device", "keys", "--id", device["id"], "--json")[1])
    assert (key["key"], key["until"], key["announced"]) == (newcomer.key.public.kid.hex(), None, None)
    assert device["id"] in hub("device", "keys")[1]
    assert json.loads(hub("device", "keys", "--id", "f" * 16, "--json")[1]) == []


def test_refuse(hub, waiting):
    _, enrolment = waiting()
    code, out, _ = hub("enrol", "refuse", enrolment.asked.enrolment_id.hex(), "--reason", "not ours")
    assert code == 0
    assert "is refused" in out
    (row,) = json.loads(hub("enrol", "list", "--json")[1])
    assert (row["state"], row["reason"]) == ("refused", "not ours")


def test_what_is_refused_on_the_command_line(hub, waiting):
    _, enrolment = waiting()
    enrolment_id = enrolment.asked.enrolment_id.hex()
    for words, said in (
        (("approve", enrolment_id, "--words", "abandon ability able about"), "words"),
        (("approve", enrolment_id, "--gate", "west"), "not registered"),
        (("approve", enrolment_id[:5]), "fewer than 6"),
        (("approve", "0" * 32), "no such"),
        (("refuse", enrolment_id, "--reason", ""), "reason"),
    ):
        code, out, err = hub("enrol", *words)
        assert (code, out) == (1, "")
        assert said in err
    assert json.loads(hub("device", "list", "--json")[1]) == []


def test_replace(hub, waiting):
    _, first = waiting("--gate", "north")
    hub("enrol", "approve", first.asked.enrolment_id.hex())
    (old,) = json.loads(hub("device", "list", "--json")[1])
    _, second = waiting(name="b")
    code, out, _ = hub("device", "replace", "--old", old["id"], "--enrolment", second.asked.enrolment_id.hex())
    assert code == 0
    assert "mall/north" in out
    states = {
        device["id"]: (device["gate"], device["state"]) for device in json.loads(hub("device", "list", "--json")[1])
    }
    assert states.pop(old["id"]) == ("north", "revoked")
    assert list(states.values()) == [("north", "active")]


# ---- at the screen


class Screen:
    """`enrol --show` in a terminal of its own."""

    def __init__(self, folder, *words):
        self._master, terminal = pty.openpty()
        command = [sys.executable, "-m", "hub.cli", "enrol", "--show", "--config", str(folder / "hub.toml"), *words]
        self.process = subprocess.Popen(
            command, cwd=Path(__file__).parents[2], stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)
        self._shown = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 4096):
                with self._changed:
                    self._shown += data
                    self._changed.notify_all()

    def until(self, text):
        with self._changed:
            assert self._changed.wait_for(lambda: text.encode() in self._shown, timeout=30), self._shown.decode()
            return self._shown.decode()

    def type(self, text):
        os.write(self._master, text.encode())

    def end(self):
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        os.close(self._master)
        return code, self._shown.decode()


@pytest.fixture
def screen(folder):
    opened = []

    def show(*words):
        opened.append(Screen(folder, *words))
        return opened[-1]

    yield show
    for shown in opened:
        if shown.process.poll() is None:
            shown.process.kill()
            shown.end()


def code_in(shown):
    (line,) = [line.strip() for line in shown.splitlines() if line.startswith("GLE1:")]
    return line


@pytest.mark.slow
def test_the_operator_sees_the_words_and_says_yes(hub, screen, asks):
    shown = screen("--place", "mall", "--count", "3")
    text = code_in(shown.until("Hold it before the scanner."))
    first, _ = asks(text, "a")
    seen = shown.until("Enter (later): ")
    assert " ".join(fingerprint_words(first.key.public)) in seen
    assert fingerprint_characters(first.key.public) in seen
    shown.type("y\n")
    shown.until("mall/G1")
    asks(text, "b")
    shown.until("SN-b")
    shown.type("y west\n")
    shown.until("not registered")
    _, second = asks(text, "c")
    shown.until("SN-c")
    shown.type("r\n")
    shown.until("  refused")
    # Decided elsewhere: this screen sees it too.
    (waits,) = [row["id"] for row in json.loads(hub("enrol", "list", "--json")[1]) if row["state"] == "waiting"]
    assert hub("enrol", "approve", waits, "--gate", "north")[0] == 0
    asks(text, "d")
    shown.until("SN-d")
    shown.type("y\n")
    code, seen = shown.end()
    assert code == 0
    assert "3 of 3 approved" in seen
    assert second.state is EnrolmentState.WAITING
    assert [device["gate"] for device in json.loads(hub("device", "list", "--json")[1])].count("G2") == 1


@pytest.mark.slow
def test_the_picture_on_the_terminal_is_the_code(hub, screen):
    shown = screen("--place", "mall")
    seen = shown.until("Hold it before the scanner.")
    dots = []
    for line in seen.splitlines():
        if line.startswith("\x1b[97;40m"):
            cells = line.removeprefix("\x1b[97;40m").removesuffix("\x1b[0m")
            dots.append([cell in " ▄" for cell in cells])
            dots.append([cell in " ▀" for cell in cells])
    expected = segno.make(code_in(seen), error="m", boost_error=False, micro=False)
    assert expected.mode == "alphanumeric"
    bordered = [[bool(dot) for dot in row] for row in expected.matrix_iter(border=4)]
    assert dots[: len(bordered)] == bordered
    shown.process.terminate()
    shown.end()


@pytest.mark.slow
def test_interrupted_the_code_stays_good(hub, screen, asks):
    shown = screen("--place", "mall")
    text = code_in(shown.until("Hold it before the scanner."))
    shown.type("\x03")
    if shown.process.poll() is None:
        # A pseudo-terminal that controls no session sends no signal.
        shown.process.send_signal(2)
    code, seen = shown.end()
    assert code == 1
    assert "stays good until its end" in seen
    assert "Traceback" not in seen
    assert asks(text)[1].state is EnrolmentState.WAITING


@pytest.mark.slow
def test_approving_unseen_needs_the_count_typed(hub, screen, asks):
    shown = screen("--place", "mall", "--count", "2", "--approve-all")
    shown.until("Type how many that may be (2): ")
    shown.type("3\n")
    code, seen = shown.end()
    assert code == 1
    assert "the count was not typed" in seen
    assert "GLE1:" not in seen
    shown = screen("--place", "mall", "--count", "2", "--approve-all")
    shown.until("Type how many that may be (2): ")
    shown.type("2\n")
    text = code_in(shown.until("Hold it before the scanner."))
    asks(text, "a")
    asks(text, "b")
    code, seen = shown.end()
    assert code == 0
    assert "2 of 2 approved" in seen


@pytest.mark.slow
@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, subprocess.PIPE])
def test_where_nobody_types_it_only_shows(hub, folder, asks, stdin):
    command = [sys.executable, "-m", "hub.cli", "enrol", "--show", "--place", "mall"]
    process = subprocess.Popen(
        [*command, "--config", str(folder / "hub.toml")],
        cwd=Path(__file__).parents[2],
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        # As where nobody asks Python to hold nothing back.
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    # What it holds back would be waited for in vain.
    end = threading.Timer(30, process.kill)
    end.start()
    if process.stdin:
        process.stdin.close()
    lines = iter(process.stdout.readline, "")
    text = next(line.strip() for line in lines if line.startswith("GLE1:"))
    _, enrolment = asks(text)
    assert any("it waits: `enrol approve" in line for line in lines)
    assert hub("enrol", "approve", enrolment.asked.enrolment_id.hex())[0] == 0
    assert any("1 of 1 approved" in line for line in lines)
    assert process.wait(timeout=30) == 0
    end.cancel()
    process.stdout.close()
