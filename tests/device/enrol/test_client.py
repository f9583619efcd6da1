"""The device's side of the connection, against a real TLS server."""

import _ssl
import ctypes
import dataclasses
import socket
import ssl

import pytest

from device.enrol.attempt import Attempt
from device.enrol.certificates import check_ca, public_hash
from device.enrol.client import HubClient, fetch_ca, trusting
from device.enrol.errors import AnswerError, RefusedError, UnreachableError, UntrustedError
from protocol.enrolment import EnrolmentState
from protocol.errors import MalformedError

pytestmark = [pytest.mark.sockets, pytest.mark.slow]


@pytest.fixture
def now_s(book):
    return book.world.now_s


def request_of(around, book):
    return Attempt.begin(book.text(), around)._request()


def test_a_device_asks_and_looks_over_tls_that_trusts_only_the_authority_of_the_code(serving, book, around, now_s):
    serving(book)
    hub = HubClient.pinned(book.code(), now_s=now_s)
    answer = hub.enrol(request_of(around, book))
    assert answer.state is EnrolmentState.WAITING
    assert hub.look(answer.id) == answer
    book.state = EnrolmentState.APPROVED
    assert hub.look(answer.id).configuration.place == "mall-1"


def test_an_address_with_a_path_keeps_it(serving, book, now_s):
    serving(book)
    with pytest.raises(RefusedError, match="nothing_here"):
        HubClient.pinned(book.code(url=book.url + "/gatelight"), now_s=now_s)
    assert book.seen == [("GET", "/gatelight/v1/ca")]


def test_another_authority_is_refused_before_anything_is_sent(serving, book, make_authority, now_s):
    book.authority = make_authority("Somebody")
    serving(book)
    with pytest.raises(UntrustedError, match="not the one that the code names"):
        HubClient.pinned(book.code(ca_hash=bytes(32)), now_s=now_s)
    assert book.seen == [("GET", "/v1/ca")]


@pytest.mark.parametrize("now_s", [1_799_971_200, None])
def test_the_right_authority_served_by_somebody_else_is_refused(serving, book, make_authority, around, now_s):
    """A man in the middle may hand on the real certificate; he cannot answer with it."""
    serving(book, authority=make_authority("Hub CA"))
    hub = HubClient.pinned(book.code(), now_s=now_s)
    with pytest.raises(UntrustedError):
        hub.enrol(request_of(around, book))
    assert book.seen == [("GET", "/v1/ca")], "the request with the token never left"
    assert book.bodies == [b""]


def test_a_certificate_for_another_host_is_refused(serving, book, around, now_s):
    serving(book, host="other.example")
    hub = HubClient.pinned(book.code(), now_s=now_s)
    with pytest.raises(UntrustedError, match="mismatch"):
        hub.enrol(request_of(around, book))


def test_a_certificate_that_is_no_authority_is_refused(serving, book, make_authority, now_s):
    book.authority = make_authority(is_ca=False)
    serving(book)
    with pytest.raises(UntrustedError, match="no authority"):
        HubClient.pinned(book.code(), now_s=now_s)


def test_an_authority_outside_its_time_is_refused_while_the_clock_is_trusted(serving, book, make_authority, now_s, day):
    import datetime as dt

    now = dt.datetime.fromtimestamp(now_s, dt.UTC)
    book.authority = make_authority(begins=now - 2000 * day, ends=now - 1999 * day)
    serving(book)
    with pytest.raises(UntrustedError, match="outside its time"):
        HubClient.pinned(book.code(), now_s=now_s)
    # Whoever does not know the time cannot judge it.
    assert HubClient.pinned(book.code(), now_s=None).enrol  # and the connection below works
    with pytest.raises(RefusedError, match="enrolment_unknown"):
        HubClient.pinned(book.code(), now_s=None).look(bytes(16))


@pytest.mark.parametrize("served", [b"", b"\x30\x82", b"x" * 2048, b"x" * 5000])
def test_what_is_no_certificate_is_refused(serving, book, served, now_s):
    serving(book)
    book.answers["/v1/ca"] = (200, served)
    with pytest.raises((UntrustedError, AnswerError)):
        HubClient.pinned(book.code(), now_s=now_s)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_the_right_key_in_a_spoilt_certificate_is_untrusted(make_authority):
    """Only the key is pinned: whoever answers may change the rest, and the two libraries that read it differ."""
    authority = make_authority()
    ca_hash = public_hash(authority.der)
    refused = 0
    for at in range(len(authority.der)):
        spoilt = authority.der[:at] + b"\xff" + authority.der[at + 1 :]
        try:
            check_ca(spoilt, ca_hash=ca_hash, now_s=None)
            trusting(spoilt, check_time=False)
        except UntrustedError:
            refused += 1
    assert refused


def test_a_certificate_of_a_version_that_there_is_not_is_refused(serving, book, now_s):
    serving(book)
    version_3, version_13 = bytes.fromhex("a003020102"), bytes.fromhex("a00302010c")
    book.answers["/v1/ca"] = (200, book.authority.der.replace(version_3, version_13, 1))
    with pytest.raises(UntrustedError, match="not the certificate of an authority"):
        HubClient.pinned(book.code(), now_s=now_s)


@pytest.mark.parametrize("size", [97 * 1024, 3_000_000])
def test_an_oversized_answer_is_refused(serving, book, around, size, now_s):
    serving(book)
    book.answers["/v1/enrolments"] = (200, bytes(size))
    with pytest.raises(AnswerError, match="over 98304 bytes"):
        HubClient.pinned(book.code(), now_s=now_s).enrol(request_of(around, book))


@pytest.mark.parametrize("body", [b"", b"\xff", b"\xa0", b"\xa1\x01\x40", b"{}"])
def test_an_answer_of_another_form_is_refused(serving, book, around, body, now_s):
    serving(book)
    book.answers["/v1/enrolments"] = (200, body)
    with pytest.raises(AnswerError):
        HubClient.pinned(book.code(), now_s=now_s).enrol(request_of(around, book))


def test_an_answer_about_another_enrolment_is_refused(serving, book, around, now_s):
    serving(book)
    hub = HubClient.pinned(book.code(), now_s=now_s)
    status, body = book.enrol(request_of(around, book))
    book.answers[f"/v1/enrolments/{bytes(16).hex()}"] = (status, body)
    with pytest.raises(AnswerError, match="another enrolment"):
        hub.look(bytes(16))


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        ((403, b'{"error": "token_used", "what": "used up"}'), RefusedError, "token_used"),
        ((404, b"not json"), RefusedError, "http_404"),
        ((400, b"[]"), RefusedError, "http_400"),
        ((400, b'{"error": 7, "what": "x"}'), RefusedError, "http_400"),
        ((400, b'{"error": "a\\u001b[2J", "what": "x"}'), RefusedError, "http_400"),
        ((403, b'{"error": "_u|g", "what": ""}'), RefusedError, "http_403"),
        ((403, b'{"error": "", "what": "x"}'), RefusedError, "http_403"),
        ((301, b""), RefusedError, "http_301"),
        ((429, b'{"error": "busy", "what": "later"}'), UnreachableError, "unreachable"),
        ((500, b""), UnreachableError, "unreachable"),
        ((503, b"[" * 4000), UnreachableError, "unreachable"),
    ],
)
def test_a_refusal_is_told_with_its_reason(serving, book, answer, error, reason):
    serving(book)
    book.answers["/v1/enrolments"] = answer
    with pytest.raises(error) as raised:
        HubClient.pinned(book.code(), now_s=None).enrol(b"any")
    assert raised.value.reason == reason
    assert "\x1b" not in str(raised.value)


def test_nobody_there_is_unreachable(book, now_s):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        book.port = unused.getsockname()[1]
        with pytest.raises(UnreachableError):
            HubClient.pinned(book.code(), now_s=now_s)


def test_an_answer_that_is_cut_short_may_be_asked_for_again(serving, book, now_s):
    serving(book)
    book.cut_short = True
    with pytest.raises(UnreachableError, match="IncompleteRead"):
        HubClient.pinned(book.code(), now_s=now_s)


@pytest.mark.parametrize("chunks", [b"5\r\nhello\r\n0\r\n\r\n", b"-5\r\n" + b"x" * 99, b"-1\r\n" + b"x" * 99])
def test_an_answer_in_chunks_is_not_read(serving, book, chunks, now_s):
    """Of a chunk of -1 bytes http.client reads all there is, however much; one of -5 is its ValueError."""
    serving(book)
    book.instead = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    with pytest.raises(UnreachableError, match="in chunks"):
        HubClient.pinned(book.code(), now_s=now_s)


def test_what_is_said_of_a_wrong_answer_steers_no_terminal(serving, book, now_s):
    serving(book)
    book.instead = b"HTTP/1.1 \x1b[2J\x9b" + b"x" * 9000 + b"\r\n\r\n"
    with pytest.raises(UnreachableError, match=r"BadStatusLine: HTTP/1\.1 \?\[2J\?x+$") as caught:
        HubClient.pinned(book.code(), now_s=now_s)
    assert len(str(caught.value)) < 300


@pytest.mark.slow
def test_whoever_drips_is_cut_off(serving, book, now_s):
    serving(book)
    book.drip_s = 0.1
    with pytest.raises(UnreachableError, match="took too long"):
        HubClient.pinned(book.code(), now_s=now_s, request_s=0.7)


@pytest.mark.slow
def test_whoever_takes_the_connection_and_says_nothing_is_cut_off(book, now_s):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        book.port = silent.getsockname()[1]
        with pytest.raises(UnreachableError):
            HubClient.pinned(book.code(), now_s=now_s, request_s=0.5)


@pytest.mark.parametrize("url", ["http://hub", "https://user@hub", "https://hub/?x", "https://hub:99999", "hub"])
def test_only_plain_https_addresses_are_taken(book, url, now_s):
    code = dataclasses.replace(book.code(url="https://hub"), url=url)
    with pytest.raises(MalformedError):
        HubClient.pinned(code, now_s=now_s)


def test_an_authority_is_read_whatever_a_module_for_keys_left_in_the_queue_of_errors(book):
    # SoftHSM asks for an engine that is not there, when it is opened; OpenSSL's queue is the thread's, not the caller's.
    assert not ctypes.CDLL(_ssl.__file__).ENGINE_by_id(b"none")
    assert trusting(book.authority.der, check_time=True).get_ca_certs(binary_form=True) == [book.authority.der]


def test_only_tls_1_3_is_spoken(book, serving):
    assert trusting(book.authority.der, check_time=True).minimum_version is ssl.TLSVersion.TLSv1_3
    serving(book)
    assert fetch_ca(HubClient.pinned(book.code(), now_s=None)._address) == book.authority.der
