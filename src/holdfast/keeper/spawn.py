"""Starting a command: the one place where a process is made.

Two ways, one result. ``posix_spawn`` (a vfork inside the C library) for a command that runs as the shim does: nothing
is copied, so it costs what the kernel charges. A fork with our own child code where user, groups or resource limits
are asked for, because they can only be set in the child.

The command gets descriptors 0, 1 and 2 and no other (all of ours are close-on-exec, PEP 446), default signal handlers,
an empty mask, a process group of its own, and the shim's session. There is never a shell: ENOEXEC is an error.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import struct

from holdfast.keeper import linux
from holdfast.store import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.keeper.messages import Run

_DEFAULT_PATH = b"/bin:/usr/bin"
"""Where execvp(3) looks when there is no PATH."""
_DEFAULTS = tuple(int(signum) for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_OF_THE_MACHINE = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.E2BIG)
"""Errors that say nothing about the executable."""
_REPORT = struct.Struct("!Bi")


class StartFailed(Exception):
    """The command was not executed: ``errno`` and a ``control`` stage say why."""

    def __init__(self, number: int, stage: int) -> None:
        super().__init__(f"{os.strerror(number)} ({control.STAGES[stage]})")
        self.errno = number
        self.stage = stage


def spawn(run: Run, stdin: int | None, stdout: int, stderr: int) -> int:
    """Starts the command of a job; its process id, which is also its process group.

    Args:
        run: The job.
        stdin: What the command reads, or None: the caller's own descriptor 0, which must be ``/dev/null``.
        stdout: What becomes its descriptor 1.
        stderr: What becomes its descriptor 2.

    Raises:
        StartFailed: nothing was executed and no process is left.
    """
    if run.user is not None or run.rlimits:
        return _fork_and_exec(run, stdin, stdout, stderr)
    environment = dict([item.split(b"=", 1) for item in run.env])
    away = run.cwd not in (b"", b"/")
    if away:
        try:
            os.chdir(run.cwd)
        except OSError as exc:
            raise StartFailed(exc.errno or 0, control.AT_DIRECTORY) from exc
    actions = [(os.POSIX_SPAWN_DUP2, stdout, 1), (os.POSIX_SPAWN_DUP2, stderr, 2)]
    if stdin is not None:
        actions.append((os.POSIX_SPAWN_DUP2, stdin, 0))
    own_umask = os.umask(run.umask)
    try:
        return os.posix_spawn(
            _executable(run.argv[0], environment.get(b"PATH", _DEFAULT_PATH)), run.argv, environment,
            file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=_DEFAULTS,
        )  # fmt: skip
    except OSError as exc:
        number = exc.errno or 0
        raise StartFailed(number, control.AT_SPAWN if number in _OF_THE_MACHINE else control.AT_EXECUTABLE) from exc
    finally:
        os.umask(own_umask)
        if away:
            os.chdir("/")


def candidates(name: bytes, path: bytes) -> list[bytes]:
    """Where a command of this name may lie: itself if it has a slash, else in each directory of PATH.

    An empty element of PATH, which traditionally means the current directory, means nothing here.
    """
    if b"/" in name:
        return [name]
    return [directory.rstrip(b"/") + b"/" + name for directory in path.split(b":") if directory] if name else []


def _executable(name: bytes, path: bytes) -> bytes:
    """The file to execute; PermissionError if all that was found may not be executed."""
    if b"/" in name:
        return name
    denied = False
    for candidate in candidates(name, path):
        try:
            regular = stat.S_ISREG(os.stat(candidate).st_mode)
        except PermissionError:
            denied = True
            continue
        except OSError:  # ENOENT, ENOTDIR, ELOOP: not here
            continue
        if regular and os.access(candidate, os.X_OK):
            return candidate
        denied = True
    number = errno.EACCES if denied else errno.ENOENT
    raise OSError(number, os.strerror(number))


def _fork_and_exec(run: Run, stdin: int | None, stdout: int, stderr: int) -> int:
    report, told = os.pipe()  # close-on-exec: a successful exec closes it, and that is the good news
    try:
        try:
            pid = os.fork()
        except OSError as exc:
            raise StartFailed(exc.errno or 0, control.AT_SPAWN) from exc
        if pid == 0:
            _become(run, stdin, stdout, stderr, told)
        os.close(told)
        told = -1
        news = os.read(report, _REPORT.size)
    finally:
        os.close(report)
        if told >= 0:
            os.close(told)
    if news:
        os.waitpid(pid, 0)
        stage, number = _REPORT.unpack(news)
        raise StartFailed(number, stage)
    return pid


def _become(run: Run, stdin: int | None, stdout: int, stderr: int, told: int) -> None:
    """In the child: becomes the command, or tells why not and is gone. Never returns."""
    stage = control.AT_SPAWN
    try:
        os.setpgid(0, 0)
        for source, target in ((stdin, 0), (stdout, 1), (stderr, 2)):
            if source is not None:
                os.dup2(source, target)
        stage = control.AT_LIMITS
        _set_limits(run)
        if run.user is not None:
            stage = control.AT_USER
            _become_user(*run.user)
        stage = control.AT_DIRECTORY
        os.chdir(run.cwd or b"/")
        os.umask(run.umask)
        for signum in _DEFAULTS:
            signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        stage = control.AT_EXECUTABLE
        _execute(run)
    except OSError as exc:
        os.write(told, _REPORT.pack(stage, exc.errno or 0))
    except BaseException:
        os.write(told, _REPORT.pack(stage, errno.EINVAL))
    finally:
        os._exit(127)


def _set_limits(run: Run) -> None:
    import resource  # in the child alone: few jobs need it

    for kind, soft, hard in run.rlimits:
        try:
            resource.setrlimit(kind, (soft, hard))
        except ValueError as exc:  # it says so, and not EPERM, where a hard limit would be raised
            raise OSError(errno.EPERM, os.strerror(errno.EPERM)) from exc


def _become_user(uid: int, gid: int, groups: tuple[int, ...]) -> None:
    """Groups, gid, uid: in the other order the first step would take away the right to the next. Then verified."""
    if os.geteuid() == 0:
        os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    linux.forbid_new_privileges()
    if os.getresuid() != (uid,) * 3 or os.getresgid() != (gid,) * 3 or not set(os.getgroups()) <= {*groups, gid}:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _execute(run: Run) -> None:
    environment = dict([item.split(b"=", 1) for item in run.env])
    failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for candidate in candidates(run.argv[0], environment.get(b"PATH", _DEFAULT_PATH)):
        try:
            os.execve(candidate, run.argv, environment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as exc:
            failure = exc
    raise failure
