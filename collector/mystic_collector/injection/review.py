"""AdmissionReview in, AdmissionReview out.

Format: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ (admission.k8s.io/v1).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from mystic_agent.contract.errors import Invalid

from mystic_collector.injection.pod import Collector, change

MOST_WARNING = 120
"""Characters; longer warnings may be cut by the API server."""


def answer(review: object, collector: Collector) -> dict[str, Any]:
    """Return the review with a response that allows the pod, changed or not.

    Raises:
        Invalid: when it is no AdmissionReview of v1.
    """
    if not isinstance(review, Mapping) or review.get("apiVersion") != "admission.k8s.io/v1":
        found = review.get("apiVersion") if isinstance(review, Mapping) else review
        raise Invalid("apiVersion", found, "send an AdmissionReview of admission.k8s.io/v1")
    request = review.get("request")
    if not isinstance(request, Mapping) or not isinstance(request.get("uid"), str):
        raise Invalid("request.uid", request, "send an AdmissionReview with a request")
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    pod = request.get("object")
    if isinstance(pod, Mapping) and (request.get("kind") or {}).get("kind") == "Pod":
        done = change(pod, collector)
        if done.patch:
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(json.dumps(done.patch).encode()).decode()
        if done.warnings:
            response["warnings"] = [f"mystic: {one}"[:MOST_WARNING] for one in done.warnings]
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
