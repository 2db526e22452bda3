"""The semaphore: how many may be inside at once."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="semaphore",
    chapter=Chapter.THREADS,
    title=Text("A semaphore: so many at once", "信号量：同一时刻放行几个"),
    question=Text(
        "How many does a semaphore let in, how many without being told, and is it only a lock that counts?",
        "信号量放行几个？不写数目时放行几个？它只是一把会计数的锁吗？",
    ),
    claims={
        "n096": Claim(
            Text("A semaphore bounds how many tasks run at the same time; a mutex lets one run.",
                 "信号量限定同时运行的任务数；互斥锁只让一个任务运行。"),
            "信号量",
        ),
        "n097": Claim(
            Text("Without a number a semaphore lets in five for each CPU.", "不写数目时，信号量放行的是 CPU 数的五倍。"),
            "CPU数量 * 5",
        ),
        "n098": Claim(
            Text("It works inside one process, and is a lock at heart.", "它只管一个进程之内，骨子里就是一把锁。"),
            "其本质也是锁",
        ),
        "n099": Claim(
            Text("Twenty come: five enter at once, then one for each that leaves.", "来了二十个：先进五个，之后出来一个进一个。"),
        ),
    },
    words=("semaphore", "bounded", "信号量", "limit", "限流", "places", "上厕所"),
    programs=(
        Program((24,), "p24", Text("Twenty threads and five places", "二十个线程，五个位置")),
    ),
    reading=(
        Reading(
            "src/holdfast/coordination/locks.py",
            Text("Holdfast's semaphore: one fair queue of waiters, for all clients of a host",
                 "Holdfast 的信号量：一条公平的等待队列，一台主机上的所有客户端共用"),
        ),
    ),
)  # fmt: skip
