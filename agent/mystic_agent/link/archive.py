"""Recordings at the collector: kept and loaded by one thread of ours, which begins with the first need."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mystic_agent.contract import wire
from mystic_agent.contract.errors import Invalid
from mystic_agent.guard import FAULTS, guard
from mystic_agent.link.backoff import Backoff
from mystic_agent.link.endpoint import Destination, Headers
from mystic_agent.link.errand import Errand
from mystic_agent.link.gate import load
from mystic_agent.link.reply import BadReply
from mystic_agent.threads import get_ident

if TYPE_CHECKING:
    from mystic_agent.contract.recording import Recorded

    Take = Callable[[Sequence[Recorded]], object]

REQUEST_SECONDS = 10.0
LAST_SECONDS = 0.2
MOST_AT_ONCE = 64
MOST_BATCH_BYTES = 256 * 1024
MOST_QUEUED_BYTES = 8 * 2**20
MOST_REPLY_BYTES = 4 * 2**20
_JSON: Headers = (("Content-Type", "application/json"),)
_WEIGHT = 300


class CollectorArchive(Errand):
    """The archive of one process at one collector; see :class:`mystic_agent.strategies.archive.Archive`.

    Args:
        destination: the collector.
        started: takes the identity of the thread, when it runs.
        backoff: how long to leave a collector alone that does not answer.

    Attributes:
        dropped: outcomes that could not be handed over.
    """

    def __init__(
        self,
        destination: Destination,
        started: Callable[[int], object] = lambda identity: None,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__("mystic-archive", destination, started, backoff)

    def _begin(self) -> None:
        super()._begin()
        self._outcomes: deque[tuple[str, Recorded]] = deque()
        self._queued = 0
        self._wanted: deque[tuple[str, str, int, Take]] = deque()

    # -- callers -----------------------------------------------------------------------------------------------------

    def keep(self, recording: str, outcome: Recorded) -> None:
        """Have one outcome kept; when the queue is full the oldest goes."""
        with self._condition:
            self._outcomes.append((recording, outcome))
            self._queued += _size(outcome)
            self._shrink()
            self._wake()

    def load(self, recording: str, function: str, most: int, take: Take) -> None:
        """Have what is recorded of a function handed over to ``take``."""
        with self._condition:
            self._wanted.append((recording, function, most, take))
            self._wake()

    def _shrink(self) -> None:
        while self._queued > MOST_QUEUED_BYTES:
            self._queued -= _size(self._outcomes.popleft()[1])
            self.dropped += 1

    def _wake(self) -> None:
        self._need()
        self._condition.notify()

    def stop(self, timeout: float = LAST_SECONDS) -> None:
        """As :meth:`Errand.stop`."""
        super().stop(timeout)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._started(get_ident())
        load("socket", "json")
        while self._wait():
            try:
                self._work()
                self._backoff.reset()
            except FAULTS as error:
                guard.note("archive", error)
                with self._condition:
                    self._condition.wait_for(lambda: self._stopping, self._backoff.next())
                if self._stopping:
                    break
        self._connection.close()
        self.dropped += len(self._outcomes)

    def _wait(self) -> bool:
        """Wait until there is something to do; what is to be kept is handed over before the end."""
        with self._condition:
            while not (self._outcomes or self._wanted or self._stopping):
                self._condition.wait()
            return bool(self._outcomes) if self._stopping else True

    def _work(self) -> None:
        if self._outcomes:
            self._send()
        elif self._wanted:
            wanted = self._wanted.popleft()
            recording, function, most, take = wanted
            try:
                found = self._fetch(recording, function, most)
            except FAULTS:  # once more, after those that wait already
                self._wanted.append(wanted)
                raise
            take(found)

    def _send(self) -> None:
        batch: list[tuple[str, Recorded]] = []
        size = 0
        with self._condition:
            while self._outcomes and len(batch) < MOST_AT_ONCE and size < MOST_BATCH_BYTES:
                batch.append(self._outcomes.popleft())
                size += _size(batch[-1][1])
            self._queued -= size
        try:
            self._post(
                wire.RECORDINGS_KEEP_PATH,
                {"entries": [{"recording": name, **outcome.to_json()} for name, outcome in batch]},
            )
        except OSError:  # it may come back
            with self._condition:
                self._outcomes.extendleft(reversed(batch))
                self._queued += size
                self._shrink()
            raise
        except BadReply:
            self.dropped += len(batch)
            raise

    def _fetch(self, recording: str, function: str, most: int) -> list[Recorded]:
        load("mystic_agent.contract.recording", "datetime", "decimal", "uuid")  # reading values back needs them
        from mystic_agent.contract.recording import parse_recorded

        found: list[Recorded] = []
        after = 0
        while len(found) < most and not self._stopping:
            asked = {"recording": recording, "function": function, "after": after}
            page = self._post(wire.RECORDINGS_LOAD_PATH, asked)
            listed, after = page.get("entries"), page.get("next") or 0
            if not isinstance(listed, list) or not isinstance(after, int):
                raise Invalid("entries", listed, "send a list")
            found += [parse_recorded(one, "entries") for one in listed[: most - len(found)]]
            if not after:
                break
        return found

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        import json

        data = json.dumps(body).encode("ascii")
        reply = self._exchange(path, _JSON, data, REQUEST_SECONDS, MOST_REPLY_BYTES)
        answer = json.loads(reply or b"{}")
        if not isinstance(answer, dict):
            raise BadReply(f"the collector answered POST {path} with something else than an object")
        return answer


def _size(outcome: Recorded) -> int:
    return _WEIGHT + len(outcome.value) + len(outcome.call) + len(outcome.message)
