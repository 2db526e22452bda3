"""The timer: a call that is made later, by a thread of its own."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="timer",
    chapter=Chapter.THREADS,
    title=Text("A timer: a call that is made later", "定时器：过一会儿再调用"),
    question=Text(
        "Who makes the call of a timer, when, what may its arguments be, and what becomes of it when the program dies?",
        "定时器的调用由谁执行、何时执行？参数可以是什么？程序死了它会怎样？",
    ),
    claims={
        "n107": Claim(
            Text(
                "A timer makes its call after its time, in a thread of its own; main goes on before.",
                "定时器到时间后在自己的线程里执行调用；主线程先往下走。",
            ),
            "Timer / 主",
        ),
        "n108": Claim(
            Text("The arguments of the call have to be given as a tuple.", "调用的参数必须以元组给出。"),
            "必须是元组",
        ),
    },
    words=("timer", "delay", "later", "args", "定时器", "延时", "元组"),
    programs=(Program((27,), "p27", Text("A call three seconds later", "三秒之后的调用")),),
    reading=(
        Reading(
            "src/holdfast/client/functions/sync_timer.py",
            Text("Holdfast's timer: kept on the disk of the host", "Holdfast 的定时器：存在主机的磁盘上"),
        ),
        Reading(
            "src/holdfast/coordination/timers.py",
            Text("what is due next, as a pure function of time", "下一个到期的是谁，只由时间决定"),
        ),
    ),
)
