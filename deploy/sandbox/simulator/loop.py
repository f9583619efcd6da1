"""asyncio for one simulated process: no threads, no real time, and it can be dead between any two steps."""

import asyncio
import heapq
import sqlite3
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from itertools import count
from pathlib import Path
from typing import Any, cast

from deploy.sandbox.simulator.world import World


class SimLoop:
    """An event loop whose time is the world's. What has to wait waits in the world's order of events.

    It has what tasks, futures, locks and time-outs use of a loop, and nothing of sockets, signals and processes.

    Attributes:
        doom: the process dies after so many more steps; None: not by itself.
        failures: what nobody caught.
    """

    def __init__(self, world: World, *, die: Callable[[], None]) -> None:
        self._world = world
        self._die = die
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = count()
        self._tasks: list[asyncio.Task[Any]] = []
        self._awake = False
        self._ended = False
        self._as_asyncio = cast("asyncio.AbstractEventLoop", self)
        self.doom: int | None = None
        self.failures: list[BaseException] = []

    def time(self) -> float:
        """Seconds since the world began."""
        return self._world.now_us / 1_000_000

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        """As asyncio."""
        handle = asyncio.Handle(callback, args, self._as_asyncio, context)
        self._ready.append(handle)
        self._wake(0)
        return handle

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        """There is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """As asyncio."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """As asyncio."""
        handle = asyncio.TimerHandle(when, callback, args, self._as_asyncio, context)
        heapq.heappush(self._timers, (when, next(self._number), handle))
        self._world.after((when - self.time()) * 1000, self._run)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio."""
        return asyncio.Future(loop=self._as_asyncio)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        """As asyncio."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self._as_asyncio, name=name, context=context)
        self._tasks = [known for known in self._tasks if not known.done()]
        self._tasks.append(task)
        return task

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Done in its turn, in the one thread that there is."""
        future = self.create_future()

        def run() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - it is for whoever waits.
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.call_soon(run)
        return future

    def get_debug(self) -> bool:
        """As asyncio."""
        return False

    def is_running(self) -> bool:
        """As asyncio."""
        return not self._ended

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Whatever nobody caught ends the process, as the hub's supervisor would."""
        error = context.get("exception")
        if not self._ended and isinstance(error, BaseException):
            self.failures.append(error)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Its turn comes and nothing happens."""

    def start(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The process begins."""
        return self.create_task(main)

    def end(self) -> None:
        """The process is dead. Its coroutines are wound up, on a disk and a network that take nothing any more."""
        if self._ended:
            return
        self._ended = True
        previous = events._get_running_loop()  # noqa: SLF001 - how asyncio itself keeps it.
        events._set_running_loop(self._as_asyncio)  # noqa: SLF001
        try:
            for _ in range(1000):
                for task in self._tasks:
                    task.cancel()
                if not self._ready:
                    break
                while self._ready:
                    self._run_one()
        finally:
            events._set_running_loop(previous)  # noqa: SLF001
        self._tasks.clear()
        self._timers.clear()

    def _wake(self, ms: float) -> None:
        if not self._awake and not self._ended:
            self._awake = True
            self._world.after(ms, self._run)

    def _run(self) -> None:
        """Everything that is due, until the process waits or is dead."""
        self._awake = False
        events._set_running_loop(self._as_asyncio)  # noqa: SLF001
        try:
            while not self._ended:
                while self._timers and self._timers[0][0] <= self.time() + 1e-9:
                    self._ready.append(heapq.heappop(self._timers)[2])
                if not self._ready:
                    break
                if self.doom is not None:
                    self.doom -= 1
                    if self.doom < 0:
                        self.doom = None
                        self._die()
                        break
                self._run_one()
        finally:
            events._set_running_loop(None)  # noqa: SLF001

    def _run_one(self) -> None:
        handle = self._ready.popleft()
        if not handle.cancelled():
            handle._run()  # noqa: SLF001 - what an event loop does with its handles.


class InlineConnection:
    """What the hub's store uses of an `aiosqlite.Connection`, without its thread: each call is one step of the loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.raw = self._conn = connection

    async def _execute(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """As aiosqlite: what all its methods go through."""
        await asyncio.sleep(0)
        return function(*arguments)

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> sqlite3.Cursor:
        """As aiosqlite."""
        await asyncio.sleep(0)
        return self._conn.execute(sql, tuple(parameters))

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> sqlite3.Cursor:
        """As aiosqlite."""
        await asyncio.sleep(0)
        return self._conn.executemany(sql, [tuple(values) for values in parameters])

    async def execute_fetchall(self, sql: str, parameters: Iterable[Any] = ()) -> list[Any]:
        """As aiosqlite."""
        await asyncio.sleep(0)
        return self._conn.execute(sql, tuple(parameters)).fetchall()

    async def create_function(self, *arguments: Any, deterministic: bool) -> None:
        """As aiosqlite."""
        self._conn.create_function(*arguments, deterministic=deterministic)

    async def commit(self) -> None:
        """As aiosqlite."""
        await asyncio.sleep(0)
        self._conn.commit()

    async def rollback(self) -> None:
        """As aiosqlite."""
        await asyncio.sleep(0)
        self._conn.rollback()

    async def close(self) -> None:
        """As aiosqlite."""
        await asyncio.sleep(0)
        self._conn.close()


async def open_inline(path: Path, **options: Any) -> InlineConnection:
    """As `aiosqlite.connect`."""
    await asyncio.sleep(0)
    return InlineConnection(sqlite3.connect(path, **options))
