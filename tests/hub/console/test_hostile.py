"""What OWASP's lists warn of, over all routes there are: other sites' forms, hostile texts, too much, too often."""

import csv
import dataclasses
import io
from urllib.parse import urlencode

import pytest

from hub.console.app import console_app
from hub.console.web.headers import BODY_BYTES
from hub.console.web.pace import ACCOUNT_BURST, ADDRESS_BURST, Pace
from hub.enrol.rates import Rates
from hub.model import AuditEntry, Gate, Place, Role

from .asking import ROUTES, SAFE, ask, filled
from .conftest import CALLER, PASSWORD
from .forms import forms_of

UNSAFE = [route for route in ROUTES if route.method not in SAFE]
PAGES = [route for route in ROUTES if route.method == "GET" and not route.is_api and route.permission is not None]
FORM = {"content-type": "application/x-www-form-urlencoded"}
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
RAW = ("<script>alert", "<img src=x", "'><")
SECURE = {
    "content-security-policy": "default-src 'none'; script-src 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=()",
}


@pytest.fixture
def console(console):
    """One that may be asked as fast as a test asks."""
    console.site = dataclasses.replace(
        console.site, pace=Pace(accounts=Rates(burst=10**6, per_s=1), addresses=Rates(burst=10**6, per_s=1))
    )
    console.app = console_app(console.site)
    return console


async def signed(console, role: Role, **more: str) -> dict[str, str]:
    """A browser's headers."""
    account = await console.store.find_account(role.value) or await console.account(role)
    let_in = await console.site.door.let_in(account, caller=CALLER)
    return {"cookie": f"gatelight={let_in.token}", **more}


def role_for(route) -> Role:
    return Role.ATTENDANT if route.permission == "desk" else Role.ADMINISTRATOR


@pytest.mark.parametrize(
    "came",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {},
    ],
    ids=str,
)
@pytest.mark.slow
async def test_no_other_site_changes_anything(console, came):
    wrong = []
    for route in UNSAFE:
        headers = await signed(console, role_for(route), **came, **FORM)
        answer = await ask(console.app, route.method, filled(route), headers=headers)
        if answer.status != 403 or "This did not come from a page of this console." not in answer.text:
            wrong.append(f"{route}: {answer.status}")
    assert not wrong


@pytest.mark.slow
async def test_every_answer_has_every_header(console):
    wrong = []

    def look(what, answer):
        missing = [name for name, value in SECURE.items() if not answer.headers.get(name, "").startswith(value)]
        if missing or "server" in answer.headers or "x-powered-by" in answer.headers:
            wrong.append(f"{what} {answer.status}: {missing}")

    for route in ROUTES:
        for headers in ({"sec-fetch-site": "same-origin"}, await signed(console, role_for(route))):
            look(route, await ask(console.app, route.method, filled(route), headers=headers))
    for path in ("/nothing", "/api/v1/nothing", "/static/style.css", "/static/nothing", "/%00", "/static/"):
        for method in ("GET", "POST", "PUT", "DELETE", "TRACE", "BREW"):
            look(f"{method} {path}", await ask(console.app, method, path, headers={}))
    long = {"content-length": str(BODY_BYTES + 1)}
    look("long", await ask(console.app, "POST", "/sign-in", headers=long))
    assert not wrong


async def test_an_error_of_ours_has_the_headers_too_and_tells_nothing(console, monkeypatch):
    async def broken(*args, **kwargs):
        raise ZeroDivisionError("the secret is 1234")

    monkeypatch.setattr(console.store, "find_session", broken)
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/me", "query_string": b"", "root_path": "", "scheme": "http"}
    scope |= {"server": ("127.0.0.1", 1), "client": ("127.0.0.1", 1), "http_version": "1.1", "raw_path": b"/me"}
    with pytest.raises(ZeroDivisionError):
        await console.app(scope | {"headers": [(b"cookie", b"gatelight=x")]}, receive, send)
    assert sent[0]["status"] == 500
    assert b"content-security-policy" in dict(sent[0]["headers"])
    assert b"1234" not in b"".join(each.get("body", b"") for each in sent)


@pytest.mark.slow
async def test_no_route_reads_more_than_the_longest_body(console):
    wrong = []
    for route in UNSAFE:
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            headers = await signed(console, role_for(route), **{"sec-fetch-site": "same-origin", "content-type": kind})
            body = b"name=" + b"x" * BODY_BYTES
            headers["content-length"] = str(len(body))
            answer = await ask(console.app, route.method, filled(route), headers=headers, body=body)
            if answer.status != 413:
                wrong.append(f"{route}: {answer.status}")
    assert not wrong


@pytest.mark.slow
async def test_an_account_that_asks_without_end_is_told_to_wait(console):
    console.site = dataclasses.replace(console.site, pace=Pace(accounts=Rates(burst=ACCOUNT_BURST, per_s=0)))
    console.app = console_app(console.site)
    program = await console.program(Role.OPERATOR)
    for _ in range(ACCOUNT_BURST):
        assert (await program.get("/api/v1/me")).status_code == 200
    refused = await program.get("/api/v1/me")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    other = await console.program(Role.AUDITOR)
    assert (await other.get("/api/v1/me")).status_code == 200


@pytest.mark.slow
async def test_an_address_that_asks_without_end_is_told_to_wait(console):
    console.site = dataclasses.replace(console.site, pace=Pace(addresses=Rates(burst=ADDRESS_BURST / 20, per_s=0)))
    console.app = console_app(console.site)
    for _ in range(ADDRESS_BURST // 20):
        assert (await ask(console.app, "GET", "/robots.txt", headers={})).status == 200
    assert (await ask(console.app, "GET", "/robots.txt", headers={})).status == 429


@pytest.mark.slow
async def test_a_hostile_text_in_any_field_comes_back_as_text(console):
    """Every form of every page, one field after the other; and whatever stands in an address."""
    await spoilt(console)
    wrong, sent = [], 0

    def look(what, answer):
        if answer.headers.get("content-type", "").startswith("text/html"):
            wrong.extend(f"{what}: {raw}" for raw in RAW if raw in answer.text)

    for route in PAGES:
        headers = await signed(console, role_for(route), **{"sec-fetch-site": "same-origin"}, **FORM)
        path = filled(route)
        queried = {each.alias: HOSTILE for each in route.dependant.query_params}
        look(route, await ask(console.app, "GET", f"{path}?{urlencode(queried)}", headers=headers))
        page = await ask(console.app, "GET", path, headers=headers)
        look(route, page)
        for form in forms_of(page.text):
            for name in form.texts:
                # Signing out, and a new password, would end the session.
                fresh = await signed(console, role_for(route), **{"sec-fetch-site": "same-origin"}, **FORM)
                body = urlencode(form.values | {name: HOSTILE}).encode()
                target = form.action or path
                if form.method == "GET":
                    answer = await ask(console.app, "GET", f"{target}?{body.decode()}", headers=fresh)
                else:
                    answer = await ask(console.app, "POST", target, headers=fresh, body=body)
                look(f"{form.method} {target} with {name}", answer)
                sent += 1
    assert sent > 10
    assert not wrong


async def test_a_hostile_text_where_nobody_is_signed_in_comes_back_as_text(console):
    token = await console.site.door.invite(None, who="test")
    for path in ("/sign-in", f"/welcome/{token}"):
        page = await ask(console.app, "GET", path, headers={})
        for form in forms_of(page.text):
            for name in form.texts:
                body = urlencode(form.values | {name: HOSTILE}).encode()
                headers = {"sec-fetch-site": "same-origin", **FORM}
                answer = await ask(console.app, form.method, form.action, headers=headers, body=body)
                assert not any(raw in answer.text for raw in RAW), (path, name)


@pytest.mark.slow
async def test_what_is_in_the_database_comes_as_text_on_every_page(console):
    await spoilt(console)
    shown = 0
    for route in PAGES:
        headers = await signed(console, role_for(route))
        answer = await ask(console.app, "GET", filled(route), headers=headers)
        assert not any(raw in answer.text for raw in RAW), route
        shown += "&lt;script&gt;alert" in answer.text
    assert shown


@pytest.mark.parametrize(
    "where", ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil", "javascript:1"]
)
async def test_the_language_sends_nobody_elsewhere(console, where):
    body = urlencode({"language": "en", "next": where}).encode()
    headers = {"sec-fetch-site": "same-origin", **FORM}
    answer = await ask(console.app, "POST", "/language", headers=headers, body=body)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    page = await ask(console.app, "GET", f"/sign-in?{urlencode({'next': where})}", headers={})
    assert "evil" not in page.text
    assert "javascript:1" not in page.text


@pytest.mark.slow
async def test_no_cell_of_a_table_to_take_away_is_a_formula(console):
    await spoilt(console)
    for text in ("=1+1", "+1", "-1+1", "@SUM(1)", "\t=1"):
        entry = AuditEntry(at_ms=console.clock.ms, who=text, action=text, detail=text)
        await console.store.audit(entry)
    tables = 0
    for route in ROUTES:
        if route.method != "GET" or not route.is_api:
            continue
        answer = await ask(console.app, "GET", filled(route), headers=await signed(console, role_for(route)))
        if answer.headers.get("content-type", "").startswith("text/csv"):
            tables += 1
            assert "attachment" in answer.headers["content-disposition"]
            cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
            assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}], route
    assert tables


@pytest.mark.parametrize(
    "path",
    [
        "../app.py",
        "..\\app.py",
        "/etc/passwd",
        "./../app.py",
        "a/../../app.py",
        "%2e%2e/app.py",
        "\0",
        "vendor/../../app.py",
        ".",
    ],
)
async def test_static_files_are_only_those_of_its_folder(console, path):
    answer = await ask(console.app, "GET", f"/static/{path}", headers={})
    assert answer.status in {404, 405}
    assert "import" not in answer.text


async def test_by_https_a_cookie_is_only_for_this_host(console):
    https = dataclasses.replace(console.site, url="https://console.example")
    await console.account(Role.OPERATOR)
    body = urlencode({"name": "operator", "password": PASSWORD, "next": "/"}).encode()
    headers = {"origin": https.url, **FORM}
    answer = await ask(console_app(https), "POST", "/sign-in", headers=headers, body=body)
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == "__Host-gatelight"
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= {each.strip().lower() for each in rest.split(";")}
    assert "domain" not in rest.lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=")


async def test_an_unknown_name_costs_as_much_as_a_wrong_password(console, monkeypatch):
    await console.account(Role.OPERATOR)
    passwords, hashed = console.site.door._passwords, []
    true = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda *args: hashed.append(args) or true(*args))
    said = set()
    for name in ("operator", "nobody"):
        body = urlencode({"name": name, "password": "not the right password"}).encode()
        headers = {"sec-fetch-site": "same-origin", **FORM}
        answer = await ask(console.app, "POST", "/sign-in", headers=headers, body=body)
        said.add((answer.status, answer.text.replace(name, "")))
    assert len(hashed) == 2
    assert len(said) == 1


async def spoilt(console) -> None:
    """Whatever people named, they named it so."""
    entry = AuditEntry(at_ms=console.clock.ms, who=HOSTILE, action=HOSTILE, detail=HOSTILE)
    await console.store.audit(entry)
    await console.store.add_place(Place(place_id="spoilt", name=HOSTILE), audit=entry)
    await console.store.add_gate(Gate(place_id="spoilt", gate_id="G1", name=HOSTILE), audit=entry)
    await console.account(Role.ADMINISTRATOR)
    account = await console.account(Role.OPERATOR)
    await console.store.change_account(dataclasses.replace(account, display=HOSTILE), audit=entry)
    await console.site.door.add_token(account, label=HOSTILE, days=1, caller=CALLER)
