"""The functions of this process that concern us, by name: found in its modules, inside others, and in C.

Law: it finds and remembers; what is in force on a function is the business of ``attachments``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType

from mystic_agent import native, nested, targets, trampoline
from mystic_agent.attached import Attached
from mystic_agent.contract.hijack import Hijack
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.trace import Tracer
from mystic_agent.scope import Scope
from mystic_agent.swap import Swapped
from mystic_agent.trampoline import is_trampoline


class Roster:
    """The known functions. Not thread-safe: whoever holds it has the lock.

    Args:
        scope: which modules and functions are observed by default.
        tracer: where sampled calls go.
    """

    def __init__(self, scope: Scope, tracer: Tracer) -> None:
        self.scope = scope
        self.tracer = tracer
        self.by_name: dict[str, Attached] = {}
        self._by_module: dict[str, list[Attached]] = {}  # each module that arrives asks for its own

    def of(self, module: str) -> list[Attached]:
        """Return the known functions of one module."""
        return list(self._by_module.get(module, ()))

    def clear(self) -> None:
        """Forget every function."""
        self.by_name.clear()
        self._by_module.clear()

    def enter(self, name: str, module: ModuleType) -> None:
        """Find the functions of a module that has been loaded (again)."""
        default = self.scope.by_default(name, module)
        found = targets.functions(module)
        current = {id(one.function) for one in found}
        for attached in self.of(name):
            attached.swaps = [s for s in attached.swaps if id(s.function) in current or not s.release()]
        for one in found:
            self._add(name, one, default)
        self._add_nested(name, default)

    def look_for(self, hijacks: Iterable[Hijack]) -> None:
        """Search modules that are already loaded for what the hijacks name and is not known yet."""
        for hijack in hijacks:
            target = hijack.target
            if target.exact and str(target) in self.by_name:
                continue
            names = [target.module] if target.module in sys.modules else list(sys.modules)
            for name in names:
                module = sys.modules.get(name)
                if module is not None and target.wants_module(name) and self.scope.wants_loaded(name, module):
                    default = self.scope.by_default(name, module)
                    for one in targets.functions(module):
                        self._add(name, one, default)
                    self._add_nested(name, default)
                    if target.exact and str(target) not in self.by_name:
                        self._add_native(name, module, target.qualname)

    def _add_native(self, name: str, module: ModuleType, qualname: str) -> None:
        found = native.find(module, qualname)
        if found is not None:
            attached = self._named(name, qualname)
            attached.native = found
            attached.references = found.missed()

    def _add(self, module: str, one: targets.Found, default: bool) -> None:
        if is_trampoline(one.function.__code__) and "<locals>" in one.qualname:
            return  # it came into being with its hook
        attached = self._named(module, one.qualname)
        if attached.nested and any(inner.code is one.function.__code__ for inner in attached.nested):
            return  # an instance: it has whatever the function that made it gives to all
        if not attached.swaps or all(swap.function is not one.function for swap in attached.swaps):
            swap = Swapped(one.function)
            attached.swaps.append(swap)
            attached.kind = one.kind
            attached.state = "released"  # the newcomer has no hook yet
        attached.default = self.scope.wants_function(module, one.qualname, default)
        attached.reason = one.reason

    def _add_nested(self, module: str, default: bool) -> None:
        """Find the functions that the module's functions define, in their code."""
        for outer in self.of(module):
            for swap in outer.swaps:
                if swap.searched:
                    continue
                swap.searched = True
                for one in nested.find(swap):
                    attached = self._named(module, one.code.co_qualname)
                    attached.nested.append(one)
                    attached.swaps = [s for s in attached.swaps if s.code is not one.code or not s.release()]
                    attached.kind = trampoline.kind_of(one.code)
                    attached.state = "released"
                    attached.default = self.scope.wants_function(module, attached.qualname, default)
                    attached.reason = targets.leave_alone(one.code)

    def _named(self, module: str, qualname: str) -> Attached:
        full = f"{module}:{qualname}"
        attached = self.by_name.get(full)
        if attached is None:
            attached = self.by_name[full] = Attached(module, qualname, Meter(full, self.tracer))
            self._by_module.setdefault(module, []).append(attached)
        return attached
