"""The only module that makes or opens pickles. Nothing of it is loaded before it is needed, and never by an agent.

Whoever opens a pickle does what its maker wants. So they are opened in workers, where the maker's functions run anyway,
and in clients that have said of a pool that they trust its workers.
"""

from __future__ import annotations

import io
import pickle
from collections import ChainMap
from types import CodeType, ModuleType
from typing import Any, ClassVar

import cloudpickle  # type: ignore[import-untyped]

from holdfast.functions.errors import CallRefused


class CannotPickle(CallRefused, pickle.PicklingError):
    """Something cannot be pickled, as pickling itself says."""


def refusal(error: Exception) -> type[CallRefused]:
    """As what a value is refused whose pickling has raised this."""
    return CannotPickle if isinstance(error, pickle.PicklingError) else CallRefused


def _code_with_its_file(code: CodeType) -> Any:
    """As cloudpickle writes code, which leaves out where it is from: tracebacks should tell."""
    reduced = cloudpickle.CloudPickler.dispatch_table[CodeType](code)
    make, args, *rest = reduced
    return (make, tuple([code.co_filename if part == "<dynamic-code>" else part for part in args]), *rest)


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
    dispatch_table: ClassVar[Any] = ChainMap({CodeType: _code_with_its_file}, cloudpickle.CloudPickler.dispatch_table)


def dumps(value: object) -> bytes:
    """A pickle of anything that cloudpickle can write: what of it can be imported by name goes by name.

    Raises:
        Exception: whatever the value's own methods raise; as a rule ``TypeError`` or ``pickle.PicklingError``.
    """
    file = io.BytesIO()
    _Pickler(file, protocol=5).dump(value)  # what Python 3.8 and newer read
    return file.getvalue()


def loads(data: bytes) -> Any:
    """What was pickled. Runs code of whoever made it.

    Raises:
        Exception: whatever comes up there; ``ModuleNotFoundError`` names a module that is missing here.
    """
    return pickle.loads(data)


def send_by_value(module: ModuleType) -> None:
    """From now on what is defined in this module travels as code, and not by name."""
    cloudpickle.register_pickle_by_value(module)
