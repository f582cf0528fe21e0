"""The webhook's side of Kubernetes' admission protocol, field by field as its reference has it.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ and the types
AdmissionReview, AdmissionRequest and AdmissionResponse of k8s.io/api/admission/v1.
"""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import jsonpatch
import pytest
import yaml
from mystic_collector.injection.pod import Collector
from mystic_collector.injection.review import MOST_WARNING, answer

from ..e2e.containers.engine import ROOT

COLLECTOR = Collector("mystic.mystic.svc", 8899, "agent:1", version="1")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "generateName": "shop-6d4cf56db6-",
        "namespace": "shop",
        "creationTimestamp": None,
        "labels": {"app": "shop", "pod-template-hash": "6d4cf56db6"},
        "annotations": {"mystic.io/inject": "true"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-6d4cf56db6", "uid": "1"}],
    },
    "spec": {
        "volumes": [{"name": "default-token", "secret": {"secretName": "default-token", "defaultMode": 420}}],
        "containers": [
            {
                "name": "web",
                "image": "shop:1",
                "resources": {},
                "volumeMounts": [
                    {"name": "default-token", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/x"}
                ],
                "terminationMessagePath": "/dev/termination-log",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    },
    "status": {},
}
RESPONSE = {
    "uid": str,
    "allowed": bool,
    "status": dict,
    "patch": str,
    "patchType": str,
    "auditAnnotations": dict,
    "warnings": list,
}
"""The fields of AdmissionResponse; an API server that is strict knows no others."""


def review(**request: Any) -> dict[str, Any]:
    """Return what an API server sends, every field of the reference in it."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "8f1b0d9e",
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "extra": {"some-key": ["some-value"]},
            },
            "object": POD,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            **request,
        },
    }


def told(given: dict[str, Any]) -> dict[str, Any]:
    """Return the response to a review, in the shape that the reference has it in."""
    found = json.loads(json.dumps(answer(given, COLLECTOR)))
    assert found.keys() == {"apiVersion", "kind", "response"}
    assert (found["apiVersion"], found["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: dict[str, Any] = found["response"]
    assert not response.keys() - RESPONSE.keys()
    assert all(isinstance(value, RESPONSE[name]) for name, value in response.items())
    assert (response["uid"], response["allowed"]) == (given["request"]["uid"], True)
    assert ("patch" in response) == ("patchType" in response), "one without the other is refused"
    assert all(len(text) <= MOST_WARNING and text.isprintable() for text in response.get("warnings", []))
    return response


@pytest.mark.parametrize("dry", [False, True])
def test_a_review_as_an_api_server_sends_it_is_answered_with_a_patch_that_applies(dry: bool) -> None:
    response = told(review(dryRun=dry))
    assert response["patchType"] == "JSONPatch"
    patch = json.loads(base64.b64decode(response["patch"], validate=True))
    for one in patch:
        assert one.keys() == {"op", "path", "value"}
        assert one["op"] in ("add", "replace")
    made = jsonpatch.apply_patch(copy.deepcopy(POD), patch)
    assert [one["name"] for one in made["spec"]["initContainers"]] == ["mystic-agent"]
    # Called again, as reinvocationPolicy has it when another webhook changed the pod, there is nothing left to do.
    assert told(review(object=made)).keys() == {"uid", "allowed"}


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "DELETE", "object": None, "oldObject": POD},
        {"subResource": "ephemeralcontainers", "object": {**POD, "metadata": {"name": "shop"}}},
        {"object": {**POD, "metadata": {"name": "shop", "annotations": None}}},
        {"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}, "object": {"kind": "Deployment"}},
        {"object": {**POD, "spec": {}}},
    ],
)
def test_what_is_not_for_us_is_let_through_as_it_is(request_: dict[str, Any]) -> None:
    assert "patch" not in told(review(**request_))


def test_the_registration_lets_pods_start_whatever_becomes_of_the_webhook() -> None:
    manifests = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "base" / "injector.yaml").read_text())
    [found] = [one for one in manifests if one["kind"] == "MutatingWebhookConfiguration"]
    [webhook] = found["webhooks"]
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["sideEffects"] == "None", "or dry runs would be refused"
    assert webhook["admissionReviewVersions"] == ["v1"]
    assert 1 <= webhook["timeoutSeconds"] <= 30
    [rule] = webhook["rules"]
    assert (rule["operations"], rule["resources"], rule["scope"]) == (["CREATE"], ["pods"], "Namespaced")
    [expression] = webhook["namespaceSelector"]["matchExpressions"]
    assert (expression["operator"], {"kube-system", "mystic"} <= {*expression["values"]}) == ("NotIn", True)
