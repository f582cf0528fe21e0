"""HTTP/1.1 to one server, bounded in time and in bytes.

The standard library's ``http.client`` brings ``email`` and ``ssl``: 50 ms and 7 MB in a process that may have
neither. It also waits for as long as a server keeps sending a byte now and then, and gives no way to end
another thread's wait. What is needed here is small: one request at a time, a reply of bounded size within a
total time, or a stream of bytes. Redirects are replies like any other; nothing follows them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from mystic_agent.link.endpoint import Destination, Headers
from mystic_agent.link.gate import load
from mystic_agent.link.reply import BadReply, Framing, Head, read_head, unchunk

if TYPE_CHECKING:
    import socket
    import ssl

MOST_REPLY_BYTES = 64 * 1024
MOST_HEAD_BYTES = 32 * 1024
CONNECT_SECONDS = 3.0
_PIECE = 64 * 1024


class Unsendable(OSError):
    """A header or path that would break out of its line; nothing was sent."""


class Connection:
    """One connection, opened when first needed and reused while the server allows it.

    One thread uses it; any other may call :meth:`abort`. Failures are OSError or BadReply, and close it.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None
        self._pid = os.getpid()
        self._aborted = False
        self._rest = b""

    def post(
        self, path: str, headers: Headers, body: bytes, timeout: float, most: int = MOST_REPLY_BYTES
    ) -> tuple[Head, bytes]:
        """Send a POST and return the whole reply; see :meth:`request`."""
        return self.request(b"POST", path, headers, body, timeout, most)

    def request(
        self, method: bytes, path: str, headers: Headers, body: bytes, timeout: float, most: int = MOST_REPLY_BYTES
    ) -> tuple[Head, bytes]:
        """Send one request and return the whole reply.

        Args:
            timeout: seconds for everything together: connecting, sending, the reply's last byte.
            most: bytes of the reply.

        Raises:
            OSError: when there is no connection, or no reply in time.
            BadReply: when what came is not HTTP, or longer than ``most``.
        """
        deadline = monotonic() + timeout
        sized = (*headers, ("Content-Length", str(len(body))))
        try:
            head = self._exchange(method, path, sized, body, deadline)
            reply = bytearray()
            for piece in self._pieces(head, deadline=deadline):
                reply += piece
                if len(reply) > most:
                    raise BadReply(f"a reply of more than {most} bytes to {method.decode()} {path}")
        except (OSError, BadReply):
            self.close()
            raise
        if not head.reusable:
            self.close()
        return head, bytes(reply)

    def open_stream(self, path: str, headers: Headers, timeout: float) -> Head:
        """Send a GET and return the head of its reply; the body is left to :meth:`stream`.

        Raises:
            OSError, BadReply: as :meth:`post`.
        """
        try:
            return self._exchange(b"GET", path, headers, b"", monotonic() + timeout)
        except (OSError, BadReply):
            self.close()
            raise

    def stream(self, head: Head, idle: float) -> Iterator[bytes]:
        """Yield the body as it comes, until the server ends it.

        Raises:
            OSError: also when nothing came for ``idle`` seconds.
        """
        try:
            yield from self._pieces(head, idle=idle)
        finally:
            self.close()

    def close(self) -> None:
        """Close the socket; the next request opens another."""
        open_socket, self._socket, self._rest = self._socket, None, b""
        if open_socket is not None:
            open_socket.close()

    def abort(self) -> None:
        """End whatever another thread waits for on this connection, and refuse to connect again.

        In a forked child nothing is sent, since the socket is the parent's: only the child's copy is closed.
        """
        self._aborted = True
        open_socket = self._socket
        if open_socket is None:
            return
        if os.getpid() != self._pid:
            self.close()
            return
        import socket

        try:
            # Not the method of SSLSocket: it takes the TLS state away under the thread that reads.
            socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
        except OSError:
            pass  # not connected yet, or not any more

    def _exchange(self, method: bytes, path: str, headers: Headers, body: bytes, deadline: float) -> Head:
        request = _request(method, path, self.destination.authority, headers) + body
        reused = self._socket is not None
        try:
            return self._once(request, deadline)
        except ConnectionError:
            self.close()
            if not reused or self._aborted:
                raise
        # The server had closed the idle connection before it saw this request.
        return self._once(request, deadline)

    def _once(self, request: bytes, deadline: float) -> Head:
        if self._socket is None:
            self._connect(deadline)
        broken = self._send(request, deadline)
        try:
            return self._head(deadline)
        except ConnectionError:
            raise broken or ConnectionError("closed before a reply") from None

    def _send(self, request: bytes, deadline: float) -> ConnectionError | None:
        """Send; a server may refuse a body and close before it has read it, so its reply is looked for even then."""
        connected = self._live()
        connected.settimeout(_left(deadline))
        try:
            connected.sendall(request)
        except ConnectionError as error:
            return error
        return None

    def _head(self, deadline: float) -> Head:
        while True:
            found = self._rest.find(b"\r\n\r\n")
            if found >= 0:
                head, self._rest = read_head(self._rest[:found]), self._rest[found + 4 :]
                if head.status >= 200:
                    return head
                continue
            if len(self._rest) > MOST_HEAD_BYTES:
                raise BadReply(f"headers of more than {MOST_HEAD_BYTES} bytes")
            piece = self._receive(deadline)
            if not piece:
                raise ConnectionError("closed before a reply")
            self._rest += piece

    def _pieces(self, head: Head, *, deadline: float = 0.0, idle: float = 0.0) -> Iterator[bytes]:
        raw = self._raw(deadline, idle)
        if head.framing is Framing.CHUNKED:
            yield from unchunk(raw)
            return
        left = head.length
        while left > 0:
            piece = next(raw, b"")
            if not piece:
                if head.framing is Framing.LENGTH:
                    raise BadReply("a reply shorter than its Content-Length")
                return
            if len(piece) > left:
                self.close()  # whatever follows the body was never asked for
            yield piece[:left]
            left -= len(piece)

    def _raw(self, deadline: float, idle: float) -> Iterator[bytes]:
        if self._rest:
            rest, self._rest = self._rest, b""
            yield rest
        while piece := self._receive(monotonic() + idle if idle else deadline):
            yield piece

    def _receive(self, deadline: float) -> bytes:
        connected = self._live()
        connected.settimeout(_left(deadline))
        return connected.recv(_PIECE)

    def _live(self) -> socket.socket:
        if self._socket is None or self._aborted:
            raise ConnectionError("the connection was closed")
        return self._socket

    def _connect(self, deadline: float) -> None:
        import socket

        failure = OSError("no address")
        for family, kind, protocol, _, address in _addresses(self.destination):
            if self._aborted:
                raise ConnectionError("the connection was closed")
            candidate = socket.socket(family, kind, protocol)
            self._socket = candidate  # before connecting, so that abort can reach it
            try:
                candidate.settimeout(min(_left(deadline), CONNECT_SECONDS))
                candidate.connect(address)
                candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.destination.https:
                    candidate.settimeout(_left(deadline))
                    self._socket = self._secure(candidate)
            except OSError as error:
                failure = error
                self.close()
                candidate.close()
            else:
                return
        raise failure

    def _secure(self, plain: socket.socket) -> socket.socket:
        load("ssl")
        import ssl

        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self.destination.certificate or None)
        return self._tls.wrap_socket(plain, server_hostname=self.destination.host)


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("no complete reply in time")
    return left


def _request(method: bytes, path: str, authority: str, headers: Headers) -> bytes:
    lines = [f"{name}: {value}" for name, value in (("Host", authority), ("User-Agent", "mystic-agent"), *headers)]
    for line in (path, *lines):
        if not line.isascii() or not line.isprintable():
            name = line.partition(":")[0] if line is not path else "the path"
            raise Unsendable(f"{name!r} cannot be sent: it may hold printable ASCII only")
    return method + "\r\n".join([f" {path} HTTP/1.1", *lines, "", ""]).encode("ascii")


def _addresses(destination: Destination) -> list[Any]:
    import socket

    host = destination.host
    try:
        # As bytes, because a text makes getaddrinfo import the IDNA codec outside the gate.
        name = host.encode("ascii") if host.isascii() else _idna(host)
        return socket.getaddrinfo(name, destination.port, 0, socket.SOCK_STREAM)
    except (ValueError, OverflowError) as error:
        raise OSError(f"{host[:80]!r} port {destination.port} is no address: {error}") from None


def _idna(host: str) -> bytes:
    load("encodings.idna")
    return host.encode("idna")
