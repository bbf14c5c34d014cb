"""Seccomp: calls of the system that no thread of the process may make any more. They fail with EPERM.

A filter is a program of classic BPF over `struct seccomp_data` (linux/seccomp.h): number of the call at 0, architecture
at 4, arguments from 16 on. Numbers of calls are those of arch/x86/entry/syscalls/syscall_64.tbl and of
include/uapi/asm-generic/unistd.h. Refuses to know why they are not needed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Mapping, Sequence

import msgspec

from runtime.confining.errors import CannotConfine

_CALLS: dict[str, tuple[int, int, Mapping[str, int]]] = {
    "x86_64": (
        0xC000003E,
        317,
        {
            "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
            "connect": 42, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "setns": 308,
            "unshare": 272, "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246,
            "kexec_file_load": 320, "bpf": 321, "perf_event_open": 298, "keyctl": 250, "add_key": 248,
            "request_key": 249, "userfaultfd": 323, "open_by_handle_at": 304, "reboot": 169, "swapon": 167,
            "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "pidfd_getfd": 438,
            "mount_setattr": 442, "socket": 41,
        },
    ),
    "aarch64": (
        0xC00000B7,
        277,
        {
            "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
            "connect": 203, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "setns": 268,
            "unshare": 97, "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104,
            "kexec_file_load": 294, "bpf": 280, "perf_event_open": 241, "keyctl": 219, "add_key": 217,
            "request_key": 218, "userfaultfd": 282, "open_by_handle_at": 265, "reboot": 142, "swapon": 224,
            "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "pidfd_getfd": 438,
            "mount_setattr": 442, "socket": 198,
        },
    ),
}  # fmt: skip
"""(AUDIT_ARCH, the call `seccomp`, what is denied) by `uname -m`; `socket` is, but for some families."""

_STARTING = frozenset({"execve", "execveat"})
_CONNECTING = frozenset({"connect"})
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
"""Families of sockets (linux/socket.h). Names are looked up with the last of them, too."""

_X32 = 0x40000000
"""Numbers from here on are another way to make the same calls on x86-64."""

_SET_MODE_FILTER = 1
_ALL_THREADS, _SPECULATES = 1 << 0, 1 << 2
"""Flags. Without the second one kernels before 5.16 have the processor speculate less, and computing takes longer."""
_NO_NEW_PRIVS = 38  # of prctl
_LOAD, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | errno.EPERM


class Allowed(msgspec.Struct, frozen=True):
    """What of the denied is needed: to start programs, to connect, to tell a supervisor something by a unix socket."""

    starts: bool = False
    connects: bool = False
    tells: bool = False


def is_known_here() -> bool:
    """Whether the numbers of this processor's calls are known."""
    return os.uname().machine in _CALLS


def confine_process(allowed: Allowed) -> None:
    """Deny these calls to all threads, for good, but those that are `allowed`. Raises `CannotConfine`."""
    machine = os.uname().machine
    if machine not in _CALLS:
        raise CannotConfine(f"it is not known on {machine}")
    architecture, seccomp, calls = _CALLS[machine]
    program = b"".join(filter_program(architecture, calls, allowed))
    code = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        ctypes.c_long(seccomp), ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_ALL_THREADS | _SPECULATES), fprog
    ):
        raise CannotConfine(f"seccomp: {os.strerror(ctypes.get_errno())}")


def filter_program(architecture: int, calls: Mapping[str, int], allowed: Allowed) -> Sequence[bytes]:
    """Its instructions. A call of another architecture's is denied, and so is each of `calls` that is not `allowed`."""
    needed = {"socket"} | (_STARTING if allowed.starts else set()) | (_CONNECTING if allowed.connects else set())
    denied = sorted(number for name, number in calls.items() if name not in needed)
    families = ((_UNIX,) if allowed.tells else ()) + ((_INET, _INET6, _NETLINK) if allowed.connects else ())
    to_deny = len(denied) + len(families)
    return (
        _instruction(_LOAD, 4),
        _instruction(_EQUALS, architecture, 0, to_deny + 4),
        _instruction(_LOAD, 0),
        _instruction(_AT_LEAST, _X32, to_deny + 2, 0),
        *(_instruction(_EQUALS, number, to_deny + 1 - i, 0) for i, number in enumerate(denied)),
        _instruction(_EQUALS, calls["socket"], 0, len(families) + 2),
        _instruction(_LOAD, 16),
        *(_instruction(_EQUALS, family, len(families) - i, 0) for i, family in enumerate(families)),
        _instruction(_RETURN, _DENY),
        _instruction(_RETURN, _ALLOW),
    )


def _instruction(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("@HBBI", code, if_so, if_not, value)
