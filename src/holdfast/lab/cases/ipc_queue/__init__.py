"""Pipes and queues between processes."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="ipc-queue",
    chapter=Chapter.PROCESSES,
    title=Text("Pipes and queues between processes", "进程间的管道与队列"),
    question=Text(
        "What is a queue between processes made of, how much does it hold, and when does it say that it is full or empty?",
        "进程间的队列由什么组成，能装多少，什么时候说满，什么时候说空？",
    ),
    claims={
        "n072": Claim(
            Text("Processes communicate in two ways: by a pipe or by a queue.", "进程间通信有两种方式：管道和队列。"),
            "IPC机制",
        ),
        "n073": Claim(Text("A queue is a pipe with locks.", "队列就是管道加锁。"), "pipe+锁"),
        "n074": Claim(
            Text(
                "A queue is kept in memory and has, by default, as much room as memory has.",
                "队列占用内存，默认大小与内存相同。",
            ),
            "默认是与内存同一大小",
        ),
        "n075": Claim(
            Text("Only small messages should be put into it, no large data.", "队列里只应放小消息，不应放大数据。"),
            "不应该放大数据",
        ),
        "n076": Claim(
            Text(
                "What is put first comes out first, whatever its type; with room for three the fourth put waits, and so does the fourth get.",
                "先放先出，类型不限；容量为三时，第四次放要等，第四次取也要等。",
            ),
            "先进先出",
        ),
        "n077": Claim(
            Text(
                "With a time limit a call waits and then raises; told not to wait it raises at once.",
                "给了时限，就等到时限再抛异常；声明不等待，就立刻抛异常。",
            ),
            "直接抛出异常",
        ),
        "n078": Claim(
            Text(
                "Three put without waiting, four got without waiting: only the fourth get raises.",
                "不等待地放三个、取四个：只有第四次取会抛异常。",
            ),
            "get_nowait",
        ),
    },
    words=(
        "queue",
        "pipe",
        "ipc",
        "multiprocessing.queue",
        "管道",
        "队列",
        "进程间通信",
        "shared memory",
        "empty",
        "full",
    ),
    programs=(
        Program((10,), "p10", Text("Room for three, and a fourth get", "容量为三，取第四次")),
        Program((11,), "p11", Text("With a time limit", "带时限")),
        Program(
            (12,),
            "p12",
            Text("Without waiting", "不等待"),
            Text("what was put may not be there yet: get has to wait for it", "放进去的可能还没到：取的时候要等一下"),
        ),
        Program((13,), "p13", Text("Without waiting, by the short names", "不等待，简写")),
    ),
    reading=(
        Reading(
            "src/holdfast/coordination/queues.py",
            Text(
                "Holdfast's queue: at the agent, for programs on any machine",
                "Holdfast 的队列：在代理处，任何机器上的程序都能用",
            ),
        ),
        Reading(
            "docs/howto/durable-queue.md",
            Text("a queue that loses nothing when a program dies", "程序死掉也不丢东西的队列"),
        ),
    ),
)
