"""One namespace of one cluster, asked from an event loop through the official client; its errors end here."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import anyio
import orjson
from anyio import to_thread
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from mystic_collector.servers.errors import ServersError
from mystic_collector.sidecar.refusals import Gone, plainly
from mystic_collector.tracing.step import step

T = TypeVar("T")
Pod = dict[str, Any]
PATIENCE = (3.0, 15.0)
"""Seconds for a connection and for an answer."""

WATCHED = 30
"""Seconds for which one watch goes on; then the next one follows, so that a dead connection is noticed."""

_FOLLOWED = 86_400.0
CONTAINER = "server"
_MANAGER = "gnosis-mystic"
_APPLY = "application/apply-patch+yaml"
_MOST_ASKED = 16


def configured(context: str = "") -> tuple[client.Configuration, str]:
    """Return the client's configuration, and the namespace that its context names (or nothing).

    Args:
        context: of the kubeconfig; empty for the cluster this pod is in, else the current one.

    Raises:
        ConfigException: when there is none.
    """
    found = client.Configuration()
    namespace = ""
    if not context and os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
    else:
        config.load_kube_config(context=context or None, client_configuration=found, persist_config=False)  # type: ignore[no-untyped-call]
    if context:
        contexts, _ = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
        chosen = next(one for one in contexts if one["name"] == context)
        namespace = chosen["context"].get("namespace", "")
    found.retries = 0  # whoever asks decides what may be asked again
    found.connection_pool_maxsize = 64
    return found, namespace


class Cluster:
    """Pods of one namespace.

    Args:
        namespace: of the pods, unless the context names one.
        context: of the kubeconfig; empty for the own cluster.
        configure: returns the client's configuration and a namespace; it may raise.
    """

    def __init__(
        self,
        namespace: str,
        context: str = "",
        configure: Callable[[str], tuple[client.Configuration, str]] = configured,
    ) -> None:
        self.namespace = namespace
        self.context = context
        self._configure = configure
        self._guard = threading.Lock()
        self._api: client.CoreV1Api | None = None
        self._limiter: anyio.CapacityLimiter | None = None

    def api(self) -> client.CoreV1Api:
        """Return the client's API, made when it is first asked; for threads."""
        with self._guard:
            if self._api is None:
                configuration, namespace = self._configure(self.context)
                self.namespace = namespace or self.namespace
                self._api = client.CoreV1Api(client.ApiClient(configuration))
            return self._api

    async def ask(self, question: Callable[[], T], abandon: bool = False) -> T:
        """Return what ``question`` finds, on a thread.

        Args:
            abandon: whether a caller that is cancelled leaves at once; never for what makes something.

        Raises:
            ServersError: in plain language, for whatever goes wrong.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_MOST_ASKED)

        def asked() -> T:
            try:
                return question()
            except (ApiException, HTTPError, config.ConfigException, OSError) as error:
                raise plainly(error) from error

        return await to_thread.run_sync(asked, limiter=self._limiter, abandon_on_cancel=abandon)

    async def apply(self, pod: Pod, manager: str = _MANAGER) -> Pod:
        """Apply a pod, or fields of one, on the server's side; of two managers with different values one is refused.

        Raises:
            Conflict: when another manager has said something else.
        """
        name = pod["metadata"]["name"]

        def question() -> Pod:
            found: Any = self.api().patch_namespaced_pod(
                name,
                self.namespace,
                pod,
                field_manager=manager,
                _content_type=_APPLY,
                _preload_content=False,
                _request_timeout=PATIENCE,
            )
            return _object(found)

        with step("kubernetes apply pod", k8s__pod__name=name, k8s__namespace__name=self.namespace):
            return await self.ask(question)

    async def delete(self, name: str, uid: str, grace: int) -> None:
        """Delete a pod; one that has gone, or been replaced by a namesake, is fine."""
        body: Any = {"preconditions": {"uid": uid}, "gracePeriodSeconds": grace}

        def question() -> None:
            self.api().delete_namespaced_pod(
                name, self.namespace, body=body, _preload_content=False, _request_timeout=PATIENCE
            )

        with step("kubernetes delete pod", k8s__pod__name=name, k8s__namespace__name=self.namespace):
            try:
                await self.ask(question)
            except Gone:
                pass

    def read(self, selector: str) -> tuple[list[Pod], str]:
        """Return our pods and the version of the list; for threads."""
        found: Any = self.api().list_namespaced_pod(
            self.namespace, label_selector=selector, _preload_content=False, _request_timeout=PATIENCE
        )
        content = _object(found)
        return content.get("items") or [], content["metadata"]["resourceVersion"]

    def watch(self, selector: str, version: str) -> Any:
        """Return urllib3's response, open, whose lines are what changes after ``version``; for threads."""
        return self.api().list_namespaced_pod(
            self.namespace,
            label_selector=selector,
            resource_version=version,
            watch=True,
            allow_watch_bookmarks=True,
            timeout_seconds=WATCHED,
            _preload_content=False,
            _request_timeout=(PATIENCE[0], WATCHED + 10.0),
        )

    async def knock(self) -> None:
        """Ask for one pod, which shows that the API answers and that we may.

        Raises:
            ServersError: when it does not, or we may not.
        """

        def question() -> None:
            found: Any = self.api().list_namespaced_pod(
                self.namespace, limit=1, _preload_content=False, _request_timeout=(1.0, 1.5)
            )
            _object(found)

        await self.ask(question, abandon=True)

    def log(self, name: str, tail: int, follow: bool = False, since: int | None = None) -> Any:
        """Return urllib3's response, whose lines are a pod's log, with times; for threads.

        Args:
            since: seconds back from now.
        """
        return self.api().read_namespaced_pod_log(
            name,
            self.namespace,
            container=CONTAINER,
            tail_lines=tail,
            since_seconds=since,
            timestamps=True,
            follow=follow,
            _preload_content=False,
            _request_timeout=(PATIENCE[0], _FOLLOWED if follow else PATIENCE[1]),
        )

    def websocket(
        self, name: str, what: str, asked: Mapping[str, str]
    ) -> tuple[str, Mapping[str, str], ssl.SSLContext | None, str | None]:
        """Return address, headers, TLS and server name of a pod's WebSocket, such as ``attach``; for threads."""
        configuration = self.api().api_client.configuration
        where = urlsplit(configuration.host)
        scheme = "wss" if where.scheme == "https" else "ws"
        path = f"{where.path.rstrip('/')}/api/v1/namespaces/{self.namespace}/pods/{name}/{what}"
        key = configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        headers = {"Authorization": key} if key else {}
        secure = _tls(configuration) if scheme == "wss" else None
        return f"{scheme}://{where.netloc}{path}?{urlencode(asked)}", headers, secure, configuration.tls_server_name

    def close(self) -> None:
        """Let go of its connections."""
        with self._guard:
            if self._api is not None:
                self._api.api_client.rest_client.pool_manager.clear()
                self._api = None


def _object(found: Any) -> dict[str, Any]:
    """Return the JSON object of a response, and let go of it."""
    try:
        content: dict[str, Any] = orjson.loads(found.data)
    except orjson.JSONDecodeError as error:
        raise ServersError("the Kubernetes API answered what is no JSON", "see what is between it and here") from error
    finally:
        found.release_conn()
    return content


def _tls(configuration: client.Configuration) -> ssl.SSLContext:
    secure = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        secure.check_hostname = False
        secure.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        secure.load_cert_chain(configuration.cert_file, configuration.key_file)
    return secure
