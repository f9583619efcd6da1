"""The description of the API that people read: every function with what it needs, in both languages."""

import pytest

from hub.console.accounts.roles import Permission
from hub.console.api.reference import described
from hub.console.api.shapes import REFUSALS
from hub.console.app import routes
from hub.console.web.functions import Function, Value, functions, paragraphs
from hub.console.web.words import Words
from hub.model import Role

ALL = list(functions(described(routes())))
UNBOUNDED = {"yes or no", "one of", "object"}


def every_value(values: tuple[Value, ...]) -> list[Value]:
    return [each for value in values for each in (value, *every_value(value.inner))]


def sentences() -> set[str]:
    """Everything of it that is not written in a template."""
    found = {each["description"] for each in REFUSALS.values()}
    for one in ALL:
        found |= {one.group, *one.does, *one.takes}
        for value in every_value(one.values):
            found |= {value.kind, value.note} - {""}
    return found


@pytest.mark.parametrize("one", ALL, ids=lambda one: f"{one.method} {one.path}")
def test_every_function_says_what_it_does_and_what_bounds_its_values_have(one: Function):
    assert one.does[0].endswith((".", ".)"))
    assert one.permission in list(Permission)
    without = [
        each.name for each in every_value(one.values) if each.kind not in UNBOUNDED and not each.bounds + each.pattern
    ]
    assert without == []


def test_every_sentence_of_it_is_there_in_chinese():
    say = Words().of("zh")
    assert sorted(each for each in sentences() if not say.knows(each)) == []


def test_what_a_function_takes_is_told_with_its_limits():
    [publish] = [each for each in ALL if (each.method, each.path) == ("PUT", "/api/v1/policies/{place}")]
    values = {each.name: each for each in publish.values}
    assert (values["place"].where, values["place"].bounds, values["place"].pattern) == (
        "path",
        "1–32",
        "^[A-Za-z0-9._-]+$",
    )
    assert (values["rules"].kind, values["rules"].bounds, values["rules"].required) == ("map", "≤ 32", True)
    assert (values["expected_version"].kind, values["expected_version"].bounds) == ("integer", "≥ 0")
    assert not values["note"].required
    assert "version" in publish.gives


def test_what_lies_within_a_value_is_told_too():
    [code] = [each for each in ALL if each.path == "/api/v1/enrolments/codes"]
    [wifi] = [each for each in code.values if each.name == "wifi"]
    assert {each.name: each.bounds for each in wifi.inner} == {"ssid": "1–32", "psk": "8–64"}


def test_paragraphs_are_one_line_each():
    assert paragraphs("One\nline.\n\n  Another.\n") == ("One line.", "Another.")
    assert paragraphs("") == ()


@pytest.mark.parametrize(("language", "seen"), [("zh", "全部账号，按登录名排列。"), ("en", "All accounts, by name.")])
@pytest.mark.parametrize("role", list(Role))
async def test_everybody_who_is_signed_in_can_read_it(console, role, language, seen):
    browser = await console.signed_in(role)
    answer = await browser.get("/api", headers={"accept-language": language})
    assert answer.status_code == 200
    assert seen in answer.text
    assert all(f">{each.path}<" in answer.text for each in ALL)
    assert f"{console.site.url}/api/v1/me" in answer.text


async def test_the_summary_of_a_function_is_its_first_sentence(console):
    told = (await console.program(Role.AUDITOR)).get
    operation = (await told("/api/v1/openapi.json")).json()["paths"]["/api/v1/accounts/{name}"]["put"]
    assert operation["summary"] == "Another display name, role or scope; its sessions end"
