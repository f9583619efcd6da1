"""Each story of the sandbox, on a smaller site: what happens to a whole site happens, and in time."""

import pytest

from deploy.sandbox.stories import STORIES

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("stories")]

GATES = {"colour-change": 6}


@pytest.mark.parametrize("name", STORIES)
async def test_the_story_holds(name, tmp_path):
    story = STORIES[name]
    async with story.site(tmp_path / "site", gates=GATES.get(name)) as site:
        outcome = await story.tell(site, print)
    assert outcome.failures == []
    assert outcome.figures
