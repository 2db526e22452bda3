"""Daemon processes: children that end with their parent."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="daemon-processes",
    chapter=Chapter.PROCESSES,
    title=Text("Daemon processes: who ends with whom", "守护进程：谁随谁结束"),
    question=Text(
        "When does a daemon child end: when its parent's code is through, when the parent is gone, or always?",
        "守护子进程何时结束：父进程的代码执行完时，父进程消失时，还是总会结束？",
    ),
    claims={
        "n065": Claim(
            Text(
                "A daemon child dies when its parent's code is through, though a normal child still works; main speaks first, then the normal one.",
                "父进程的代码执行完，守护子进程就死掉，哪怕正常的子进程还在运行；先打印主进程，再打印正常的子进程。",
            ),
            "守护进程",
        ),
        "n066": Claim(
            Text("`daemon = True` has to be set before `start()`.", "`daemon = True` 必须写在 `start()` 之前。"),
            "p.start()之前",
        ),
        "n067": Claim(Text("A daemon always goes with its parent.", "守护进程总是伴随父进程一起死掉。"), "伴随"),
    },
    words=("daemon", "daemon process", "daemonic", "守护进程", "child process", "atexit"),
    programs=(Program((8,), "p08", Text("A daemon and a normal child", "一个守护子进程和一个正常子进程")),),
    reading=(
        Reading(
            "src/holdfast/client/functions/process.py",
            Text(
                "Holdfast's Process: the host itself ends a daemon whose program is gone",
                "Holdfast 的 Process：程序没了，由主机自己结束守护进程",
            ),
        ),
        Reading(
            "docs/howto/survive-a-cut.md",
            Text("what becomes of a job when its client is lost", "客户端失联后作业会怎样"),
        ),
    ),
)
