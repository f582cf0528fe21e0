"""How much room a server gets, and where: the rules of ``limits`` and ``placement``; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mystic_agent.contract.errors import Invalid

from mystic_collector.servers.spec import Limits, Placement

_LABEL = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_CONTEXT = re.compile(r"[A-Za-z0-9@:._/-]{0,253}")
_SIZE = re.compile(r"(\d{1,15})(Ki|Mi|Gi|k|M|G)?")
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_CPU = re.compile(r"(\d{1,6})m|(\d{1,3}(?:\.\d{1,3})?)")
_TOLERATION = frozenset({"key", "operator", "value", "effect", "tolerationSeconds"})
_AFFINITY = frozenset({"nodeAffinity", "podAffinity", "podAntiAffinity"})


def read_limits(value: Any) -> Limits:
    """Return what a server may use.

    Raises:
        Invalid: for the first rule that is broken.
    """
    if not isinstance(value, Mapping) or not value.keys() <= set(Limits.__slots__):
        raise Invalid("limits", value, f"give an object of {', '.join(Limits.__slots__)}")
    default = Limits()
    cpu = _cpu(value, "cpu", default.cpu)
    memory = _memory(value, "memory", default.memory)
    processes = value.get("processes", default.processes)
    if not isinstance(processes, int) or isinstance(processes, bool) or not 8 <= processes <= 4096:
        raise Invalid("limits.processes", processes, "give a whole number from 8 to 4096")
    return Limits(
        cpu=cpu,
        memory=memory,
        cpu_request=min(cpu, _cpu(value, "cpu_request", default.cpu_request)),
        memory_request=min(memory, _memory(value, "memory_request", default.memory_request)),
        processes=processes,
    )


def _cpu(value: Mapping[str, Any], field: str, default: int) -> int:
    given = value.get(field, default)
    if isinstance(given, bool):
        amount = 0
    elif isinstance(given, int):
        amount = given
    else:
        match = _CPU.fullmatch(given) if isinstance(given, str) else None
        amount = 0 if match is None else int(match[1]) if match[1] else round(float(match[2]) * 1000)
    if not 10 <= amount <= 16_000:
        raise Invalid(f"limits.{field}", given, "give thousandths of a core from 10 to 16000, or a text such as '500m'")
    return amount


def _memory(value: Mapping[str, Any], field: str, default: int) -> int:
    given = value.get(field, default)
    match = _SIZE.fullmatch(str(given)) if isinstance(given, int | str) and not isinstance(given, bool) else None
    amount = int(match[1]) * _SIZES[match[2] or ""] if match else 0
    if not 16 * 2**20 <= amount <= 64 * 2**30:
        raise Invalid(f"limits.{field}", given, "give bytes from 16Mi to 64Gi, or a text such as '512Mi'")
    return amount


def read_placement(value: Any) -> Placement:
    """Return where a server is to run.

    Raises:
        Invalid: for the first rule that is broken.
    """
    if not isinstance(value, Mapping) or not value.keys() <= set(Placement.__slots__):
        raise Invalid("placement", value, f"give an object of {', '.join(Placement.__slots__)}")
    context, selector = value.get("context") or "", value.get("node_selector") or {}
    tolerations, affinity = value.get("tolerations") or [], value.get("affinity") or {}
    if not isinstance(context, str) or not _CONTEXT.fullmatch(context):
        raise Invalid("placement.context", context, "name a context of the kubeconfig")
    if not isinstance(selector, Mapping) or len(selector) > 32:
        raise Invalid("placement.node_selector", selector, "give an object of labels")
    for name, text in selector.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            raise Invalid("placement.node_selector", name, "give texts")
        if not _LABEL.fullmatch(name) or not _LABEL_VALUE.fullmatch(text):
            raise Invalid(
                f"placement.node_selector.{name[:80]}", text, "give a label and its value as Kubernetes has them"
            )
    if not isinstance(tolerations, list | tuple) or len(tolerations) > 32:
        raise Invalid("placement.tolerations", tolerations, "give a list of tolerations")
    for index, one in enumerate(tolerations):
        if not isinstance(one, Mapping) or not one.keys() <= _TOLERATION:
            raise Invalid(f"placement.tolerations[{index}]", one, f"give an object of {', '.join(sorted(_TOLERATION))}")
    if not isinstance(affinity, Mapping) or not affinity.keys() <= _AFFINITY:
        raise Invalid("placement.affinity", affinity, f"give an object of {', '.join(sorted(_AFFINITY))}")
    return Placement(context, MappingProxyType(dict(selector)), tuple(tolerations), MappingProxyType(dict(affinity)))
