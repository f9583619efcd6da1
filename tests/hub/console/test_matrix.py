"""Every route, page or function, asked by everybody: what comes is what its permission says. New routes come by themselves."""

import json

import pytest

from hub.console.accounts.roles import PERMISSIONS, Permission
from hub.console.web.routes import Route
from hub.model import Role

from .asking import OURS, ROUTES, SAFE, THEIRS, Answer, ask, filled
from .conftest import CALLER, SCOPES
from .examples import example_body

FOR_ALL = {
    "GET /",
    "GET /sign-in",
    "POST /sign-in",
    "POST /sign-out",
    "GET /welcome/{token}",
    "POST /welcome/{token}",
    "POST /language",
    "GET /robots.txt",
}
"""What people need before they have signed in. Nothing else is without a permission."""
NOT_FOR_YOU = ("Your account may not do this.", "This did not come from a page of this console.")
IDS = ("place", "place_id")


async def asked(console, route: Route, role: Role | None, values=OURS):
    """By a browser that has just signed in: some routes end its session."""
    headers = {"sec-fetch-site": "same-origin"}
    if role is not None:
        account = await console.store.find_account(role.value) or await console.account(role)
        let_in = await console.site.door.let_in(account, caller=CALLER)
        headers["cookie"] = f"gatelight={let_in.token}"
    body = b""
    if route.method not in SAFE and route.is_api:
        headers["content-type"] = "application/json"
        body = json.dumps(example_body(route)).encode()
    elif route.method not in SAFE:
        headers["content-type"] = "application/x-www-form-urlencoded"
    return await ask(console.app, route.method, filled(route, values), headers=headers, body=body)


def refused(answer: Answer) -> bool:
    """For who asks; a wrong password is a 403 too."""
    return answer.status == 401 or (answer.status == 403 and any(each in answer.text for each in NOT_FOR_YOU))


def test_every_route_names_a_permission_but_those_of_coming_in():
    assert {str(route) for route in ROUTES if route.permission is None} == FOR_ALL


def test_every_permission_is_of_some_role():
    assert set().union(*PERMISSIONS.values()) == set(Permission)


@pytest.mark.slow
async def test_nobody_comes_in_anywhere(console):
    wrong = []
    for route in ROUTES:
        answer = await asked(console, route, None)
        if route.permission is None:
            fits = not refused(answer)
        elif route.is_api:
            fits = answer.status == 401
        else:
            fits = answer.status == 303 and answer.headers["location"].startswith("/sign-in?next=")
        if not fits:
            wrong.append(f"{route}: {answer.status}")
    assert not wrong


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.slow
async def test_each_role_comes_where_its_permissions_say(console, role):
    await console.account(Role.OPERATOR, "spare")
    wrong = []
    for route in ROUTES:
        answer = await asked(console, route, role, OURS | {"name": "spare"})
        allowed = route.permission is None or route.permission in PERMISSIONS[role]
        fits = answer.status != 500 and refused(answer) != allowed
        if not fits:
            wrong.append(f"{route} needs {route.permission}: {answer.status} {answer.text[:200]}")
    assert not wrong
    account = await console.store.find_account(role.value)
    assert (account.role, account.scope, account.enabled) == (role, SCOPES.get(role, set()), True)


@pytest.mark.parametrize("role", list(SCOPES))
@pytest.mark.slow
async def test_another_place_is_not_there_for_a_scoped_role(console, role):
    wrong = []
    for route in ROUTES:
        if route.permission in PERMISSIONS[role] and any(each.alias in IDS for each in route.dependant.path_params):
            answer = await asked(console, route, role, THEIRS)
            if answer.status != 404:
                wrong.append(f"{route}: {answer.status} {answer.text[:200]}")
    assert not wrong
