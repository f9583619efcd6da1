"""`policy`, `place close|open`, `command`, `believed`, and what `device list` says of when scanners were heard."""

import asyncio
import json
import threading
import time
from dataclasses import replace

import pytest

from hub.cli import main
from hub.model import AuditEntry
from hub.store.sqlite import open_store
from hub.store.trust_ports import Believed, BelievedKind, ClosedBy, Closing, CommandState, DeviceSeen, Freshness
from protocol.keys import Ed25519SigningKey, encode_key
from protocol.statuslist import list_id
from protocol.trust import Issuer, KeyUse, TrustBundle, TrustedKey, seal_trust

pytestmark = pytest.mark.slow

DEVICE = "00112233445566ff"
KEY, ROOT = Ed25519SigningKey(bytes(32)), Ed25519SigningKey(bytes(range(32)))
URI = "https://status.example/1"
TEXT = """
hub_id = "00112233445566ff"
database = "hub.db"
keys = { signing = "hub.key", root = "root.pub" }
trust = { bundle = "trust.bundle" }
broker = { host = "broker.local", ca = "ca.pem", cert = "hub.pem", key = "tls.key" }
platform = { url = "https://platform.example", ca = "ca.pem", cert = "hub.pem", key = "tls.key" }
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hub.toml").write_text(TEXT)
    (tmp_path / "device.pub").write_bytes(encode_key(KEY.public))
    (tmp_path / "root.pub").write_bytes(encode_key(ROOT.public))
    return tmp_path


@pytest.fixture
def hub(folder, capsys, monkeypatch):
    """Runs one command; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("SUDO_USER", "wang")

    def run(*words):
        code = main([*words, "--config", str(folder / "hub.toml")])
        said = capsys.readouterr()
        return code, said.out, said.err

    for words in (
        ("init",),
        ("place", "add", "--id", "mall", "--name", "商场"),
        ("gate", "add", "--place", "mall", "--id", "north"),
        (*("device", "add", "--id", DEVICE, "--key", str(folder / "device.pub")), "--place", "mall", "--gate", "north"),
    ):
        assert run(*words)[0] == 0
    return run


@pytest.fixture
def ask(folder):
    """Does something to the store, as the running hub would."""

    def run(act):
        async def with_store():
            store = await open_store(folder / "hub.db", check=False)
            try:
                return await act(store)
            finally:
                await store.close()

        return asyncio.run(with_store())

    return run


def rules(hub):
    return json.loads(hub("policy", "show", "--place", "mall", "--json")[1])


def test_a_policy_is_shown_set_and_reverted(hub):
    assert (rules(hub)["version"], rules(hub)["rules"]["yellow"]) == (0, "hold")
    words = (
        "policy",
        "set",
        "--place",
        "mall",
        "--yellow",
        "refuse",
        "--quiet",
        "22:00-06:00+08:00",
        "--note",
        "neighbours",
    )
    assert hub(*words) == (0, "policy of mall is version 1\n", "")
    assert hub("policy", "set", "--place", "mall", "--open-ms", "1500")[0] == 0
    code, out, _ = hub("policy", "show", "--place", "mall")
    assert code == 0
    assert {"yellow              refuse", "open_ms             1500", "quiet               22:00-06:00+08:00"} <= set(
        out.splitlines()
    )
    assert hub("policy", "revert", "--place", "mall", "--to", "1") == (
        0,
        "policy of mall is version 3, with the rules of version 1\n",
        "",
    )
    assert (rules(hub)["version"], rules(hub)["rules"]["open_ms"]) == (3, "3000")


def test_the_history_says_what_each_version_changed(hub):
    hub("policy", "set", "--place", "mall", "--yellow", "refuse", "--note", "new rule")
    hub("policy", "set", "--place", "mall", "--open-ms", "1500")
    rows = json.loads(hub("policy", "history", "--place", "mall", "--json")[1])
    assert [(row["version"], row["who"], row["changed"], row["note"]) for row in rows] == [
        (2, "wang", "open_ms 1500", ""),
        (1, "wang", "yellow refuse", "new rule"),
    ]
    assert "new rule" in hub("policy", "history", "--place", "mall")[1]


@pytest.mark.parametrize(
    "words",
    [
        ("policy", "set", "--place", "mall"),
        ("policy", "set", "--place", "mall", "--green", "refuse"),
        ("policy", "set", "--place", "nowhere", "--green", "hold"),
        ("policy", "show", "--place", "nowhere"),
        ("policy", "history", "--place", "nowhere"),
        ("policy", "revert", "--place", "mall", "--to", "5"),
        ("place", "open", "--id", "mall"),
        ("place", "open", "--id", "nowhere"),
        ("place", "close", "--id", "nowhere", "--reason", "x"),
        ("place", "close", "--id", "mall", "--reason", ""),
        ("command", "send", "--device", DEVICE, "restart", "--minutes", "5"),
        ("command", "send", "--device", DEVICE, "hold_open", "--minutes", "721"),
        ("command", "send", "--device", DEVICE, "locate", "--life", "0"),
        ("command", "send", "--device", "00" * 8, "locate"),
        ("command", "send", "--device", "x", "locate"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(hub, words):
    code, out, err = hub(*words)
    assert (code, out) == (1, "")
    assert err.startswith("gatelight-hub: ")
    assert "Traceback" not in err


def test_closing_and_opening_a_place(hub, ask):
    assert hub("place", "close", "--id", "mall", "--reason", "fire drill")[1] == "place mall is closed\n"
    assert "already" in hub("place", "close", "--id", "mall", "--reason", "fire drill")[1]
    theirs = Closing(place_id="mall", by=ClosedBy.PLATFORM, why="violation", since_ms=1)
    entry = AuditEntry(at_ms=1, who="platform", action="place.close", detail="")
    ask(lambda store: store.close_place(theirs, audit=entry))
    assert "closed by operator since" in hub("policy", "show", "--place", "mall")[1]
    assert [closing["by"] for closing in rules(hub)["closed"]] == ["operator", "platform"]
    assert hub("place", "open", "--id", "mall")[1] == "place mall stays closed by the platform: violation\n"
    ask(lambda store: store.open_place("mall", by=ClosedBy.PLATFORM, audit=entry))
    hub("place", "close", "--id", "mall", "--reason", "x")
    assert hub("place", "open", "--id", "mall")[1] == "place mall is open\n"


def test_a_command_is_queued_and_listed(hub):
    code, out, _ = hub("command", "send", "--device", DEVICE, "hold_open", "--minutes", "15", "--life", "30")
    assert code == 0
    (row,) = json.loads(hub("command", "list", "--json")[1])
    assert row["id"] in out
    assert (row["name"], row["args"], row["state"], row["who"]) == ("hold_open", '{"minutes": 15}', "queued", "wang")
    assert "hold_open" in hub("command", "list")[1]


@pytest.mark.parametrize(
    ("name", "args"),
    [("locate", {"seconds": 10}), ("wipe", {"even_unsent": False}), ("send_logs", {"lines": 200}), ("close", {})],
)
def test_arguments_that_nobody_names_have_a_plain_value(hub, name, args):
    assert hub("command", "send", "--device", DEVICE, name)[0] == 0
    assert json.loads(json.loads(hub("command", "list", "--json")[1])[0]["args"]) == args


def test_waiting_for_the_answer(hub, ask):
    def finish(state, detail):
        async def act(store):
            while not (rows := await store.open_commands()):  # noqa: ASYNC110 -- another process queues it
                await asyncio.sleep(0.01)
            entry = AuditEntry(at_ms=1, who="hub", action="command.done", detail="")
            await store.finish_command(rows[0].command_id, state=state, detail=detail, proof=None, at_ms=1, audit=entry)

        hub_side = threading.Thread(target=ask, args=(act,))
        hub_side.start()
        answer = hub("command", "send", "--device", DEVICE, "send_logs", "--wait", "20")
        hub_side.join()
        return answer

    code, out, _ = finish(CommandState.DONE, "one\ntwo \x1b[31mred")
    assert (code, out.splitlines()[:2]) == (0, ["one", "two ?[31mred"])
    code, _, err = finish(CommandState.FAILED, "no")
    assert (code, "is failed" in err) == (1, True)


def test_waiting_in_vain(hub):
    code, out, err = hub("command", "send", "--device", DEVICE, "locate", "--wait", "0.01")
    assert (code, out, "is queued" in err) == (1, "", True)


def bundle(**changes):
    now_s = int(time.time())
    key = TrustedKey(key=KEY.public, uses=frozenset({KeyUse.CODE}), not_before_s=0, not_after_s=now_s)
    plain = TrustBundle(
        version=7,
        issued_s=now_s,
        expires_s=now_s + 30 * 86_400 + 60,
        issuers=(Issuer(name="city", region="110000", keys=(key,)),),
    )
    return replace(plain, **changes)


def test_what_is_believed(hub, ask):
    assert hub("believed", "list")[1].startswith("trust: the bundle of the configuration")
    now_s = int(time.time())
    trust = Believed(
        kind=BelievedKind.TRUST, name="", version=7, issued_s=now_s, kept_ms=1, data=seal_trust(bundle(), key=ROOT)
    )
    a_list = Believed(kind=BelievedKind.LIST, name=URI, version=4, issued_s=now_s - 900, kept_ms=1, data=bytes(100))

    async def keep(store):
        await store.keep_believed(trust)
        await store.keep_believed(a_list)
        await store.note_fresh((Freshness(name=URI, version=6, issued_s=now_s - 60),))

    ask(keep)
    said = json.loads(hub("believed", "list", "--json")[1])
    assert (said["trust"]["version"], said["trust"]["days_left"], said["trust"]["issuers"]) == (7, 30, ["city"])
    (row,) = said["lists"]
    assert (row["list"], row["version"], row["bytes"], row["address"]) == (list_id(URI), 6, 100, URI)
    assert 60 <= row["age_s"] < 120
    out = hub("believed", "list")[1]
    assert out.startswith("trust: version 7, 30 days left\n")
    assert list_id(URI) in out


def test_a_bundle_that_the_root_did_not_sign_is_named(hub, ask):
    foreign = Believed(
        kind=BelievedKind.TRUST, name="", version=7, issued_s=1, kept_ms=1, data=seal_trust(bundle(), key=KEY)
    )
    ask(lambda store: store.keep_believed(foreign))
    code, _, err = hub("believed", "list")
    assert (code, "does not fit the root key" in err) == (1, True)


def test_when_a_scanner_was_heard(hub, ask):
    assert json.loads(hub("device", "list", "--json")[1])[0]["seen"] == "never"
    seen = DeviceSeen(
        device_id=bytes.fromhex(DEVICE),
        seen_ms=1_790_000_000_000,
        online=True,
        firmware="1.2\x1b",
        trust_version=3,
        policy_version=4,
    )
    ask(lambda store: store.keep_seen((seen,)))
    (row,) = json.loads(hub("device", "list", "--json")[1])
    assert (row["seen"], row["online"], row["firmware"], row["policy"]) == ("2026-09-21T14:13:20.000Z", True, "1.2?", 4)
    assert "2026-09-21T14:13:20.000Z" in hub("device", "list")[1]
