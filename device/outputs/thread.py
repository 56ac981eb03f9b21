"""The thread between the frame loop and one sink."""

import threading
import time
from collections import deque
from collections.abc import Callable

from device.errors import OutputError, one_line
from device.outputs.sink import (
    BacklogAware,
    Counting,
    DriftWatcher,
    Selective,
    Sink,
    Updating,
    log,
)
from device.telemetry.counters import Telemetry
from device.telemetry.observation import Observation

TICK_S = 1.0
RETRY_S = 1.0
MAX_WAITING_CHANGES = 256
"""Most label changes and visits that wait for a hanging sink, without frames' pictures; then the
oldest go."""


class Mailbox:
    """One slot for the newest observation, and a queue of those before it that must arrive.

    These are label changes, and beginnings and ends of visits.
    """

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._changes: deque[Observation] = deque()
        self._newest: Observation | None = None
        self._closing = False
        self.lost_total = 0
        """Label changes dropped so far."""

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    @property
    def waiting(self) -> bool:
        """Whether there is something to take."""
        with self._ready:
            return bool(self._changes or self._newest)

    @property
    def waiting_changes(self) -> int:
        """How many label changes wait."""
        with self._ready:
            return len(self._changes)

    def put(self, observation: Observation) -> tuple[int, int]:
        """Leave an observation; never waits for the reader.

        Returns:
            How many waiting observations it replaced, and how many changes were dropped.
        """
        with self._ready:
            replaced, lost = int(self._newest is not None), 0
            self._newest = None if observation.must_arrive else observation
            if observation.must_arrive:
                if self._changes:
                    # Only the newest change keeps its picture, so that waiting costs little memory.
                    last = self._changes.pop()
                    self._changes.append(last.without_picture())
                self._changes.append(observation)
            if len(self._changes) > MAX_WAITING_CHANGES:
                self._changes.popleft()
                lost = 1
                self.lost_total += 1
            self._ready.notify()
            return replaced, lost

    def put_back(self, change: Observation) -> None:
        """Put a change that could not be delivered back at the front of the queue."""
        with self._ready:
            self._changes.appendleft(change)

    def take(self, timeout_s: float) -> Observation | None:
        """The oldest waiting change, else the newest observation.

        Returns:
            None after the timeout, or if nothing waits when it closes.
        """
        with self._ready:
            self._ready.wait_for(lambda: self._changes or self._newest or self._closing, timeout_s)
            if self._changes:
                return self._changes.popleft()
            newest, self._newest = self._newest, None
            return newest

    def close(self) -> None:
        """End all waiting, now and from now on; what waits can still be taken."""
        with self._ready:
            self._closing = True
            self._ready.notify_all()

    def wait_closing(self, timeout_s: float) -> None:
        """Wait until `close` is called, whatever comes meanwhile."""
        with self._ready:
            self._ready.wait_for(lambda: self._closing, timeout_s)


class SinkThread:
    """Runs one sink on its own thread."""

    def __init__(self, sink: Sink, telemetry: Telemetry) -> None:
        self.sink = sink
        self._catching = sink if isinstance(sink, BacklogAware) else None
        self._counting = sink if isinstance(sink, Counting) else None
        self._watching = sink if isinstance(sink, DriftWatcher) else None
        self._updating = sink if isinstance(sink, Updating) else None
        self._selecting = sink if isinstance(sink, Selective) else None
        self._telemetry = telemetry
        self._mailbox = Mailbox()
        self._problems: dict[str, str] = {}
        self._giving_up, self._lost_before = False, 0
        self._counters = telemetry.start_sink(sink.name)
        self._thread = threading.Thread(target=self._run, name=f"sink-{sink.name}", daemon=True)
        self._thread.start()

    def put(self, observation: Observation) -> None:
        """Leave an observation for the sink, if it needs it; never blocks."""
        if self._selecting is not None and not self._selecting.needs(observation):
            return
        replaced, lost = self._mailbox.put(observation)
        if replaced or lost:
            self._counters.dropped(replaced + lost, lost_changes=lost)

    def start_closing(self) -> None:
        """Ask the sink to deliver what is waiting, and close."""
        self._mailbox.close()

    def join(self, timeout_s: float) -> bool:
        """Wait until the sink is closed; false if it still hangs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        next_tick_s = 0.0
        while True:
            closing = self._mailbox.closing
            observation = self._mailbox.take(max(0.0, next_tick_s - time.monotonic()))
            empty = observation is None
            delivered = observation is None or self._deliver(observation)
            self._log_lost()
            # So that its picture does not stay in memory until the next observation.
            observation = None
            if closing and (empty or not delivered):
                break
            if time.monotonic() >= next_tick_s:
                next_tick_s = time.monotonic() + TICK_S
                self._attempt("tick", lambda: self.sink.tick(self._telemetry.snapshot()))
                if self._counting is not None:
                    self._counters.figures(self._counting.figures)
                if self._watching is not None:
                    self._telemetry.drift(self._watching.drift)
                if self._updating is not None:
                    self._telemetry.update(self._updating.update)
            if not delivered:
                self._mailbox.wait_closing(RETRY_S)
        self._attempt("close", self.sink.close)
        if left := self._mailbox.waiting_changes:
            log.warning("output.%s: closed, %d label changes undelivered", self.sink.name, left)
        if self._watching is not None:
            self._telemetry.drift(None)
        if self._updating is not None:
            self._telemetry.update(None)
        self._telemetry.end_sink(self.sink.name, self._counters)

    def _log_lost(self) -> None:
        """Log one line when the first change is dropped, and one when the rest is delivered."""
        lost = self._mailbox.lost_total - self._lost_before
        if lost and not self._giving_up:
            self._giving_up = True
            log.warning(
                "output.%s: %d label changes are waiting; the oldest are dropped from now on",
                self.sink.name,
                MAX_WAITING_CHANGES,
            )
        elif self._giving_up and not self._mailbox.waiting_changes:
            self._giving_up, self._lost_before = False, self._mailbox.lost_total
            log.warning("output.%s: %d label changes were dropped", self.sink.name, lost)

    def _deliver(self, observation: Observation) -> bool:
        """Publish; false if it should be tried again."""
        error = self._attempt("publish", lambda: self.sink.publish(observation))
        if error is None:
            self._counters.delivered()
        elif observation.must_arrive and isinstance(error, OSError | OutputError):
            self._mailbox.put_back(observation)
            return False
        return True

    def _attempt(self, method: str, call: Callable[[], None]) -> Exception | None:
        if self._catching is not None:
            self._catching.catching_up = self._mailbox.waiting
        try:
            call()
        except Exception as error:
            # No error may end a sink's thread: the broker may come back.
            problem = one_line(error)
            if problem not in self._problems.values():
                log.warning("output.%s: %s", self.sink.name, problem)
            self._problems[method] = problem
            self._counters.failed(problem)
            return error
        if self._problems.pop(method, ""):
            rest = next(iter(self._problems.values()), "")
            self._counters.works(rest=rest)
            if not rest:
                log.info("output.%s: works again", self.sink.name)
        return None
