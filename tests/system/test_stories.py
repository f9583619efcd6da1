"""Each story of the sandbox, on a smaller site: what happens to a whole site happens, and in time."""

import pytest

from deploy.sandbox.site import Site
from deploy.sandbox.stories import STORIES

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("stories")]

GATES = {"colour-change": 6}


@pytest.mark.parametrize("name", STORIES)
async def test_the_story_holds(name, tmp_path):
    story = STORIES[name]
    gates = GATES.get(name, story.gates)
    async with Site(tmp_path / "site", gates=gates, blank=story.blank, frames_per_s=story.frames_per_s) as site:
        outcome = await story.tell(site, print)
    assert outcome.failures == []
    assert outcome.figures
