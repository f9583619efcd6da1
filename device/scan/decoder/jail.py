"""The walls around the decode child: limits, no new privileges, and an allow-list of system calls.

Put up after every import and the first decode, so that nothing has to be opened any more. From then on the process
can read frames that are mapped already, answer on the one socket it holds, take a bounded amount of memory, and end.
A barcode library taken over by a crafted picture can do no more than that: not open a file, not reach the network,
not start a program, not make code of its data.
"""

import ctypes
import mmap
import resource
import signal
from pathlib import Path

# What decoding may take on top of what is in use at the start. A 1456 x 1088 frame at twice its size needs 40 MB.
MEMORY_OVER_BYTES = 256 << 20

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

# seccomp.h of libseccomp 2
_ACT_ALLOW = 0x7FFF0000
_ACT_ERRNO = 0x00050000
_EPERM = 1
_CMP_EQ = 4
_CMP_MASKED_EQ = 7
_UNKNOWN_CALL = -1

# Memory, the clock, the socket, and the end. Names differ between architectures; unknown ones are passed over.
_ALLOWED = (
    "recvfrom",
    "recv",
    "sendto",
    "send",
    "futex",
    "futex_time64",
    "munmap",
    "mremap",
    "madvise",
    "brk",
    "close",
    "clock_gettime",
    "clock_gettime64",
    "gettimeofday",
    "getrandom",
    "sched_yield",
    "rt_sigreturn",
    "sigreturn",
    "rt_sigprocmask",
    "restart_syscall",
    "exit",
    "exit_group",
)


class _Compare(ctypes.Structure):
    """`struct scmp_arg_cmp`."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def enter() -> bool:
    """Close the walls around this process, for good. Returns whether system calls are filtered.

    False means that libseccomp is not installed: then the limits alone hold, and the parent says so in its log.
    Raises OSError when a wall that should stand does not.
    """
    try:
        seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        seccomp = None
    _end_with_the_parent()
    _limit_resources()
    if seccomp is not None:
        _filter_system_calls(seccomp)
    return seccomp is not None


def _end_with_the_parent() -> None:
    """No new privileges, no debugger, no core file, and SIGKILL when the thread that started this process ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0), (_PR_SET_PDEATHSIG, signal.SIGKILL)):
        if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")


def _limit_resources() -> None:
    """Nothing new opens, no file grows, no process starts, memory is bounded."""
    in_use_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * mmap.PAGESIZE
    for limit, value in (
        (resource.RLIMIT_AS, in_use_bytes + MEMORY_OVER_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        # Binds no process that runs as root, which the systemd unit forbids; the filter below binds everyone.
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _filter_system_calls(seccomp: ctypes.CDLL) -> None:
    """Allow `_ALLOWED`, stderr, and memory that is never executable; all else fails with EPERM.

    EPERM and not a kill: a library that merely asks for more than it needs goes on without.
    """
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_ACT_ERRNO | _EPERM)))
    if not rules:
        raise OSError("seccomp_init")
    for name in _ALLOWED:
        _allow(seccomp, rules, name)
    for name in ("mmap", "mmap2", "mprotect"):
        _allow(seccomp, rules, name, _Compare(2, _CMP_MASKED_EQ, mmap.PROT_EXEC, 0))
    _allow(seccomp, rules, "write", _Compare(0, _CMP_EQ, 2, 0))
    failed = seccomp.seccomp_load(rules)
    if failed:
        raise OSError(-failed, "seccomp_load")
    seccomp.seccomp_release(rules)


def _allow(seccomp: ctypes.CDLL, rules: ctypes.c_void_p, name: str, *only_if: _Compare) -> None:
    """Let one system call through; with `only_if`, only where its arguments compare so."""
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number == _UNKNOWN_CALL:
        return
    compares = (_Compare * len(only_if))(*only_if)
    failed = seccomp.seccomp_rule_add_array(rules, ctypes.c_uint32(_ACT_ALLOW), number, len(only_if), compares)
    if failed:
        raise OSError(-failed, f"seccomp rule for {name}")
