"""Stories: one thing that happens to a whole site, told by real processes, with its times and an exit code.

gatelight-sandbox up --story colour-change --gates 50
"""

from deploy.sandbox.stories import close_place, colour_change, enrol, policy, revoke, trace, update, wipe
from deploy.sandbox.stories.story import Story

STORIES: dict[str, Story] = {
    "enrol": enrol.STORY,
    "colour-change": colour_change.STORY,
    "policy": policy.STORY,
    "close-place": close_place.STORY,
    "revoke": revoke.STORY,
    "wipe": wipe.STORY,
    "trace": trace.STORY,
    "update": update.STORY,
}
