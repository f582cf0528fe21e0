"""The agent of one process: the parts, put together, and what the link to the collector asks of them."""

from __future__ import annotations

import _thread
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mystic_agent import __version__, aware, source
from mystic_agent.attachments import Attachments
from mystic_agent.cache.memory import Memory
from mystic_agent.contract import wire
from mystic_agent.contract.report import FunctionReport, Report
from mystic_agent.external.external import External
from mystic_agent.governor import Governor
from mystic_agent.guard import guard
from mystic_agent.lease import Leases
from mystic_agent.link import CollectorArchive, Endpoint
from mystic_agent.observe.trace import Tracer
from mystic_agent.records import Attribute, Batch, Count
from mystic_agent.recursion import Allowance
from mystic_agent.rota import Rota
from mystic_agent.scope import Scope
from mystic_agent.settings import Settings
from mystic_agent.strategies.background import background

if TYPE_CHECKING:
    from types import ModuleType

    from mystic_agent.link import Destination
    from mystic_agent.link.hijack_set import HijackSet
    from mystic_agent.link.shelf import CollectorShelf

EXTREMES_EVERY_SECONDS = 10.0


class Agent:
    """What the agent is and does in one process, without its threads.

    Args:
        settings: read once.
        way: how it was switched on; shown to people.
        scope: which modules and functions matter.
    """

    def __init__(self, settings: Settings, way: str, scope: Scope) -> None:
        self.settings = settings
        self.way = way
        self.scope = scope
        self.instance = os.urandom(8).hex()
        self.threads: set[int] = set()
        self.tracer = Tracer(settings.sample_rate)
        self.attachments = Attachments(
            self.scope, self.tracer, settings.stage, settings.service, self.threads, settings.allow
        )
        self.attachments.secret = settings.api_key
        collector = Endpoint(settings.host, settings.port, api_key=settings.api_key).collector()
        self.archive = CollectorArchive(collector, started=self.threads.add)
        self.attachments.archive = self.archive
        background.threads = self.threads
        self.shelf: CollectorShelf | None = None
        if settings.cache_key:
            self._share(collector, settings)
        self.governor = Governor(self.attachments, settings.overhead_budget)
        self.rota = Rota(self.attachments, settings.overhead_budget, settings.analyze)
        self.leases = Leases(settings.stage, settings.allowed_strategies)
        self.external = External(self._observed, self.threads)
        self.version = -1
        self.warnings = settings.warnings
        self.dropped: Callable[[], dict[str, int]] = dict
        self.start_ns = time.time_ns()
        self._reported: dict[str, FunctionReport] = {}
        self._told = (-1, -1, -2)  # revision, loaded modules, version: nothing to say while they are the same
        self._last_arm = self._last_extremes = time.monotonic()
        self._silent = False

    def _share(self, collector: Destination, settings: Settings) -> None:
        """Let caches of shared scope keep their entries at the collector; few processes need what that takes."""
        from mystic_agent.cache.sealed import Seal
        from mystic_agent.cache.shared import Shared
        from mystic_agent.link.shelf import CollectorShelf

        self.shelf = CollectorShelf(collector, started=self.threads.add)
        self.attachments.shared = Shared(self.shelf, Seal(settings.cache_key, f"{settings.service} {settings.stage}"))

    # -- beginning and end -------------------------------------------------------------------------

    def open(self) -> list[Callable[[], None]]:
        """Make ready for the first function; return what undoes it."""
        self.tracer.arm(1.0)
        self.watch_outside()
        return [Allowance().install(), self.external.remove]

    def arrived(self, module: ModuleType) -> int:
        """Look at a module that has been loaded; return how many of its functions are now hijacked."""
        self.watch_outside()
        guard.run("source", source.remember, None, module)
        return self.attachments.arrive(module)

    def watch_outside(self) -> None:
        """Watch what functions do outside of the process, unless everything is switched off."""
        guard.run("external", self.external.remove if self.attachments.off else self.external.install, None)

    def _observed(self, function: str) -> bool:
        """True when ``module:qualname`` is observed as one of the project's, and not only because a hijack names it."""
        attached = self.attachments.by_name.get(function)
        return attached is not None and attached.default

    def close(self) -> None:
        """Put every function back; nothing of ours stays on any call."""
        self.tracer.disarm()
        self.attachments.release_all()
        self.archive.stop()
        if self.shelf is not None:
            self.shelf.stop()

    def after_fork(self) -> None:
        """Become a process of its own: a new instance, figures from zero, no trace under way."""
        self.instance = os.urandom(8).hex()
        self.start_ns = time.time_ns()
        self.threads.clear()
        self.tracer.reset()
        self.attachments.reset()
        self.archive.reset()
        background.reset()
        if self.shelf is not None:
            self.shelf.reset()
        self.external.reset()
        self.leases.lock = _thread.RLock()
        self._reported.clear()
        self.governor = Governor(self.attachments, self.settings.overhead_budget)
        self.rota = Rota(self.attachments, self.settings.overhead_budget, self.settings.analyze)

    # -- what the link asks --------------------------------------------------------------------------

    def resource(self) -> list[Attribute]:
        """Return the resource attributes of this process, by OpenTelemetry's semantic conventions."""
        return [
            (wire.SERVICE_NAME, self.settings.service),
            (wire.INSTANCE_ID, self.instance),
            (wire.STAGE, self.settings.stage),
            (wire.PID, os.getpid()),
            ("host.name", os.uname().nodename),
            ("process.runtime.name", sys.implementation.name),
            ("process.runtime.version", sys.version.split()[0]),
            ("telemetry.sdk.name", "gnosis-mystic"),
            ("telemetry.sdk.language", "python"),
            ("telemetry.sdk.version", __version__),
        ]

    def collect(self) -> Batch | None:
        """Return what there is to say now, and do what is due: sampling, extremes, expiry, the governor.

        While everything is switched off that is None, after the last figures.
        """
        if self.attachments.off and self._silent:
            return None
        self._silent = self.attachments.off
        guard.run("lease", self._end_leases, None)
        now = time.monotonic()
        elapsed, self._last_arm = now - self._last_arm, now
        for module in aware.waiting():
            guard.run("arrive", self.arrived, 0, module)
        main = sys.modules.get("__main__")
        if main is not None and self.scope.wants_loaded("__main__", main):
            guard.run("arrive", self.attachments.arrive, 0, main)
        guard.run("take_off", self.attachments.take_off, None)
        guard.run("governor", self.governor.tick, [])
        self.watch_outside()
        guard.run("rota", self.rota.tick, None)
        meters = [a.meter for a in list(self.attachments.by_name.values())]
        readings = [reading for reading in (meter.read() for meter in meters) if any(reading.buckets)]
        counts = [count for meter in meters if meter.decided for count in meter.counts()]
        guard.run("external", self.external.look, None, elapsed)
        counts += guard.run("external", self.external.counts, [])
        counts += [Count(wire.DROPPED, n, ((wire.KIND, kind),)) for kind, n in self.dropped().items()]
        counts.append(Count(wire.OVERHEAD, self.governor.share + self.rota.share, (), gauge=True))
        counts += [Count(wire.COST, ns, ((wire.KIND, kind),), gauge=True) for kind, ns in self.governor.costs()]
        counts.append(Count(wire.FUNCTIONS, len(meters), (), gauge=True))
        batch = Batch(self.tracer.collect(), readings, counts, self.attachments.events.collect())
        if now - self._last_extremes >= EXTREMES_EVERY_SECONDS:
            self._last_extremes = now
            for meter in meters:
                meter.forget_extremes()
        for attached in list(self.attachments.by_name.values()):
            for held in list(attached.keep.values()):
                if isinstance(held, Memory):
                    held.sweep()
        if not self.attachments.off:
            self.tracer.arm(elapsed)
        return batch

    def apply(self, received: HijackSet) -> None:
        """Put a whole set of hijacks in force, or release everything when the collector says so."""
        with self.leases.lock:
            hijacks, rejected = self.leases.take(received.hijacks, received.rejected, received.now)
            if received.off and not self.attachments.off:
                self.attachments.switch(off=True)
                self.tracer.disarm()
            self.attachments.apply(hijacks, rejected, received.version)
            if self.attachments.off and not received.off:
                self.attachments.switch(off=False)
                self.tracer.arm(1.0)
        self.version = received.version

    def _end_leases(self) -> None:
        """Take back what has ended; the collector, which may be away, says the same."""
        with self.leases.lock:
            left = self.leases.end()
            if left is not None:
                self.attachments.apply(*left, self.version)

    def report(self, complete: bool) -> Report | None:
        """Return the state of all functions, or of those whose state changed since the last report."""
        known = (self.attachments.revision, len(sys.modules), self.version)
        if not complete and known == self._told:
            return None
        current = self.attachments.reports()
        before = {} if complete else self._reported
        changed = [one for name, one in current.items() if before.get(name) != one]
        gone = [FunctionReport(name, "released") for name in before if name not in current]
        news = complete or changed or gone or self.version != self._told[2]
        self._reported, self._told = current, known
        if not news:
            return None
        return Report(
            self.instance,
            self.settings.service,
            self.settings.stage,
            os.getpid(),
            self.version,
            complete,
            tuple(changed + gone),
            self.status(),
        )

    def status(self) -> dict[str, object]:
        """Return facts about this process for people."""
        return {
            "agent": __version__,
            "python": sys.version.split()[0],
            "host": os.uname().nodename,  # of a pod: its name
            "program": " ".join(sys.orig_argv[:4])[:200],
            "way": self.way,
            "overhead": round(self.governor.share + self.rota.share, 6),
            "budget": self.settings.overhead_budget,
            "dropped": self.dropped(),
            "faults": guard.to_json()[-10:],
            "warnings": list(self.warnings),
            "off": self.attachments.off,
            "allow": list(self.settings.allow),
            "allowed_strategies": self.settings.allowed_strategies,
        }
