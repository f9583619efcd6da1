"""No test opens a network socket unless it says so with `@pytest.mark.sockets`; Ctrl-C reaches what a test starts."""

import signal

import pytest
import pytest_socket
from hypothesis import HealthCheck, settings

# A busy machine must not fail a property by its clock.
settings.register_profile("gatelight", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gatelight")

# A job that a shell starts in the background ignores SIGINT, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_sockets(request: pytest.FixtureRequest):
    if request.node.get_closest_marker("sockets") or request.node.get_closest_marker("system"):
        pytest_socket.enable_socket()
    else:
        # Unix sockets stay: asyncio's own loop and the decoder's child talk over a pair of them.
        pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()
