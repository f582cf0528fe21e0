"""The same change on manifests, for clusters that allow no webhooks, and for people who want to see it first; pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import jsonpatch
import yaml
from mystic_agent.contract.errors import Invalid

from mystic_collector.injection.pod import INJECT, SERVICE, Collector, change, service_of

TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where in a manifest of each kind the pod is."""


def injected(text: str, collector: Collector, *, every: bool = False) -> tuple[str, int, list[str]]:
    """Return the manifests with the agent in their pods, how many pods it was put into, and warnings.

    Args:
        text: YAML, of one or several documents; lists of objects are looked into.
        every: also pods that do not ask for it.

    Raises:
        Invalid: when it is not YAML.
    """
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())[:200]
        raise Invalid("manifest", text[:80], f"give Kubernetes manifests as YAML ({told})") from error
    count, warnings = 0, []
    for document in _objects(documents):
        changed, said = _put(document, collector, every)
        count += changed
        warnings += said
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True), count, warnings


def _objects(documents: Iterable[Any]) -> Iterable[dict[str, Any]]:
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "List":
            yield from _objects(document.get("items") or [])
        elif isinstance(document, dict):
            yield document


def _put(document: dict[str, Any], collector: Collector, every: bool) -> tuple[bool, list[str]]:
    """Change one object in place."""
    path = TEMPLATES.get(str(document.get("kind")))
    holder: Any = document
    for step in path or ():
        holder = holder.get(step) if isinstance(holder, Mapping) else None
    if path is None or not isinstance(holder, dict):
        return False, []
    template = _named(holder, document, every)
    done = change(template, collector)
    name = f"{document.get('kind')} {(document.get('metadata') or {}).get('name')!r}"
    if done.patch:
        holder.update(jsonpatch.apply_patch(template, done.patch))
    return bool(done.patch), [f"{name}: {one}" for one in done.warnings]


def _named(holder: Mapping[str, Any], document: Mapping[str, Any], every: bool) -> dict[str, Any]:
    """Return a copy of the pod with what the change looks at: an annotation of its own or its owner's, and a name."""
    template = copy.deepcopy(dict(holder))
    metadata = template.setdefault("metadata", {}) or {}
    template["metadata"] = metadata
    owner = document.get("metadata") or {}
    notes = {**(owner.get("annotations") or {}), **(metadata.get("annotations") or {})}
    asked = (
        {INJECT: "true"} if every else {name: value for name, value in notes.items() if name.startswith("mystic.io/")}
    )
    if not service_of(metadata) and owner.get("name"):
        asked.setdefault(SERVICE, str(owner["name"]))
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **asked}
    return template
