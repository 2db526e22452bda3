"""How functions, arguments, results and exceptions travel: by name or value, plain or pickled, and what is refused."""

from __future__ import annotations

import builtins
import functools
import json
import operator
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from types import ModuleType
from typing import Any

import msgspec
import pytest

from holdfast.errors import LeaseLost
from holdfast.functions import calls, messages, outcome, raised
from holdfast.functions.calls import CannotLoad
from holdfast.functions.errors import CallRefused, CallTimeout, CallTooLarge, CallUnreadable, RemoteError

HERE = __name__


def triple(number: int) -> int:
    return 3 * number


class Tool:
    def use(self) -> int:
        return 5

    @staticmethod
    def static() -> int:
        return 6


# --- functions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (json.dumps, ("json", "dumps")),
        (len, ("builtins", "len")),
        (operator.neg, ("_operator", "neg")),
        (Tool.static, (HERE, "Tool.static")),
        (Tool, (HERE, "Tool")),
        (triple, (HERE, "triple")),
        (lambda: None, None),
        (functools.partial(triple, 1), None),
        (Tool().use, None),
        ("".join, None),
    ],
    ids=["function", "builtin", "c", "static", "class", "here", "lambda", "partial", "bound", "bound-c"],
)
def test_what_goes_by_name(function: Callable[..., Any], named: tuple[str, str] | None) -> None:
    assert calls.reference(function) == named
    body = calls.encode_function(function)
    assert calls.needs_pickle(body) is (named is None)
    if named is not None:
        assert body == b"n" + ":".join(named).encode()
        assert calls.load_function(body) is function
    else:
        assert callable(calls.load_function(body))


def test_a_wrapper_that_hides_behind_its_function_goes_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    @functools.wraps(triple)
    def wrapper(number: int) -> int:
        return triple(number) + 1

    assert calls.reference(wrapper) is None
    assert calls.load_function(calls.encode_function(wrapper))(1) == 4


def test_a_function_of_the_program_itself_goes_by_value_and_finds_what_it_uses() -> None:
    """Made and opened in two processes; in the second there is no such program."""
    program = "\n".join(
        [
            "import sys",
            "from holdfast.functions import calls",
            "factor = 7",
            "def helper(n): return n * factor",
            "def work(n): return helper(n) + 1",
            "sys.stdout.buffer.write(calls.encode_function(work))",
        ]
    )
    body = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout
    assert calls.needs_pickle(body)
    assert calls.load_function(body)(2) == 15


def test_a_module_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("only_with_the_caller")
    exec("def work(n):\n    return n + 1", module.__dict__)  # so it lives in that module
    monkeypatch.setitem(sys.modules, module.__name__, module)
    by_name = calls.encode_function(module.work)
    flags, arguments = calls.encode_arguments((module.work,), {})
    assert flags == messages.PICKLED
    assert calls.send_by_value(module.__name__) is module
    by_value = calls.encode_function(module.work, by_value=True)
    monkeypatch.delitem(sys.modules, module.__name__)
    with pytest.raises(CannotLoad) as caught:
        calls.load_function(by_name)
    assert caught.value.module == module.__name__
    with pytest.raises(CannotLoad) as caught:
        calls.open_arguments(flags, arguments)
    assert caught.value.module == module.__name__
    assert calls.load_function(by_value)(1) == 2
    assert calls.send_by_value(module.__name__) is None


@pytest.mark.parametrize(
    ("body", "module"),
    [
        (b"njson:not_there", "json"),
        (b"nholdfast.functions.not_there:f", "holdfast.functions.not_there"),
        (b"nsys:maxsize", None),
        (b"vgarbage", None),
        (b"v" + pickle.dumps(3), None),
    ],
    ids=["no-name", "no-module", "not-callable", "no-pickle", "a-number"],
)
def test_a_function_that_cannot_be_had(body: bytes, module: str | None) -> None:
    with pytest.raises(CannotLoad) as caught:
        calls.load_function(body)
    assert caught.value.module == module


def test_a_module_that_fails_to_load_is_told_as_what_it_is(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_that_fails.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CannotLoad, match="importing module_that_fails failed: RuntimeError: not today") as caught:
        calls.load_function(b"nmodule_that_fails:f")
    assert caught.value.module is None


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "flags"),
    [
        ((), {}, 0),
        ((1, None, b"x", "\udc80", 2**70), {}, 0),
        (([1, (2,)],), {"a": {3}}, 0),
        ((datetime.min,), {}, messages.PICKLED),
        ((), {"when": datetime.min}, messages.PICKLED),
    ],
)
def test_arguments_come_as_they_went(args: tuple[Any, ...], kwargs: dict[str, Any], flags: int) -> None:
    found = calls.encode_arguments(args, kwargs)
    assert found[0] == flags
    positional, named = calls.open_arguments(*found)
    assert (tuple(positional), dict(named)) == (args, kwargs)


def test_what_cannot_be_sent_is_named() -> None:
    lock = threading.Lock()
    for args, kwargs, place in [((1, lock), {}, r"args\[1\]"), ((), {"a": 1, "b": lock}, "b")]:
        with pytest.raises(CallRefused, match=f"^{place} cannot be sent: TypeError: cannot pickle") as caught:
            calls.encode_arguments(args, kwargs)
        assert caught.value.ran == "no"
    with pytest.raises(CallRefused, match=r"^the function cannot be sent"):
        calls.encode_function(functools.partial(triple, lock))  # type: ignore[arg-type]


def test_arguments_that_cannot_be_read() -> None:
    for flags in (0, messages.PICKLED):
        with pytest.raises(CannotLoad):
            calls.open_arguments(flags, b"\xc1garbage")


def test_limits_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MESSAGE_BYTES", 1000)
    with pytest.raises(CallTooLarge, match=r"the arguments: .* bytes; the limit MESSAGE_BYTES is 1000"):
        calls.encode_arguments((b"x" * 1000,), {})
    with pytest.raises(CallTooLarge, match="the arguments: "):
        calls.encode_arguments((b"x" * 1000, datetime.min), {})
    with pytest.raises(CallTooLarge, match="the result: "):
        calls.encode_result("x" * 1000, pickles=False)
    with pytest.raises(CallTooLarge, match="the function: "):
        calls.encode_function(functools.partial(triple, b"x" * 1000))  # type: ignore[arg-type]


# --- results ---------------------------------------------------------------------------------------------------------


def test_a_plain_result_needs_no_trust_and_another_one_does() -> None:
    assert calls.open_result(calls.encode_result({1: (2,)}, pickles=False), pickles=False) == {1: (2,)}
    assert calls.open_result(calls.encode_result({1: (2,)}, pickles=True), pickles=False) == {1: (2,)}
    with pytest.raises(CallRefused, match=r"^the result is a datetime\.datetime$"):
        calls.encode_result(datetime.min, pickles=False)
    body = calls.encode_result(datetime.min, pickles=True)
    assert calls.open_result(body, pickles=True) == datetime.min
    with pytest.raises(CallRefused, match="a pickle") as caught:
        calls.open_result(body, pickles=False)
    assert caught.value.ran == "yes"
    with pytest.raises(ValueError, match="form"):
        calls.open_result(b"?", pickles=True)


# --- exceptions ------------------------------------------------------------------------------------------------------


class Own(Exception):
    def __init__(self, first: str, second: int) -> None:
        super().__init__(first)
        self.second = second


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def fail(error: BaseException) -> BaseException:
    """``error`` as raised and caught, with a cause."""
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise error from cause
    except BaseException as caught:
        return caught


def open_error_of(error: BaseException, *, pickles: bool = False) -> BaseException:
    return raised.open_error(raised.encode_error(error, pickles=pickles), pickles=pickles)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        KeyError("key"),
        FileNotFoundError(2, "No such file", "/nowhere"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
        StopIteration(3),
        SystemExit(4),
        KeyboardInterrupt(),
        json.JSONDecodeError("bad", "doc", 1),
        queue.Empty(),
        LeaseLost("gone"),
        Own("text", 3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_is_of_its_own_type_and_a_remote_error(error: BaseException) -> None:
    found = open_error_of(fail(error))
    assert isinstance(found, type(error))
    assert isinstance(found, RemoteError)
    assert type(found).__name__ == type(error).__name__
    assert str(found) == str(error)
    assert found.text == str(error)
    assert found.ran == "yes"
    assert "raise error from cause" in found.remote_traceback
    assert "KeyError: 'cause'" in found.remote_traceback
    assert "raise error from cause" in str(found.__cause__)
    again = pickle.loads(pickle.dumps(found))
    assert (type(again), str(again), again.args) == (type(found), str(found), found.args)
    assert again.remote_traceback == found.remote_traceback


def test_what_an_exception_knows_is_kept_where_it_is_plain() -> None:
    found = open_error_of(fail(FileNotFoundError(2, "No such file", "/nowhere")))
    assert isinstance(found, FileNotFoundError)
    assert (found.errno, found.strerror, found.filename) == (2, "No such file", "/nowhere")
    exit_ = open_error_of(SystemExit(4))
    assert isinstance(exit_, SystemExit)
    assert exit_.code == 4
    assert open_error_of(ValueError(1, "two", (3,))).args == (1, "two", (3,))
    assert open_error_of(ValueError(datetime.min)).args == (str(datetime.min),)


def test_a_type_that_is_not_here_is_a_remote_error(monkeypatch: pytest.MonkeyPatch) -> None:
    body = raised.encode_error(fail(Own("text", 1)), pickles=False)
    monkeypatch.delattr(sys.modules[HERE], "Own")
    found = raised.open_error(body, pickles=False)
    assert type(found) is RemoteError
    assert str(found) == f"{HERE}.Own: text"
    assert (found.kind, found.text) == (f"{HERE}.Own", "text")
    assert str(pickle.loads(pickle.dumps(found))) == str(found)


@pytest.mark.parametrize(
    ("module", "qualname"),
    [("builtins", "print"), ("builtins", "int"), ("json", "decoder.JSONDecodeError"), ("", ""), ("sys", "path")],
)
def test_a_name_of_something_else_is_not_used(module: str, qualname: str) -> None:
    body = msgspec.msgpack.encode(raised.Raised(module, qualname, "text"))
    assert type(raised.open_error(body, pickles=False)) is RemoteError


def test_what_does_not_go_together_with_another_type_is_a_remote_error() -> None:
    assert type(open_error_of(ExceptionGroup("several", [ValueError(1)]))) is RemoteError
    assert str(open_error_of(Unprintable())) == "<no text: RuntimeError>"


def test_long_texts_are_cut_and_surrogates_kept_readable() -> None:
    found = open_error_of(fail(ValueError("\udc80" + "x" * 10 * raised.TEXT_CHARS)))
    assert isinstance(found, RemoteError)
    assert len(found.text) < 2 * raised.TEXT_CHARS
    assert found.text.startswith("\\udc80x")
    assert len(found.remote_traceback) < raised.TRACEBACK_CHARS + 1000


def test_with_pickles_an_exception_is_itself() -> None:
    found = open_error_of(fail(LookupError(datetime.min)), pickles=True)
    assert type(found) is LookupError
    assert found.args == (datetime.min,)
    cause = found.__cause__
    assert cause is not None
    assert "raise error from cause" in cause.tb  # type: ignore[attr-defined]


def test_with_pickles_an_exception_that_cannot_be_opened_goes_as_text() -> None:
    """Its ``__init__`` wants two arguments, and it keeps one: ``concurrent.futures`` breaks the pool then."""
    found = open_error_of(fail(Own("text", 3)), pickles=True)
    assert isinstance(found, Own)
    assert isinstance(found, RemoteError)
    assert isinstance(open_error_of(ValueError(threading.Lock()), pickles=True), RemoteError)


def test_the_worker_s_own_part_of_a_traceback_is_left_out() -> None:
    def own() -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:
        own()
    assert "in own" in raised.fields(raised.encode_error(caught.value, pickles=False)).traceback
    told = raised.fields(raised.encode_error(caught.value, pickles=False, own=__file__)).traceback
    assert told == "ValueError\n"


def test_what_the_worker_says_itself_is_no_remote_error() -> None:
    refused = raised.open_error(raised.encode_refusal("not callable"), pickles=False)
    assert (type(refused), str(refused)) == (CallUnreadable, "not callable")
    assert getattr(refused, "ran", "") == "no"
    late = raised.open_error(raised.encode_timeout("too long", "where"), pickles=False)
    assert (type(late), str(late)) == (CallTimeout, "too long")
    assert "where" in str(late.__cause__)
    too_large = open_error_of(CallTooLarge("the result: 9 bytes"))
    assert type(too_large) is CallTooLarge
    assert too_large.ran == "yes"


def test_an_error_that_is_none() -> None:
    with pytest.raises(ValueError, match="unreadable error"):
        raised.open_error(b"\x01", pickles=False)


def test_every_builtin_exception_can_be_raised_here() -> None:
    kinds = [kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, BaseException)]
    assert len(kinds) > 60
    for kind in kinds:
        found = raised.open_error(
            msgspec.msgpack.encode(raised.Raised("builtins", kind.__name__, "text")), pickles=False
        )
        assert isinstance(found, RemoteError)
        assert isinstance(found, kind) or issubclass(kind, BaseExceptionGroup), kind


# --- the line of a durable call --------------------------------------------------------------------------------------


def test_the_line_of_a_durable_call() -> None:
    line = outcome.result_line({"a": (1, b"x")}, pickles=False)
    assert line == b'{"value":{"a":{"$tuple":[1,{"$bytes":"eA=="}]}}}\n'
    assert outcome.open_line(line, pickles=False) == {"a": (1, b"x")}
    assert outcome.open_line(outcome.result_line(None, pickles=True), pickles=False) is None
    with pytest.raises(CallRefused, match="the result is a datetime"):
        outcome.result_line(datetime.min, pickles=False)
    pickled = outcome.result_line(datetime.min, pickles=True)
    assert pickled.count(b"\n") == 1
    assert outcome.open_line(pickled, pickles=True) == datetime.min
    with pytest.raises(CallRefused, match="a pickle"):
        outcome.open_line(pickled, pickles=False)


def test_the_line_of_a_durable_call_that_has_raised() -> None:
    line = outcome.error_line(raised.encode_error(fail(KeyError("key")), pickles=True))
    assert json.loads(line)["error"]["qualname"] == "KeyError"
    for pickles in (False, True):
        with pytest.raises(KeyError) as caught:
            outcome.open_line(line, pickles=pickles)
        assert isinstance(caught.value, RemoteError) is not pickles


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b'{"value"', b'{"error": {"module": 1}}', b'{"value": {"$set": 1}}']
)
def test_a_line_that_is_none(line: bytes) -> None:
    with pytest.raises(ValueError):
        outcome.open_line(line, pickles=True)


def test_code_that_travels_says_where_it_is_from() -> None:
    function = calls.load_function(calls.encode_function(lambda: 1 // 0))
    assert function.__code__.co_filename == __file__


class Unpicklable:
    def __reduce__(self) -> Any:
        raise pickle.PicklingError("not this one")


class Leaving:
    def __reduce__(self) -> Any:
        return sys.exit, (3,)


def test_what_pickling_refuses_is_a_pickling_error_too() -> None:
    with pytest.raises(CallRefused, match=r"args\[0\] cannot be sent") as caught:
        calls.encode_arguments([Unpicklable()], {})
    assert isinstance(caught.value, pickle.PicklingError)


def test_a_pickle_that_would_end_the_worker_is_one_that_cannot_be_opened() -> None:
    flags, data = calls.encode_arguments([Leaving()], {})
    with pytest.raises(calls.CannotLoad, match="SystemExit: 3"):
        calls.open_arguments(flags, data)
