"""All targets by name."""

from tests.fuzz.config_targets import CONFIG_TARGETS
from tests.fuzz.device_targets import DEVICE_TARGETS
from tests.fuzz.forgery_targets import FORGERY_TARGETS
from tests.fuzz.hub_targets import HUB_TARGETS
from tests.fuzz.platform_targets import PLATFORM_TARGETS
from tests.fuzz.scan_targets import SCAN_TARGETS
from tests.fuzz.signed_targets import SIGNED_TARGETS
from tests.fuzz.wire_targets import WIRE_TARGETS

TARGETS = {
    target.name: target
    for target in (
        *WIRE_TARGETS,
        *SIGNED_TARGETS,
        *FORGERY_TARGETS,
        *SCAN_TARGETS,
        *DEVICE_TARGETS,
        *CONFIG_TARGETS,
        *HUB_TARGETS,
        *PLATFORM_TARGETS,
    )
}
