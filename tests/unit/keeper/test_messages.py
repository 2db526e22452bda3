"""Messages of keeper and shim: exact bytes there and back, and a ValueError for anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.keeper import messages
from holdfast.store import control

SAMPLES: list[messages.Message] = [
    messages.Run("job", 1, (b"a", b"", b"\xff"), (b"A=b=c", b"B="), b"/x", 7, 1 << 40, 1, 2, 0o77, 2, 1 << 50,
                 (0, 0, (1, 2)), ((7, 1, -1),)),
    messages.Run("j", 2, (b"x",), ()),
    messages.Stop(control.STOPPED, "person:é", 0),
    messages.Signal(64, messages.TREE),
    messages.Release("job", 1, messages.TAKEN_OUT | messages.TAKEN_IN),
    messages.Retire(),
    messages.Stdin(1 << 40, True),
    messages.Watch(),
    messages.Limit(2),
    messages.DropBelow(1, 5),
    messages.Pause(),
    messages.Resume(),
    messages.State(5, messages.LEFT, "job", 1, 2, 3, 4, 5, 1),
    messages.Started("job", 1, 2, 3),
    messages.Grew(1, 2),
    messages.Exited(control.encode(control.Exit("job", 1, 0, control.EXITED))),
    messages.Stuck("job", 1, 99, (1, 2, 3)),
    messages.Rejected(1, "not idle"),
    messages.Want(3),
    messages.Bye(),
    messages.Hello(1, bytes(range(16))),
    messages.Hello(1, bytes(16)),
    messages.Forked("18ea-1", 2),
    messages.ForkFailed(3, 24),
    messages.Died("18ea-1", 2, 139, True),
    messages.Finished("18ea-1"),
    messages.Ready(),
    messages.Hold(),
    messages.Held(),
    messages.Drop(),
]  # fmt: skip


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_round_trip(message: messages.Message) -> None:
    data = messages.encode(message)
    assert messages.decode(data) == message
    assert data[0] == messages.number(message)
    for wrong in (data[:-1], data + b"\0"):
        if isinstance(message, messages.Run) and wrong != data[:-1]:
            continue  # one more NUL is one more item, and seen below
        if len(wrong) > 1 or not wrong:
            try:
                again = messages.decode(wrong)
            except ValueError:
                continue
            assert isinstance(message, messages.Run)
            assert again != message


def test_every_message_is_sampled() -> None:
    kinds = set(messages.Message.__args__)
    assert {type(sample) for sample in SAMPLES} == kinds


ITEM = st.binary(max_size=20).map(lambda item: item.replace(b"\0", b"."))


@given(st.lists(ITEM, min_size=1, max_size=5), st.lists(ITEM.map(lambda item: b"N=" + item), max_size=5), ITEM)
def test_arguments_pass_exactly(argv: list[bytes], env: list[bytes], cwd: bytes) -> None:
    run = messages.Run("job", 1, tuple(argv), tuple(env), cwd)
    assert messages.decode(messages.encode(run)) == run


@pytest.mark.parametrize(
    "fields",
    [{"argv": ()}, {"argv": (b"a\0b",)}, {"env": (b"novalue",)}, {"env": (b"=x",)}, {"cwd": b"\0"},
     {"argv": (b"x" * messages.MAX_MESSAGE_BYTES,)}],
)  # fmt: skip
def test_jobs_that_cannot_be_said(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        messages.encode(messages.Run("job", 1, (b"x",), ())._replace(**fields))  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_value_error(data: bytes) -> None:
    try:
        messages.decode(data)
    except ValueError:
        pass


@given(st.lists(st.sampled_from(SAMPLES), max_size=8), st.lists(st.integers(1, 700), min_size=1))
def test_a_stream_may_be_cut_anywhere(sent: list[messages.Message], cuts: list[int]) -> None:
    reader = messages.Reader()
    data = b"".join(map(messages.frame, sent))
    heard: list[messages.Message] = []
    at = 0
    while at < len(data):
        size = cuts[at % len(cuts)]
        heard += reader.feed(data[at : at + size])
        at += size
    assert heard == sent


def test_a_long_message_in_small_pieces() -> None:
    run = messages.Run("job", 1, (b"x" * 1_000_000,), ())
    data = messages.frame(run) + messages.frame(messages.Pause())
    reader = messages.Reader()
    heard = [message for at in range(0, len(data), 1000) for message in reader.feed(data[at : at + 1000])]
    assert heard == [run, messages.Pause()]


@pytest.mark.parametrize("prefix", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\x30\0\1"])
@pytest.mark.parametrize("split", [2, 4, 5])
def test_impossible_lengths(prefix: bytes, split: int) -> None:
    reader = messages.Reader()
    data = prefix + b"\x01" * 4
    with pytest.raises(ValueError):
        [reader.feed(piece) for piece in (data[:split], data[split:])]


def test_a_long_name_is_cut_between_characters() -> None:
    assert messages.decode(messages.encode(messages.Stop(1, "x" + "é" * 40, 0))) == messages.Stop(1, "x" + "é" * 31, 0)


def test_exited_gives_its_record() -> None:
    record = control.Exit("job", 1, 3 << 8, control.EXITED)
    assert messages.Exited(control.encode(record)).record == record
    with pytest.raises(ValueError):
        _ = messages.Exited(bytes(512)).record
