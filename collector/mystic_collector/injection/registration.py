"""Tells the API server which certificate the webhook has; the only part here that talks to Kubernetes."""

from __future__ import annotations

import base64
import logging
from typing import Any, Protocol

_log = logging.getLogger(__name__)


class Registration(Protocol):
    """Where the API server's trust in the webhook is written down."""

    def trust(self, pem: bytes) -> bool:
        """Make the API server trust ``pem``; True when it does, False with the reason logged when it cannot be told."""


class Webhook:
    """One MutatingWebhookConfiguration of a cluster.

    Args:
        name: of the configuration; it exists, and the Role of this process lets it be read and patched.
    """

    def __init__(self, name: str) -> None:
        from kubernetes import client, config

        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            config.load_kube_config()  # type: ignore[no-untyped-call]
        self._name = name
        self._api = client.AdmissionregistrationV1Api()

    def trust(self, pem: bytes) -> bool:
        """Write the certificate into each webhook of the configuration, unless it is there."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        bundle = base64.b64encode(pem).decode()
        try:
            found = self._api.read_mutating_webhook_configuration(self._name, _request_timeout=10)
            stale = [one for one in found.webhooks or [] if one.client_config.ca_bundle != bundle]
            if stale:
                told = [{"name": one.name, "clientConfig": {"caBundle": bundle}} for one in stale]
                body: dict[str, Any] = {"webhooks": told}  # merged by name: what else they say stays
                self._api.patch_mutating_webhook_configuration(self._name, body, _request_timeout=10)
                _log.info("the API server trusts the certificate of %s", self._name)
        except ApiException as error:
            _log.warning(
                "MutatingWebhookConfiguration %r: %s %s; apply the manifests, with the ClusterRole in them",
                self._name,
                error.status,
                error.reason,
            )
            return False
        except HTTPError as error:
            _log.warning("the API server cannot be reached (%s); trying again", type(error).__name__)
            return False
        return True
