"""The stage itself: what would go wrong in a page is seen."""

import pytest


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        (
            "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
            "Content Security Policy",
        ),
        ("document.body.setAttribute('style', 'color: red')", "Content Security Policy"),
        ("fetch('http://127.0.0.1:1/')", "Content Security Policy"),
        ("setTimeout(() => { throw new Error('broken') })", "exception"),
        ("console.error('oops')", "oops"),
    ],
)
async def test_trouble_in_a_page_is_seen(one_stage, script, seen):
    page = await one_stage.page()
    await page.goto("/sign-in")
    assert not one_stage.seen()
    await page.evaluate(f"() => {{ {script} }}")
    await page.wait_for_timeout(200)
    assert any(seen in each for each in one_stage.seen())
    one_stage.expects(".")


async def test_what_cannot_be_read_is_found(one_stage):
    page = await one_stage.page()
    await page.goto("/sign-in")
    await page.evaluate("document.querySelector('label').remove()")
    with pytest.raises(AssertionError, match="label"):
        await one_stage.check(page, "broken")
