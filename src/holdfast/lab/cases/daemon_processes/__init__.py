"""Daemon processes: children that are to go with their parent."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="daemon-processes",
    chapter=Chapter.PROCESSES,
    title=Text("Daemon processes: gone with the parent?", "守护进程：随父进程而去？"),
    question=Text(
        "When does a daemon child die, who ends it, and is there a way for it to live on?",
        "守护进程何时结束，由谁结束，有没有办法活下来？",
    ),
    claims={
        "n065": Claim(
            Text("A daemon child dies when its parent's code is through, even while another child goes on.",
                 "父进程的代码一跑完，守护进程就结束，哪怕别的子进程还在运行。"),
            "代码运行完毕",
        ),
        "n066": Claim(
            Text("`daemon = True` must be set before `start()`.", "`daemon = True` 必须在 `start()` 之前设置。"),
            "start()之前",
        ),
        "n067": Claim(
            Text("A daemon always goes with its parent.", "守护进程总是随父进程一起结束。"),
            "伴随",
        ),
    },
    words=("daemon", "daemon process", "守护进程", "daemonic", "atexit", "kill -9"),
    programs=(
        Program((8,), "p08", Text("A daemon and another child", "一个守护进程和一个普通子进程")),
    ),
    reading=(
        Reading(
            "src/holdfast/client/functions/process.py",
            Text("a daemon of Holdfast has a lease, which runs out when its program is gone",
                 "Holdfast 的守护进程有租约，程序消失后租约到期"),
        ),
        Reading(
            "src/holdfast/client/functions/exits.py",
            Text("what is done with daemons and others when the interpreter ends", "解释器结束时如何处理守护进程和其他进程"),
        ),
    ),
)  # fmt: skip
