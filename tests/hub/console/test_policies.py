"""Policies: what people read, try, publish and take back, through the whole application."""

import pytest

from hub.model import Role
from hub.store.trust_ports import DeviceSeen, IssuedPolicy
from hub.trust.rules import KEYS, Rules
from protocol.keys import Ed25519SigningKey
from protocol.policy import seal_policy

from .rows import Stream

BASE = "/api/v1/policies"


@pytest.fixture
async def admin(console):
    return await console.signed_in(Role.ADMINISTRATOR)


def new(version=0, note="order 12", **rules):
    return {"rules": rules or {"yellow": "refuse"}, "expected_version": version, "note": note}


async def test_defaults_hold_where_nobody_set_anything(admin):
    policy = (await admin.get(f"{BASE}/mall")).json()
    assert (policy["version"], policy["rules"]) == (0, Rules.defaults().texts())
    assert policy["force"] == {"devices": 0, "in_force": 0, "waiting": []}


async def test_a_rule_is_looked_at_published_and_taken_back(console, admin):
    looked = (await admin.post(f"{BASE}/mall/preview", json={"rules": {"yellow": "refuse"}})).json()
    assert looked["changes"] == [{"rule": "yellow", "before": "hold", "after": "refuse"}]
    yellow = next(line for line in looked["table"] if line["case"] == "yellow")
    assert yellow["decisions"]["live"] == {"colour": "yellow", "verdict": "refuse", "reason": "colour_yellow"}
    assert (await admin.get(f"{BASE}/mall")).json()["version"] == 0
    assert (await admin.put(f"{BASE}/mall", json=new())).json()["version"] == 1
    reverted = await admin.put(f"{BASE}/mall", json=new(1, note="", yellow="hold", leeway_s="60"))
    assert reverted.json()["version"] == 2
    back = await admin.post(f"{BASE}/mall/revert", json={"to_version": 1, "expected_version": 2, "note": "as before"})
    assert (back.json()["version"], back.json()["rules"]["yellow"]) == (3, "refuse")
    history = (await admin.get(f"{BASE}/mall/versions")).json()
    assert [(one["version"], one["who"], one["note"]) for one in history] == [
        (3, "administrator", "as before"),
        (2, "administrator", ""),
        (1, "administrator", "order 12"),
    ]
    assert history[1]["changed"] == {"yellow": "hold", "leeway_s": "60"}
    assert (await admin.get(f"{BASE}/mall/versions/2")).json()["leeway_s"] == "60"
    actions = [entry.action for entry in await console.store.audit_log(limit=3)]
    assert actions == ["policy.set"] * 3


async def test_the_second_of_two_is_told(console, admin):
    assert (await admin.put(f"{BASE}/mall", json=new())).status_code == 200
    late = await admin.put(f"{BASE}/mall", json=new(0, leeway_s="60"))
    assert (late.status_code, late.json()["error"]) == (409, "conflict")
    assert "administrator" in late.json()["what"]
    late = await admin.post(f"{BASE}/mall/revert", json={"to_version": 1, "expected_version": 0})
    assert late.status_code == 409
    assert (await admin.get(f"{BASE}/mall")).json()["version"] == 1


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ({"leeway_s": "301"}, "leeway_s"),
        ({"green": "refuse"}, "green"),
        ({"quiet": "22:00-22:00+08:00"}, "quiet"),
        ({"nonsense": "1"}, "rules"),
        ({"keep_masked": "<script>"}, "keep_masked"),
        ({"resolve_prefixes": "x" * 256}, "resolve_prefixes"),
        ({}, "rules"),
    ],
)
async def test_what_a_gate_would_refuse_is_named(admin, rules, where):
    answer = await admin.put(f"{BASE}/mall", json={"rules": rules, "expected_version": 0})
    assert (answer.status_code, answer.json()["where"]) == (422, where)


async def test_where_it_is_in_force_is_told(console, admin):
    await Stream(console).register()
    assert (await admin.get(f"{BASE}/mall")).json()["force"]["in_force"] == 0
    wanted = Rules.defaults().for_gate(device=b"device-A", place="mall", gate="G1", direction=None, closed=False)
    key = Ed25519SigningKey(bytes(32))
    sealed = seal_policy(wanted, key=key)
    await console.store.keep_issued(
        (IssuedPolicy(device_id=b"device-A", version=1, digest=bytes(32), sealed=sealed, issued_ms=1),)
    )
    seen = DeviceSeen(device_id=b"device-A", seen_ms=1, online=True, firmware="1", trust_version=1, policy_version=1)
    await console.store.keep_seen((seen,))
    assert (await admin.get(f"{BASE}/mall")).json()["force"] == {"devices": 1, "in_force": 1, "waiting": []}
    await admin.put(f"{BASE}/mall", json=new())
    assert (await admin.get(BASE)).json()[0]["force"]["waiting"] == [b"device-A".hex()]


async def test_who_may(console):
    responsible = await console.signed_in(Role.RESPONSIBLE)
    assert (await responsible.get(f"{BASE}/mall")).status_code == 200
    assert (await responsible.get(f"{BASE}/station")).status_code == 404
    assert [one["place"] for one in (await responsible.get(BASE)).json()] == ["mall"]
    assert (await responsible.put(f"{BASE}/mall", json=new())).status_code == 403
    operator = await console.signed_in(Role.OPERATOR)
    assert (await operator.get(f"{BASE}/nowhere")).status_code == 404
    assert (await operator.put(f"{BASE}/mall", json=new())).status_code == 403
    assert (await (await console.signed_in(Role.ATTENDANT)).get(BASE)).status_code == 403


async def test_the_page_publishes_in_two_steps(console, admin):
    rules = Rules.defaults().texts()
    page = await admin.get("/policies/mall")
    assert page.status_code == 200
    assert all(f'name="{key}"' in page.text for key in KEYS if key != "quiet")
    form = rules | {"expected_version": "0", "note": "<b>why</b>", "yellow": "refuse"}
    shown = await admin.post("/policies/mall/preview", data=form)
    assert shown.status_code == 200
    assert "<b>why</b>" not in shown.text
    done = await admin.post("/policies/mall", data=form)
    assert (done.status_code, done.headers["location"]) == (303, "/policies/mall")
    late = await admin.post("/policies/mall", data=form | {"leeway_s": "60"})
    assert late.status_code == 409
    assert "meanwhile" in late.text
    wrong = await admin.post("/policies/mall/preview", data=form | {"expected_version": "1", "leeway_s": "999"})
    assert wrong.status_code == 422
    assert 'value="999"' in wrong.text
    back = await admin.post("/policies/mall/revert", data={"to_version": "1", "expected_version": "1", "note": ""})
    assert back.status_code == 303


async def test_who_only_reads_has_no_buttons(console):
    responsible = await console.signed_in(Role.RESPONSIBLE)
    page = await responsible.get("/policies/mall")
    assert page.status_code == 200
    assert 'action="/policies/mall' not in page.text
