"""`gatelight-hub firmware`: a whole story by commands alone, and what they refuse."""

import asyncio
import json

import pytest

from hub.cli import main
from hub.store.sqlite import open_store
from hub.store.trust_ports import DeviceSeen
from protocol.keys import Ed25519SigningKey, encode_key

pytestmark = pytest.mark.slow

DEVICE = "00112233445566ff"
TEXT = """
hub_id = "00112233445566ff"
database = "hub.db"
keys = { signing = "hub.key", root = "root.pub" }
trust = { bundle = "trust.bundle" }
broker = { host = "broker.local", ca = "ca.pem", cert = "hub.pem", key = "tls.key" }
platform = { url = "https://platform.example", ca = "ca.pem", cert = "hub.pem", key = "tls.key" }
"""


@pytest.fixture
def hub(tmp_path, capsys, monkeypatch):
    """Runs one command; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("SUDO_USER", "wang")
    (tmp_path / "hub.toml").write_text(TEXT + '[firmware]\ndir = "firmware"\n')
    (tmp_path / "device.pub").write_bytes(encode_key(Ed25519SigningKey(bytes(32)).public))

    def run(*words):
        code = main([*words, "--config", str(tmp_path / "hub.toml")])
        said = capsys.readouterr()
        return code, said.out, said.err

    for words in (
        ("init",),
        ("place", "add", "--id", "mall", "--name", "商场"),
        ("gate", "add", "--place", "mall", "--id", "north"),
        ("device", "add", "--id", DEVICE, "--key", str(tmp_path / "device.pub"), "--place", "mall", "--gate", "north"),
    ):
        assert run(*words)[0] == 0
    return run


def published(publisher, tmp_path):
    publisher.add("0.2.0")
    publisher.put("NOTES.txt", b"for people")
    publisher.publish()
    (tmp_path / "root.json").write_bytes(publisher.root_bytes)
    return ("firmware", "import", str(publisher.folder), "--root", str(tmp_path / "root.json"))


def seen(tmp_path, firmware):
    async def note():
        store = await open_store(tmp_path / "hub.db")
        known = DeviceSeen(
            device_id=bytes.fromhex(DEVICE),
            seen_ms=1,
            online=True,
            firmware=firmware,
            trust_version=1,
            policy_version=1,
        )
        await store.keep_seen((known,))
        await store.close()

    asyncio.run(note())


def test_a_release_is_imported_staged_halted_resumed_and_cancelled(hub, publisher, tmp_path):
    code, out, err = hub(*published(publisher, tmp_path))
    assert (code, err) == (0, "")
    assert "new          gatelight-0.2.0-sandbox.tar.gz (6 bytes)" in out
    assert "passed over  NOTES.txt" in out
    assert "mirror       1 bundles, good until " in out
    assert hub("firmware", "import", str(publisher.folder))[:2] == (
        0,
        out.splitlines()[-2] + "\n" + out.splitlines()[-1] + "\n",
    )
    listed = json.loads(hub("firmware", "list", "--json")[1])
    assert [(each["version"], each["release"], each["platform"]) for each in listed["bundles"]] == [
        ("0.2.0", 2000, "sandbox")
    ]
    assert "0.2.0    2000     sandbox" in hub("firmware", "list")[1]

    assert hub("firmware", "status") == (0, "nothing was ever staged\n", "")
    assert json.loads(hub("firmware", "status", "--json")[1]) is None
    seen(tmp_path, "0.1.0")
    assert hub("firmware", "ring", "--device", DEVICE, "--ring", "0")[0] == 0
    assert json.loads(hub("firmware", "rings", "--json")[1]) == [{"ring": 0, "devices": 1, "versions": {"0.1.0": 1}}]
    assert "0     1        0.1.0: 1" in hub("firmware", "rings")[1]

    assert hub("firmware", "stage", "--version", "0.2.0", "--soak-min", "5")[:2] == (0, "rollout 1: 0.2.0 is staged\n")
    assert hub("firmware", "halt", "--reason", "lunch")[1] == "rollout 1, 0.2.0: halted\n"
    code, out, _ = hub("firmware", "status")
    assert out.splitlines()[0] == "rollout 1, 0.2.0: halted (lunch), ring 0"
    assert out.splitlines()[2].split() == ["0", "1", "0", "0", "0", "1", "0", "0"]
    assert hub("firmware", "resume", "--failures-max", "3")[1] == "rollout 1, 0.2.0: running\n"
    status = json.loads(hub("firmware", "status", "--json")[1])
    assert (status["state"], status["soak_min"], status["failures_max"], status["who"]) == ("running", 5, 3, "wang")
    assert status["rings"][0]["away"] == 1
    assert hub("firmware", "cancel")[1] == "rollout 1, 0.2.0: cancelled\n"
    actions = [
        entry["action"] for entry in json.loads(hub("audit", "--json")[1]) if entry["action"].startswith("firmware.")
    ]
    assert actions == [f"firmware.{what}" for what in ("cancel", "resume", "halt", "stage", "ring", "import", "import")]


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("firmware", "import", "/nowhere"), 1, "no published repository"),
        (("firmware", "import", "http://example.org"), 1, "https"),
        (("firmware", "import", ".", "--root", "/nowhere/root.json"), 1, "No such file"),
        (("firmware", "stage", "--version", "0.2.0"), 1, "the mirror is empty"),
        (("firmware", "stage", "--version", "new"), 1, "three numbers"),
        (("firmware", "ring", "--device", DEVICE, "--ring", "10"), 1, "from 0 to 9"),
        (("firmware", "ring", "--device", "00" * 8, "--ring", "1"), 1, "not registered"),
        (("firmware", "halt"), 1, "no rollout"),
        (("command", "send", "--device", DEVICE, "update"), 1, "--version"),
        (("command", "send", "--device", DEVICE, "update", "--version", "1.2"), 1, "three numbers"),
        (("command", "send", "--device", DEVICE, "restart", "--version", "1.2.3"), 1, "does not take --version"),
    ],
)
def test_what_cannot_be_done_is_said(hub, words, code, what):
    found, out, err = hub(*words)
    assert (found, out) == (code, "")
    assert what in err


def test_one_scanner_is_told_by_hand(hub):
    assert hub("command", "send", "--device", DEVICE, "update", "--version", "0.2.1")[0] == 0
    (row,) = json.loads(hub("command", "list", "--json")[1])
    assert (row["name"], json.loads(row["args"])) == ("update", {"release": 2001})


def test_without_a_folder_the_configuration_is_named(hub, tmp_path):
    (tmp_path / "hub.toml").write_text(TEXT)
    code, _, err = hub("firmware", "list")
    assert (code, "there is no [firmware]" in err) == (2, True)


def test_nobody_without_a_root_is_believed(hub, publisher):
    publisher.publish()
    code, out, err = hub("firmware", "import", str(publisher.folder))
    assert (code, out) == (1, "")
    assert "first import needs" in err
