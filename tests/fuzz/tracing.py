"""Which branches a run takes, told to libFuzzer without a call.

atheris puts a call into every branch of the code under test, and that call is most of what an execution costs here.
Here a branch writes one byte into a table that libFuzzer reads by itself: two to three times as many executions in
the same time. How often a branch was taken is lost, whether it was taken is not. With `compares` atheris traces as it
always does, and every comparison too, so that libFuzzer can learn the other side of one: slower, and good at the start.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

from atheris import import_hook, instrument_bytecode

PACKAGES = {"protocol", "device", "hub"}
_BRANCHES_MAX = 1 << 17
_PC_FIRST = 1 << 40
_PC_STEP = 16


class Tracing:
    """Instruments what is imported inside `with`; `begin` after `atheris.Setup`."""

    def __init__(self, *, compares: bool) -> None:
        self._compares = compares
        self._taken = bytearray(_BRANCHES_MAX)
        self._branches = 0
        self._kept: list[Any] = []
        self._hook = import_hook.HookManager(PACKAGES, set(), False, compares)

    def __enter__(self) -> None:
        if not self._compares:
            instrument_bytecode.Instrumentor._generate_trace_branch_invocation = self._generator()
        self._hook.__enter__()

    def __exit__(self, *raised: object) -> None:
        self._hook.__exit__(*raised)

    def _generator(self):
        def generate(instrumentor: Any, at: Any) -> Sequence[Any]:
            """`taken[branch] = 1`."""
            branch, self._branches = self._branches, self._branches + 1
            if branch >= _BRANCHES_MAX:
                raise ValueError("more branches than the table holds")
            loads = [
                instrument_bytecode._generate_instruction("LOAD_CONST", instrumentor._get_const(const), at)
                for const in (1, self._taken, branch)
            ]
            return [*loads, instrument_bytecode._generate_instruction("STORE_SUBSCR", None, at)]

        return generate

    def count(self) -> int:
        """How many branches were taken so far."""
        return len(self._taken) - self._taken.count(0)

    def forget(self) -> None:
        """As if none had been taken."""
        self._taken[:] = bytes(_BRANCHES_MAX)

    def begin(self) -> None:
        """Gives the table to libFuzzer: the same two calls that a compiler puts into instrumented C."""
        if self._compares:
            return
        from atheris import core_with_libfuzzer  # there only after Setup

        library = ctypes.CDLL(core_with_libfuzzer.__file__)
        length = -(-self._branches // 8) * 8
        table = (ctypes.c_char * _BRANCHES_MAX).from_buffer(self._taken)
        pcs = (ctypes.c_size_t * (2 * length))()
        pcs[::2] = range(_PC_FIRST, _PC_FIRST + length * _PC_STEP, _PC_STEP)
        self._kept += [table, pcs]
        for call, begin, size in (
            (library["__sanitizer_cov_8bit_counters_init"], ctypes.addressof(table), length),
            (library["__sanitizer_cov_pcs_init"], ctypes.addressof(pcs), ctypes.sizeof(pcs)),
        ):
            call(ctypes.c_void_p(begin), ctypes.c_void_p(begin + size))
