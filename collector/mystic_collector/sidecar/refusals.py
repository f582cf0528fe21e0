"""What goes wrong with a cluster, in the words of people; pure."""

from __future__ import annotations

from typing import Any

import orjson
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError, MaxRetryError, NameResolutionError, SSLError, TimeoutError

from mystic_collector.servers.errors import EngineUnavailable, Forbidden, Rejected, ServersError

RIGHTS = "bind the Role of deploy/kubernetes/sidecar/rbac.yaml to the sidecar's ServiceAccount"
FORWARDING = "bind the Role of deploy/kubernetes/sidecar/rbac-forward.yaml too, or set MCP_SIDECAR_REACH=address"
_BUSY = (0, 408, 429, 500, 502, 503, 504)


class Conflict(ServersError):
    """Somebody else was faster."""

    code = "conflict"
    status = 409


class Gone(ServersError):
    """The pod, or what of the past was asked for, is no longer there."""

    code = "gone"
    status = 404


def plainly(error: BaseException) -> ServersError:
    """Return an error of the official client in the words of people."""
    if isinstance(error, ServersError):
        return error
    if isinstance(error, ApiException):
        return refused(int(error.status or 0), told(error))
    if isinstance(error, ConfigException):
        return EngineUnavailable(f"no cluster is known here ({error})", "run it in a pod, or set KUBECONFIG")
    return EngineUnavailable(f"the Kubernetes API cannot be reached ({_cause(error)})", "see whether the cluster is up")


def refused(status: int, text: str) -> ServersError:
    """Return what a refusal of the API server means.

    Args:
        text: its message.
    """
    lowered = text.lower()
    if status == 401:
        return Forbidden("the cluster does not know who we are", "see that the ServiceAccount's token is mounted")
    if status == 403:
        return _forbidden(text, lowered)
    if status == 404 and "namespaces" in lowered:
        return Rejected(f"there is no such namespace: {text}", "create it, or set KUBERNETES_NAMESPACE")
    if status in (404, 410):
        return Gone(f"it is no longer there: {text}")
    if status == 409:
        return Conflict(f"somebody else was faster: {text}", "ask again")
    if status in _BUSY:
        return EngineUnavailable(f"the Kubernetes API does not answer as it should ({status}: {text})", "ask again")
    return Rejected(f"the cluster refused: {text}", "change what it names")


def _forbidden(text: str, lowered: str) -> ServersError:
    if "exceeded quota" in lowered:
        told = text.partition("exceeded quota:")[2].strip() or text
        return Rejected(
            f"the quota of the namespace is reached: {told}", "stop a server, ask for less, or raise the ResourceQuota"
        )
    if "podsecurity" in lowered or "pod security" in lowered or "unable to validate against any pod" in lowered:
        return Rejected(f"the namespace's pod security does not take it: {text}", "ask who runs the cluster")
    if ("maximum" in lowered and "per container" in lowered) or "limitrange" in lowered:
        return Rejected(f"it asks for more than the namespace gives one pod: {text}", "lower its limits")
    if "being terminated" in lowered:
        return Rejected(f"the namespace is being deleted: {text}", "choose another, with KUBERNETES_NAMESPACE")
    if " cannot " in lowered:
        who = text.partition('User "')[2].partition('"')[0] or "this account"
        what = text.partition("cannot ")[2] or text
        return Forbidden(f"{who} may not {what}", FORWARDING if "portforward" in lowered else RIGHTS)
    return Rejected(f"the cluster does not allow it: {text}", "ask who runs the cluster")


def told(error: ApiException) -> str:
    """Return the one useful sentence of a refusal, bounded."""
    body: Any = error.body
    try:
        found = orjson.loads(body) if isinstance(body, bytes | str) else {}
        text = found.get("message") if isinstance(found, dict) else None
    except orjson.JSONDecodeError:
        text = body if isinstance(body, str) else None
    return " ".join(str(text or error.reason or "no reason given").split())[:600]


def _cause(error: BaseException) -> str:
    reason = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(reason, SSLError):
        return "its certificate is not the one that was expected"
    if isinstance(reason, NameResolutionError):
        return "its name is not known"
    if isinstance(reason, TimeoutError | OSError) and isinstance(reason, HTTPError) and "timed out" in str(reason):
        return "no answer in time"
    text = str(reason).rpartition(": ")[2] if isinstance(reason, HTTPError) else str(reason)
    return " ".join(text.split())[:200] or type(reason).__name__
