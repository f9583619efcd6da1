"""HTTPS from a device to its hub: pinned to one certificate authority, bounded in time and size.

The authority's certificate is fetched first, from whoever answers, and compared with the hash in the provisioning
code. Nothing else is sent or believed before TLS 1.3 has shown that the other side holds a certificate of just this
authority, for the name in the address.
"""

import http.client
import json
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from device.enrol import certificates
from device.enrol.errors import AnswerError, RefusedError, UnreachableError, UntrustedError
from protocol.enrolment import (
    EnrolmentAnswer,
    ProvisioningCode,
    RenewalAnswer,
    decode_answer,
    decode_renewal_answer,
)
from protocol.errors import ProtocolError
from protocol.limits import CERTIFICATE_BYTES, ENROLMENT_ANSWER_BYTES, RENEWAL_ANSWER_BYTES
from protocol.provisioning import read_url

SILENCE_S = 5.0
"""The longest that one read or write may stand still."""

REQUEST_S = 15.0
"""The longest that a whole request may take, however busily the other side drips."""

_REFUSAL_BYTES = 4096
_SENTENCE_CHARS = 200
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the ssl module has no name for."""

_CBOR, _COSE = "application/cbor", "application/cose"
_BUSY = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Address:
    """Where the hub's API is: `path` has no slash at its end."""

    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """An address in the form of provisioning codes.

        Raises:
            MalformedError: another form.
        """
        parts = urlsplit(read_url(url, "hub url"))
        return cls(parts.hostname or "", parts.port or 443, parts.path)


class HubClient:
    """The hub's HTTP API, each request on a connection of its own."""

    def __init__(self, address: Address, context: ssl.SSLContext, *, request_s: float = REQUEST_S) -> None:
        self._address = address
        self._context = context
        self._request_s = request_s

    @classmethod
    def pinned(cls, code: ProvisioningCode, *, now_s: int | None, request_s: float = REQUEST_S) -> Self:
        """The hub that a provisioning code names; fetches its authority's certificate.

        Args:
            code: what was scanned.
            now_s: None while the clock is not to be believed: then no certificate's time is judged.
            request_s: the longest that one request may take.

        Raises:
            UnreachableError, UntrustedError, AnswerError, RefusedError: see there.
        """
        address = Address.parse(code.url)
        ca = fetch_ca(address, request_s=request_s)
        certificates.check_ca(ca, ca_hash=code.ca_hash, now_s=now_s)
        return cls(address, trusting(ca, check_time=now_s is not None), request_s=request_s)

    @classmethod
    def known(cls, url: str, *, ca: Path, cert: Path, key: Path, request_s: float = REQUEST_S) -> Self:
        """The hub of a site that this device belongs to, which is shown the device's certificate.

        Raises:
            MalformedError: no address.
            UntrustedError: one of the files cannot be used.
        """
        try:
            context = trusting(certificates.to_der(ca.read_bytes()), check_time=True)
            context.load_cert_chain(cert, key)
        except OSError as error:  # What OpenSSL says of a bad file is an OSError as well.
            raise UntrustedError(f"{cert}: {error}") from error
        return cls(Address.parse(url), context, request_s=request_s)

    def enrol(self, request: bytes) -> EnrolmentAnswer:
        """Asks for enrolment with a sealed request; the same key and token again get the same answer.

        Raises:
            UnreachableError, UntrustedError, AnswerError, RefusedError: see there.
        """
        return _decoded(self._ask("POST", "/v1/enrolments", request, limit=ENROLMENT_ANSWER_BYTES))

    def look(self, enrolment: bytes) -> EnrolmentAnswer:
        """What became of an enrolment.

        Raises:
            UnreachableError, UntrustedError, AnswerError, RefusedError: see there.
        """
        answer = _decoded(self._ask("GET", f"/v1/enrolments/{enrolment.hex()}", None, limit=ENROLMENT_ANSWER_BYTES))
        if answer.id != enrolment:
            raise AnswerError("an answer about another enrolment")
        return answer

    def renew(self, request: bytes) -> RenewalAnswer:
        """Asks for a new certificate with a sealed renewal.

        Raises:
            UnreachableError, UntrustedError, AnswerError, RefusedError: see there.
        """
        data = self._ask("POST", "/v1/renewals", request, limit=RENEWAL_ANSWER_BYTES)
        try:
            return decode_renewal_answer(data)
        except ProtocolError as error:
            raise AnswerError(str(error)) from error

    def _ask(self, method: str, path: str, body: bytes | None, *, limit: int) -> bytes:
        return _exchange(self._address, self._context, method, path, body=body, limit=limit, request_s=self._request_s)


def fetch_ca(address: Address, *, request_s: float = REQUEST_S) -> bytes:
    """The authority's certificate, DER, from whoever answers: to be compared with a hash before anything else.

    Raises:
        UnreachableError, AnswerError, RefusedError: see there.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _exchange(address, context, "GET", "/v1/ca", body=None, limit=CERTIFICATE_BYTES, request_s=request_s)


def trusting(ca: bytes, *, check_time: bool) -> ssl.SSLContext:
    """TLS 1.3 that believes certificates of exactly this authority (DER), for the host that was asked for.

    Raises:
        UntrustedError: OpenSSL does not read it, which is stricter here and there than what checked it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        # As PEM: of DER, Python would take an error that another library left in this thread for one of its own.
        context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(ca))
    except ssl.SSLError as error:
        raise UntrustedError(f"not the certificate of an authority: {error}") from error
    # The pinned authority is where trust begins, whether or not another one stands above it.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if not check_time:
        context.verify_flags |= _NO_CHECK_TIME
    return context


def _exchange(
    address: Address,
    context: ssl.SSLContext,
    method: str,
    path: str,
    *,
    body: bytes | None,
    limit: int,
    request_s: float,
) -> bytes:
    connection = http.client.HTTPSConnection(
        address.host, address.port, timeout=min(SILENCE_S, request_s), context=context
    )
    end = _End()
    timer = threading.Timer(request_s, end.come)
    timer.daemon = True
    timer.start()
    headers = {"Accept": _CBOR} | ({"Content-Type": _COSE} if body is not None else {})
    try:
        connection.connect()
        end.watch(connection.sock)
        connection.request(method, address.path + path, body=body, headers=headers)
        status, data = _read(connection.getresponse(), limit=limit)
    except ssl.SSLCertVerificationError as error:
        raise UntrustedError(f"{address.host}: {error.verify_message}") from error
    except (OSError, http.client.HTTPException) as error:
        what = "took too long" if end.came else _said(error)
        raise UnreachableError(f"{address.host}:{address.port}: {what}") from error
    finally:
        timer.cancel()
        connection.close()
    if end.came:
        raise UnreachableError(f"{address.host}:{address.port}: took too long")
    return _judged(status, data, limit=limit)


def _read(response: http.client.HTTPResponse, *, limit: int) -> tuple[int, bytes]:
    """Status and body, of which never much more than `limit` is read.

    Raises:
        HTTPException: cut short, or in chunks. The hub sends none, and http.client takes a chunk of -1 bytes for all
            that there is, and fails over one of -5 with a ValueError.
    """
    if response.chunked:
        raise http.client.HTTPException("an answer in chunks")
    most = max(limit, _REFUSAL_BYTES) + 1
    data = response.read(most)
    if len(data) < most and response.length:
        raise http.client.IncompleteRead(data, response.length)
    return response.status, data


def _said(error: Exception) -> str:
    """What went wrong, for a log: http.client repeats the line that it could not read."""
    text = f"{type(error).__name__}: {error}"[:_SENTENCE_CHARS]
    return "".join(character if character.isprintable() else "?" for character in text)


class _End:
    """Ends a request that takes too long, from the timer's thread."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.came = False

    def watch(self, connected: socket.socket) -> None:
        """From now on this connection is what ends.

        Raises:
            TimeoutError: the end came while it was being made.
        """
        self._socket = connected
        if self.came:
            raise TimeoutError

    def come(self) -> None:
        """The time is over."""
        self.came = True
        if self._socket is not None:
            with suppress(OSError):  # It may be closed already.
                # Not SSLSocket's own: that would change the object under its reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _judged(status: int, data: bytes, *, limit: int) -> bytes:
    if 200 <= status < 300:
        if len(data) > limit:
            raise AnswerError(f"over {limit} bytes")
        return data
    reason, what = _refusal(status, data)
    if status in _BUSY or status >= 500:
        raise UnreachableError(f"{reason}: {what}")
    raise RefusedError(reason, what)


def _refusal(status: int, data: bytes) -> tuple[str, str]:
    """The reason and the sentence of a refusal, as far as there are any and they can be shown."""
    try:
        said = json.loads(data[:_REFUSAL_BYTES])
        reason, what = said["error"], said["what"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return f"http_{status}", "no reason was given"
    if not (_is_line(reason) and _is_line(what)):
        return f"http_{status}", "no reason was given"
    return reason[:64], what[:256]


def _is_line(text: object) -> bool:
    return isinstance(text, str) and text != "" and text.isprintable()


def _decoded(data: bytes) -> EnrolmentAnswer:
    try:
        return decode_answer(data)
    except ProtocolError as error:
        raise AnswerError(str(error)) from error
