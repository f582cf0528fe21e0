"""What can go wrong with a managed server; every error says what happened and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ServersError(Exception):
    """The root of this package's errors.

    Args:
        what: what happened, naming the thing.
        remedy: what to do about it.

    Attributes:
        code: the kind, as it travels between the sidecar and its client.
        status: of the HTTP reply.
    """

    code: ClassVar[str] = "failed"
    status: ClassVar[int] = 502

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}; {remedy}" if remedy else what)

    def to_json(self) -> dict[str, str]:
        """Return ``{"code", "message", "remedy"}``."""
        return {"code": self.code, "message": self.what, "remedy": self.remedy}


class UnknownServer(ServersError):
    """No server has that name."""

    code = "unknown_server"
    status = 404

    @classmethod
    def named(cls, name: str) -> UnknownServer:
        """Return the error for a name."""
        return cls(f"there is no server {name[:80]!r}", "'mystic servers list' shows those there are")


class NameTaken(ServersError):
    """A server with that name is there already."""

    code = "name_taken"
    status = 409

    @classmethod
    def named(cls, name: str) -> NameTaken:
        """Return the error for a name."""
        return cls(f"there is a server {name!r} already", "stop it first, restart it, or choose another name")


class TooMany(ServersError):
    """A ceiling is reached: of servers, or of sessions of one server."""

    code = "too_many"
    status = 429


class NotRunning(ServersError):
    """The server is there and cannot be spoken to."""

    code = "not_running"
    status = 409


class Unreachable(ServersError):
    """The server runs and does not answer, or ended in the middle of an answer."""

    code = "unreachable"
    status = 502


class EngineUnavailable(ServersError):
    """Whatever runs servers does not answer: the Docker engine, the sidecar, the Kubernetes API."""

    code = "engine_unavailable"
    status = 503


class Forbidden(ServersError):
    """Whatever runs servers does not let us."""

    code = "forbidden"
    status = 403


class Rejected(ServersError):
    """Whatever runs servers refused this one: a quota, a policy, a limit it does not know."""

    code = "rejected"
    status = 422


KINDS: Mapping[str, type[ServersError]] = {
    kind.code: kind
    for kind in (
        ServersError,
        UnknownServer,
        NameTaken,
        TooMany,
        NotRunning,
        Unreachable,
        EngineUnavailable,
        Forbidden,
        Rejected,
    )
}


def from_json(fields: Mapping[str, object]) -> ServersError:
    """Return the error that :meth:`ServersError.to_json` described; an unknown kind is the root."""
    kind = KINDS.get(str(fields.get("code", "")), ServersError)
    return kind(str(fields.get("message", "it failed"))[:2000], str(fields.get("remedy", ""))[:2000])
