"""Run as a program of its own: shuts itself in, then becomes the Python that runs the code (see ``sandbox.py``).

Arguments: the working folder, CPU seconds, MiB of memory, a password, then the command to become. Without a password
it makes no namespaces; else a line of stderr that begins with it says that they are forbidden and that nothing was run.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_NAMESPACES = 0x10000000 | 0x40000000 | 0x20000000 | 0x00020000 | 0x08000000  # user, net, pid, mount, ipc
_PRIVATE, _RECURSIVE, _READ_ONLY, _AT_FDCWD, _MOUNT_SETATTR = 1 << 18, 0x8000, 1, -100, 442
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_PDEATHSIG, _NO_NEW_PRIVILEGES = 1, 38
_PROCESSES, _SCRATCH_MIB, _USER = 64, 32, 1000


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def _limit(cpu_s: int, memory_mib: int) -> None:
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),
        (resource.RLIMIT_AS, memory_mib << 20, memory_mib << 20),
        (resource.RLIMIT_FSIZE, _SCRATCH_MIB << 20, _SCRATCH_MIB << 20),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        most = resource.getrlimit(kind)[1]
        known = most != resource.RLIM_INFINITY
        resource.setrlimit(kind, (min(soft, most), min(hard, most)) if known else (soft, hard))


def _enter_namespaces(libc: ctypes.CDLL) -> None:
    user, group = os.getuid(), os.getgid()
    _checked(libc.unshare(_NAMESPACES))
    for name, line in (("setgroups", "deny"), ("uid_map", f"{_USER} {user} 1"), ("gid_map", f"{_USER} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def _shut_files(libc: ctypes.CDLL, work: bytes) -> None:
    """All files read-only, processes of others unseen, an empty folder in memory to work in."""
    attributes = _MountAttributes(_READ_ONLY, 0, _PRIVATE, 0)
    where = (ctypes.c_int(_AT_FDCWD), ctypes.c_char_p(b"/"), ctypes.c_uint(_RECURSIVE))
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _checked(libc.syscall(ctypes.c_long(_MOUNT_SETATTR), *where, ctypes.byref(attributes), size))
    scratch = f"size={_SCRATCH_MIB}m,nr_inodes=1000,mode=0700".encode()
    _checked(libc.mount(b"scratch", work, b"tmpfs", _NOSUID | _NODEV, scratch))
    if libc.mount(b"proc", b"/proc", b"proc", _NOSUID | _NODEV | _NOEXEC, None) != 0:
        _checked(libc.mount(b"nothing", b"/proc", b"tmpfs", _NOSUID | _NODEV | _NOEXEC, b"size=4k"))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _end_as(child: int, reading: int) -> None:
    """Ends this process as its child ended, or of the signal that the child says through the pipe."""
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if said := os.read(reading, 1):
        number = -said[0]
    if number < 0:
        os.kill(os.getpid(), -number)
    os._exit(number)


def _say_end_of(child: int, writing: int) -> None:
    """The same for the first process of a namespace, which dies of no signal and says it instead."""
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number < 0:
        os.write(writing, bytes([-number]))
    os._exit(max(number, 0))


def main(work: str, cpu_s: str, memory_mib: str, password: str, *command: str) -> None:
    """Never comes back."""
    if password:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            _enter_namespaces(libc)
            reading, writing = os.pipe()  # which the program does not inherit
            if first := os.fork():
                os.close(writing)
                _end_as(first, reading)
            _checked(libc.prctl(_PDEATHSIG, signal.SIGKILL))
            _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
            _shut_files(libc, work.encode())
            if second := os.fork():
                _say_end_of(second, writing)
            resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))
        except (OSError, AttributeError) as error:
            sys.stderr.write(f"{password} {error}\n")
            sys.stderr.flush()
            os._exit(1)
    os.chdir(work)
    _limit(int(cpu_s), int(memory_mib))
    os.execv(command[0], command)  # the capabilities of the new user namespace end here


if __name__ == "__main__":
    main(*sys.argv[1:])
