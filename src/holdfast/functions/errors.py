"""Errors of calls. Apart from the others, since ``concurrent.futures`` costs more to import than all of them."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor

from holdfast.errors import HoldfastError, Ran


class FunctionError(HoldfastError):
    """Base of what can go wrong with a call of a Python function."""


class CallRefused(FunctionError, TypeError):
    """A call that cannot be sent as it is; nothing was sent. The message names the part and the rule."""

    ran: Ran = "no"


class CallUnreadable(CallRefused, BrokenExecutor):
    """Function or arguments came to a worker and could not be opened there, so nothing was called.
    ``concurrent.futures`` takes a pool for broken then; here only this call fails.
    """


class CallTooLarge(FunctionError, ValueError):
    """Arguments or result beyond a limit, which the message names."""

    ran: Ran = "no"


class WorkerDied(FunctionError, BrokenExecutor):
    """The worker ended during this call (``ran`` is ``unknown``) or could not be started (``no``); the pool goes on."""


class ResultUnreadable(FunctionError, BrokenExecutor):
    """The result came and could not be opened here; the cause is what its pickle raised. ``concurrent.futures`` takes a
    pool for broken then; here only this call fails.
    """

    ran: Ran = "yes"


class CallTimeout(FunctionError, TimeoutError):
    """The call took longer than its ``timeout``; it was ended on its worker."""

    ran: Ran = "yes"


class RemoteError(FunctionError):
    """The function raised an exception there.

    Attributes:
        kind: ``module.qualname`` of its type.
        text: Its message.
        remote_traceback: As Python would have printed it there.
    """

    ran: Ran = "yes"

    def __init__(self, message: str, *, kind: str = "", text: str = "", remote_traceback: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.text = text
        self.remote_traceback = remote_traceback
