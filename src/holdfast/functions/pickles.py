"""The only module that makes or opens pickles. Nothing of it is loaded before it is needed, and never by an agent.

Whoever opens a pickle does what its maker wants. So they are opened in workers, where the maker's functions run anyway,
and in clients that have said of a pool that they trust its workers.
"""

from __future__ import annotations

import pickle
from types import ModuleType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]


def dumps(value: object) -> bytes:
    """A pickle of anything that cloudpickle can write: what of it can be imported by name goes by name.

    Raises:
        Exception: whatever the value's own methods raise; as a rule ``TypeError`` or ``pickle.PicklingError``.
    """
    data: bytes = cloudpickle.dumps(value, protocol=5)  # what Python 3.8 and newer read
    return data


def loads(data: bytes) -> Any:
    """What was pickled. Runs code of whoever made it.

    Raises:
        Exception: whatever comes up there; ``ModuleNotFoundError`` names a module that is missing here.
    """
    return pickle.loads(data)


def send_by_value(module: ModuleType) -> None:
    """From now on what is defined in this module travels as code, and not by name."""
    cloudpickle.register_pickle_by_value(module)
