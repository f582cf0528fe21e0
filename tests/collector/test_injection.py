"""What the admission webhook does to pods, and how it is called."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonpatch
import pytest
import yaml
from mystic_agent.contract.errors import Invalid
from mystic_collector.injection.certificate import certificate
from mystic_collector.injection.pod import Collector, change
from mystic_collector.injection.review import answer
from mystic_collector.injection.server import Injector
from mystic_collector.injection.settings import InjectorSettings, load

PATIENCE = 20.0
COLLECTOR = Collector("mystic.mystic.svc", 8899, "agent:1", version="1")


def pod(*containers: dict[str, Any], notes: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "generateName": "shop-6d4cf56db6-",
            "labels": {"pod-template-hash": "6d4cf56db6"},
            "annotations": {"mystic.io/inject": "true", **(notes or {})},
        },
        "spec": {"containers": list(containers) or [{"name": "web", "image": "shop"}], **spec},
    }


def injected(given: dict[str, Any]) -> dict[str, Any]:
    """Return the pod with its patch applied by an implementation of RFC 6902 that is not ours."""
    found = jsonpatch.apply_patch(copy.deepcopy(given), change(given, COLLECTOR).patch)
    assert isinstance(found, dict)
    return found


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def test_a_plain_pod_gets_the_tree_and_the_variables_that_switch_it_on() -> None:
    made = injected(pod())
    [carrier] = made["spec"]["initContainers"]
    [container] = made["spec"]["containers"]
    assert carrier["image"] == "agent:1"
    assert container["volumeMounts"] == [{"name": "mystic-agent", "mountPath": "/mystic", "readOnly": True}]
    assert variables(container) == {
        "PYTHONPATH": "/mystic/mystic_bootstrap",
        "MYSTIC_HOST": "mystic.mystic.svc",
        "MYSTIC_PORT": "8899",
        "MYSTIC_SERVICE": "shop",
        "MYSTIC_API_KEY": {"secretKeyRef": {"name": "mystic-api-key", "key": "api-key", "optional": True}},
    }
    assert container["image"] == "shop"


def test_what_a_pod_has_stays_and_what_it_says_of_mystic_itself_wins() -> None:
    given = pod(
        {
            "name": "web",
            "env": [
                {"name": "A", "value": "b"},
                {"name": "PYTHONPATH", "value": "/srv"},
                {"name": "MYSTIC_HOST", "value": "x"},
            ],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        },
        {"name": "other"},
        volumes=[{"name": "data", "emptyDir": {}}],
        initContainers=[{"name": "migrate"}],
        notes={"mystic.io/containers": "web", "mystic.io/service": "till", "mystic.io/stage": "staging"},
    )
    made = injected(given)
    web, other = made["spec"]["containers"]
    found = variables(web)
    assert (found["A"], found["PYTHONPATH"], found["MYSTIC_HOST"]) == ("b", "/mystic/mystic_bootstrap:/srv", "x")
    assert (found["MYSTIC_SERVICE"], found["MYSTIC_ENV"]) == ("till", "staging")
    assert [one["name"] for one in web["volumeMounts"]] == ["data", "mystic-agent"]
    assert other == {"name": "other"}
    assert [one["name"] for one in made["spec"]["volumes"]] == ["data", "mystic-agent"]
    assert [one["name"] for one in made["spec"]["initContainers"]] == ["mystic-agent", "migrate"]


def test_a_pod_that_does_not_ask_or_has_it_already_is_left_as_it_is() -> None:
    for notes in ({"mystic.io/inject": "false"}, {"mystic.io/inject": ""}):
        assert change(pod(notes=notes), COLLECTOR).patch == []
    assert change({"metadata": {}, "spec": {"containers": [{"name": "web"}]}}, COLLECTOR).patch == []
    assert change(injected(pod()), COLLECTOR).patch == []


def test_what_cannot_be_done_is_left_undone_and_said() -> None:
    elsewhere = {"name": "web", "env": [{"name": "PYTHONPATH", "valueFrom": {"configMapKeyRef": {"name": "c"}}}]}
    done = change(pod(elsewhere), COLLECTOR)
    assert "takes PYTHONPATH from elsewhere" in done.warnings[0]
    taken = {"name": "web", "volumeMounts": [{"name": "own", "mountPath": "/mystic"}]}
    assert "mounts something at /mystic" in change(pod(taken), COLLECTOR).warnings[0]
    assert change(pod(notes={"mystic.io/containers": "api"}), COLLECTOR).warnings == [
        "mystic.io/containers names 'api'; the pod has web"
    ]


RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": lambda value: value is False,
    "capabilities": lambda value: value["drop"] == ["ALL"] and not set(value.get("add", [])) - {"NET_BIND_SERVICE"},
    "runAsNonRoot": lambda value: value is True,
    "runAsUser": lambda value: value != 0,
    "seccompProfile": lambda value: value["type"] in ("RuntimeDefault", "Localhost"),
}
"""What the restricted level asks of every container, from its published list."""


def test_what_is_added_fits_the_restricted_level_and_takes_no_privilege() -> None:
    made = injected(pod())
    [carrier] = made["spec"]["initContainers"]
    context = carrier["securityContext"]
    for field, fits in RESTRICTED_CONTAINER.items():
        assert fits(context[field]), field
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    assert all(set(volume) - {"name"} <= allowed for volume in made["spec"]["volumes"])
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(made["spec"])
    assert carrier["resources"]["limits"]


def review(given: object) -> dict[str, Any]:
    request = {"uid": "1-2", "kind": {"kind": "Pod"}, "object": given}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def test_every_review_allows_the_pod() -> None:
    for given in (pod(), pod(notes={"mystic.io/inject": "no"}), {}, {"spec": {"containers": []}}, None):
        response = answer(review(given), COLLECTOR)["response"]
        assert (response["uid"], response["allowed"]) == ("1-2", True)
    for wrong in (
        [],
        {},
        {"apiVersion": "admission.k8s.io/v1beta1"},
        {"apiVersion": "admission.k8s.io/v1", "request": {}},
    ):
        with pytest.raises(Invalid):
            answer(wrong, COLLECTOR)


MANIFESTS = """\
apiVersion: v1
kind: Service
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, annotations: {mystic.io/inject: "true"}}
spec:
  template:
    metadata: {labels: {app: till}}
    spec: {containers: [{name: web, image: shop}]}
---
apiVersion: v1
kind: List
items:
  - apiVersion: batch/v1
    kind: CronJob
    metadata: {name: nightly}
    spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: job, image: shop}]}}}}}
"""


def manifests(*words: str, given: str = MANIFESTS) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mystic_agent.cli", "inject", *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)


def test_manifests_get_what_pods_get_from_the_webhook_where_they_ask_for_it(tmp_path: Path) -> None:
    done = manifests()
    assert (done.returncode, done.stderr) == (0, "")
    service, deployment, listed = yaml.safe_load_all(done.stdout)
    given = list(yaml.safe_load_all(MANIFESTS))
    assert (service, listed) == (given[0], given[2])
    template = deployment["spec"]["template"]
    assert variables(template["spec"]["containers"][0])["MYSTIC_SERVICE"] == "till"
    assert [one["name"] for one in template["spec"]["initContainers"]] == ["mystic-agent"]
    again = manifests(given=done.stdout)
    assert again.returncode == 1
    assert "the agent was put into no pod" in again.stderr

    path = tmp_path / "app.yaml"
    path.write_text(MANIFESTS)
    *_, listed = yaml.safe_load_all(manifests("--every", str(path), given="").stdout)
    template = listed["items"][0]["spec"]["jobTemplate"]["spec"]["template"]
    assert variables(template["spec"]["containers"][0])["MYSTIC_SERVICE"] == "nightly"
    assert manifests(given="a: [").returncode == 2


class Told:
    """Trust written down in memory; refuses as often as told before."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.pems: list[bytes] = []

    def trust(self, pem: bytes) -> bool:
        self.refusals -= 1
        if self.refusals >= 0:
            return False
        self.pems.append(pem)
        return True


def settings(**environ: str) -> InjectorSettings:
    return load({"MYSTIC_INJECTOR_PORT": "0", "KUBERNETES_NAMESPACE": "mystic", **environ})


def test_the_webhook_answers_over_tls_with_the_certificate_it_has_made_known() -> None:
    told = Told(refusals=1)
    injector = Injector(settings(), told, every=0.01)

    async def conversation() -> None:
        server = injector.server()
        running = asyncio.create_task(server.serve())
        while not (server.started and injector.trusted):
            await asyncio.sleep(0.01)
        trusting = ssl.create_default_context(cadata=told.pems[-1].decode())
        url = f"https://127.0.0.1:{server.address[1]}"
        name = {"sni_hostname": "mystic-injector.mystic.svc"}
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
            found = await client.post(f"{url}/inject", json=review(pod()), extensions=name)
            patch = json.loads(base64.b64decode(found.json()["response"]["patch"]))
            assert patch == change(pod(), injector.settings.collector).patch
            for body, status in ((b"{", 400), (b"[" * 20000, 400), (b" " * 5_000_000, 413)):
                assert (await client.post(f"{url}/inject", content=body, extensions=name)).status_code == status
            assert (await client.get(f"{url}/health", extensions=name)).json() == {"status": "ok"}
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(verify=ssl.create_default_context(), trust_env=False) as stranger:
                await stranger.get(f"{url}/health", extensions=name)
        server.should_exit = True
        await running

    asyncio.run(asyncio.wait_for(conversation(), 30))


class Asked:
    """Trust that is given when the test says so, as slow as an API server may be."""

    def __init__(self) -> None:
        self.pems: list[bytes] = []
        self.given = threading.Semaphore(0)

    def trust(self, pem: bytes) -> bool:
        self.pems.append(pem)
        return self.given.acquire(timeout=PATIENCE)


def test_a_certificate_is_renewed_in_time_and_is_trusted_at_every_moment_of_it() -> None:
    told, late = Asked(), datetime.now(UTC)
    now = [late - timedelta(days=340)]
    injector = Injector(settings(), told, every=0.0, clock=lambda: now[0])

    async def conversation() -> None:
        server = injector.server()
        running = asyncio.create_task(server.serve())

        async def shown(looks: int) -> list[bytes]:
            """Return what the API server was told, once it has been asked that often; it is trusted as before then."""
            while not (server.started and len(told.pems) >= looks):
                await asyncio.sleep(0.01)
            for pem in told.pems[-2:]:
                trusting = ssl.create_default_context(cadata=pem.decode())
                async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
                    url = f"https://127.0.0.1:{server.address[1]}/health"
                    name = {"sni_hostname": "mystic-injector.mystic.svc"}
                    assert (await client.get(url, extensions=name)).status_code in (200, 503)
            return told.pems

        [first] = await shown(1)
        now[0] = late
        told.given.release()
        _, both = await shown(2)
        assert both.startswith(first)
        assert both.count(b"BEGIN CERTIFICATE") == 2
        told.given.release()
        *_, last = await shown(3)
        assert both == first + last
        told.given.release()
        assert (await shown(4))[-1] == last
        server.should_exit = True
        told.given.release(2)
        await running

    asyncio.run(asyncio.wait_for(conversation(), 30))


def test_a_certificate_names_the_service_hides_its_key_and_ends_within_a_year() -> None:
    now = datetime.now(UTC)
    made = certificate(settings().dns_names, now)
    assert timedelta(days=360) < made.until - now <= timedelta(days=365)
    assert b"PRIVATE KEY" not in made.pem
    assert "PRIVATE" not in repr(made)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MYSTIC_INJECTOR_PORT", "99999"),
        ("MYSTIC_INJECT_PORT", "http"),
        ("KUBERNETES_NAMESPACE", "../x"),
        ("MYSTIC_AGENT_PULL_POLICY", "Sometimes"),
    ],
)
def test_a_wrong_setting_of_the_injector_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(Invalid) as error:
        settings(**{name: value})
    assert error.value.field == name


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
"""


def injector_with(kubeconfig: Path) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "KUBERN"))}
    environ = {**kept, "KUBECONFIG": str(kubeconfig), "MYSTIC_INJECTOR_PORT": "0"}
    command = [sys.executable, "-m", "mystic_agent.cli", "injector"]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("text", [None, "", "contexts: [", "[1, 2]", "contexts: 7", "\udcff"])
def test_an_injector_without_a_cluster_says_what_it_needs(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config").write_text(text, errors="surrogateescape")
    with injector_with(tmp_path / "config") as process:
        out, said = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "no cluster is known here" in said
    assert "set KUBECONFIG" in said
    assert "Traceback" not in said


def test_an_injector_waits_for_its_cluster_and_ends_in_order_on_a_signal(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(KUBECONFIG)
    with injector_with(tmp_path / "config") as process:
        assert process.stderr is not None
        url = next(line.split()[-1] for line in process.stderr if "listening on https://" in line)
        answer = httpx.get(f"{url}/health", verify=False, trust_env=False)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert (answer.status_code, answer.json()) == (503, {"status": "waiting"})
