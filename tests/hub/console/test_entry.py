"""Signing in and out, the first link, sessions: through the whole application, on a real database."""

import pyotp
import pytest

from hub.console.accounts.door import IDLE_MS, LONGEST_MS
from hub.model import Role

from .conftest import PASSWORD, SECRET


def form(console, role=Role.OPERATOR, **more):
    return {"name": role.value, "password": PASSWORD, "code": "", "next": "/", **more}


async def test_a_link_makes_the_first_administrator_once(console):
    token = await console.site.door.invite(None, who="root")
    browser = console.browser()
    shown = await browser.get(f"/welcome/{token}")
    assert shown.status_code == 200
    secret = shown.text.split('name="secret" value="')[1].split('"')[0]
    sent = {"name": "anna", "display": "Anna", "password": PASSWORD, "secret": secret}
    wrong = await browser.post(f"/welcome/{token}", data=sent | {"code": "000000"})
    assert wrong.status_code == 422
    assert secret in wrong.text
    code = pyotp.TOTP(secret).at(console.clock.ms // 1000)
    done = await browser.post(f"/welcome/{token}", data=sent | {"code": code})
    assert done.status_code == 303
    me = await browser.get("/api/v1/me")
    assert me.json()["role"] == "administrator"
    again = await console.browser().post(f"/welcome/{token}", data=sent | {"name": "eve", "code": code})
    assert again.status_code == 404
    assert [account.name for account in await console.store.accounts()] == ["anna"]


async def test_no_second_first_administrator(console):
    token = await console.site.door.invite(None, who="root")
    await console.account(Role.ADMINISTRATOR)
    code = pyotp.TOTP(SECRET).at(console.clock.ms // 1000)
    sent = {"name": "eve", "password": PASSWORD, "secret": SECRET, "code": code}
    assert (await console.browser().post(f"/welcome/{token}", data=sent)).status_code == 409


async def test_a_link_ends_after_a_day(console):
    token = await console.site.door.invite(None, who="root")
    console.clock.pass_s(86_400)
    assert (await console.browser().get(f"/welcome/{token}")).status_code == 404


async def test_who_knows_the_password_comes_in_and_is_known(console):
    await console.account(Role.OPERATOR)
    browser = console.browser()
    answer = await browser.post("/sign-in", data=form(console))
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert (await browser.get("/api/v1/me")).json()["name"] == "operator"


@pytest.mark.parametrize(
    "wrong", [{"password": PASSWORD + "."}, {"name": "nobody"}, {"password": ""}, {"name": ""}, {"name": "x" * 5000}]
)
async def test_who_does_not_stays_out_and_is_not_told_why(console, wrong):
    await console.account(Role.OPERATOR)
    browser = console.browser()
    answer = await browser.post("/sign-in", data=form(console, **wrong))
    assert answer.status_code == 403
    assert "Name, password or code are not right." in answer.text
    assert (await browser.get("/api/v1/me")).status_code == 401


async def test_an_administrator_needs_a_code_and_each_is_good_once(console):
    await console.account(Role.ADMINISTRATOR)
    sent = form(console, Role.ADMINISTRATOR)
    assert (await console.browser().post("/sign-in", data=sent)).status_code == 403
    sent["code"] = console.code()
    assert (await console.browser().post("/sign-in", data=sent)).status_code == 303
    assert (await console.browser().post("/sign-in", data=sent)).status_code == 403
    console.clock.pass_s(30)
    sent["code"] = console.code()
    assert (await console.browser().post("/sign-in", data=sent)).status_code == 303


async def test_who_guesses_waits_longer_and_longer(console):
    await console.account(Role.OPERATOR)
    browser = console.browser()
    for _ in range(10):
        assert (await browser.post("/sign-in", data=form(console, password="wrong wrong wrong"))).status_code == 403
    refused = await browser.post("/sign-in", data=form(console))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    console.clock.pass_s(2)
    assert (await browser.post("/sign-in", data=form(console))).status_code == 303


async def test_a_session_ends_when_nothing_is_asked(console):
    browser = await console.signed_in(Role.OPERATOR)
    console.clock.pass_s(IDLE_MS / 1000 - 1)
    assert (await browser.get("/api/v1/me")).status_code == 200
    console.clock.pass_s(IDLE_MS / 1000 + 1)
    assert (await browser.get("/api/v1/me")).status_code == 401


async def test_a_session_ends_after_a_shift(console):
    browser = await console.signed_in(Role.OPERATOR)
    for _ in range(LONGEST_MS // (IDLE_MS // 2)):
        assert (await browser.get("/api/v1/me")).status_code == 200
        console.clock.pass_s(IDLE_MS / 2000)
    assert (await browser.get("/api/v1/me")).status_code == 401


async def test_signing_out_ends_the_session_on_the_server(console):
    browser = await console.signed_in(Role.OPERATOR)
    token = browser.cookies["gatelight"]
    assert (await browser.post("/sign-out")).status_code == 303
    thief = console.browser()
    thief.cookies.set("gatelight", token)
    assert (await thief.get("/api/v1/me")).status_code == 401


async def test_a_session_that_was_there_before_is_not_the_one_that_is_let_in(console):
    await console.account(Role.OPERATOR)
    browser = console.browser()
    browser.cookies.set("gatelight", "chosen-by-somebody-else")
    await browser.post("/sign-in", data=form(console))
    thief = console.browser()
    thief.cookies.set("gatelight", "chosen-by-somebody-else")
    assert (await thief.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "where", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
async def test_nobody_is_sent_elsewhere(console, where):
    await console.account(Role.OPERATOR)
    answer = await console.browser().post("/sign-in", data=form(console, next=where))
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    "header", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"}]
)
async def test_another_sites_form_changes_nothing(console, header):
    browser = await console.signed_in(Role.ADMINISTRATOR, **header)
    answer = await browser.post("/api/v1/accounts", json={"name": "eve", "role": "administrator"})
    assert answer.status_code == 403
    assert answer.json()["error"] == "cross_site"
    assert (await console.store.find_account("eve")) is None


async def test_an_old_browser_is_known_by_its_origin(console):
    browser = await console.signed_in(Role.ADMINISTRATOR)
    del browser.headers["sec-fetch-site"]
    body = {"name": "li", "role": "operator"}
    assert (await browser.post("/api/v1/accounts", json=body)).status_code == 403
    assert (await browser.post("/api/v1/accounts", json=body, headers={"origin": "http://evil"})).status_code == 403
    ours = {"origin": "http://127.0.0.1:8445"}
    assert (await browser.post("/api/v1/accounts", json=body, headers=ours)).status_code == 201


async def test_a_program_needs_no_page_of_ours(console):
    program = await console.program(Role.ADMINISTRATOR)
    body = {"name": "li", "role": "operator"}
    made = await program.post("/api/v1/accounts", json=body)
    assert made.status_code == 201
    assert made.json()["url"].startswith("http://127.0.0.1:8445/welcome/")


async def test_a_token_for_programs_is_no_cookie_and_the_other_way(console):
    program = await console.program(Role.OPERATOR)
    token = program.headers["authorization"].removeprefix("Bearer ")
    browser = console.browser()
    browser.cookies.set("gatelight", token)
    assert (await browser.get("/api/v1/me")).status_code == 401
    signed = await console.signed_in(Role.OPERATOR)
    other = console.browser(authorization=f"Bearer {signed.cookies['gatelight']}")
    assert (await other.get("/api/v1/me")).status_code == 401


async def test_a_changed_password_ends_the_other_sessions(console):
    one, other = await console.signed_in(Role.OPERATOR), await console.signed_in(Role.OPERATOR)
    new = "four other words here"
    wrong = await one.post("/me/password", data={"was": "not this", "password": new})
    assert wrong.status_code == 403
    weak = await one.post("/me/password", data={"was": PASSWORD, "password": "short"})
    assert weak.status_code == 422
    assert (await one.post("/me/password", data={"was": PASSWORD, "password": new})).status_code == 303
    assert (await one.get("/api/v1/me")).status_code == 200
    assert (await other.get("/api/v1/me")).status_code == 401
    assert (await console.browser().post("/sign-in", data=form(console, password=new))).status_code == 303


async def test_the_last_administrator_stays_one(console):
    browser = await console.signed_in(Role.ADMINISTRATOR)
    answer = await browser.put("/api/v1/accounts/administrator", json={"role": "operator"})
    assert answer.status_code == 409
    answer = await browser.put("/api/v1/accounts/administrator", json={"role": "administrator", "enabled": False})
    assert answer.status_code == 409


async def test_a_disabled_account_is_out_at_once(console):
    administrator = await console.signed_in(Role.ADMINISTRATOR)
    operator = await console.signed_in(Role.OPERATOR)
    changed = await administrator.put("/api/v1/accounts/operator", json={"role": "operator", "enabled": False})
    assert changed.status_code == 200
    assert (await operator.get("/api/v1/me")).status_code == 401
    assert (await console.browser().post("/sign-in", data=form(console))).status_code == 403


async def test_too_long_a_request_is_refused_unread(console):
    browser = await console.signed_in(Role.ADMINISTRATOR)
    answer = await browser.post("/api/v1/accounts", content=b"x" * 200_000)
    assert answer.status_code == 413

    async def endless():
        for _ in range(100):
            yield b"x" * 10_000

    answer = await browser.post("/api/v1/accounts", content=endless())
    assert answer.status_code == 413


async def test_every_answer_has_the_headers(console):
    browser = await console.signed_in(Role.OPERATOR)
    for path in ("/", "/me", "/sign-in", "/api/v1/me", "/nothing", "/static/style.css", "/static/nothing"):
        answer = await browser.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"], path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["x-frame-options"] == "DENY", path
