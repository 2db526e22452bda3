"""Memory of processes: whether a child's change reaches its parent."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="memory-isolation",
    chapter=Chapter.PROCESSES,
    title=Text("Memory: a child's change stays with the child", "内存：子进程的修改留在子进程"),
    question=Text(
        "Does a parent see what its child writes to a variable, and does it have to wait long to be sure?",
        "父进程看得到子进程对变量的修改吗？要等很久才能确定吗？",
    ),
    claims={
        "n054": Claim(
            Text("A child sets a global to 0; its parent, however long it waits, still prints 100.",
                 "子进程把全局变量设为 0；父进程无论等多久，打印的仍是 100。"),
            "隔离",
        ),
    },
    words=("memory", "isolation", "copy on write", "global", "内存", "隔离", "写时复制", "shared memory"),
    programs=(
        Program(
            (6,),
            "p06",
            Text("A child changes a global", "子进程修改全局变量"),
            Text("it waits for the child's end instead of sleeping for 500 seconds", "等子进程结束，而不是睡 500 秒"),
        ),
    ),
    reading=(
        Reading(
            "src/holdfast/functions/codec.py",
            Text("what goes to a process of Holdfast goes as bytes: nothing is shared", "交给 Holdfast 进程的东西都变成字节：什么也不共享"),
        ),
        Reading("src/holdfast/coordination/queues.py", Text("how processes hand things over instead", "进程之间改用什么来传东西")),
    ),
)  # fmt: skip
