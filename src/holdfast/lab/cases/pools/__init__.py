"""Pools of processes and threads, and who calls back."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="pools",
    chapter=Chapter.PROCESSES,
    title=Text("Pools, and who calls back", "池，以及谁来回调"),
    question=Text(
        "What does a pool bound, when does it wait, and in which thread is a callback called?",
        "池限制了什么，什么时候等待，回调在哪个线程里执行？",
    ),
    claims={
        "n111": Claim(
            Text(
                "A pool bounds how many processes or threads run; it is for when there are more tasks than the machine bears.",
                "池限制同时运行的进程数或线程数；任务多到机器承受不了时才用。",
            ),
            "池",
        ),
        "n112": Claim(
            Text(
                "Synchronous: a task is given away and waited for on the spot, so that tasks run one after the other.",
                "同步：提交任务后原地等结果，任务一个接一个地运行。",
            ),
            "同步",
        ),
        "n113": Claim(
            Text("`shutdown` closes the entrance of the pool.", "`shutdown` 关闭池的入口。"), "关闭进程池的入口"
        ),
        "n114": Claim(
            Text(
                "With a pool of processes the main process calls the callbacks; all takes 9.16 s.",
                "进程池的回调由主进程执行，总共 9.16 秒。",
            ),
            "9.163417339324951",
        ),
        "n115": Claim(
            Text(
                "With a pool of threads whichever thread has time takes a callback; all takes 6.00 s.",
                "线程池的回调由有空的线程去执行，总共 6.00 秒。",
            ),
            "哪个线程有时间了",
        ),
        "n116": Claim(
            Text("A callback is called as soon as its future has a value.", "future 一有返回值，回调就立刻触发。"),
            "立刻触发",
        ),
        "n117": Claim(
            Text(
                "Asynchronous: a task is given away with a callback, and the program goes on at once.",
                "异步：提交任务并绑定回调，程序立刻往下走。",
            ),
            "异步",
        ),
    },
    words=("pool", "pools", "executor", "callback", "future", "进程池", "线程池", "回调", "同步", "异步", "shutdown"),
    programs=(
        Program(
            (31,),
            "p31",
            Text("Four tasks for four processes, then the results", "四个任务交给四个进程，然后看结果"),
            Text("it is called synchronous and is not: all four run at once", "号称同步，其实四个任务同时在跑"),
        ),
        Program((32,), "p32", Text("Callbacks of a pool of processes", "进程池的回调")),
        Program((33,), "p33", Text("Callbacks of a pool of threads", "线程池的回调")),
    ),
    reading=(
        Reading(
            "docs/explanation/how-pools-work.md",
            Text(
                "Holdfast's pools: workers on any machine, callbacks in one thread of yours",
                "Holdfast 的池：工作者可在任何机器上，回调在你自己的一个线程里",
            ),
        ),
        Reading(
            "src/holdfast/functions/schedule.py", Text("which worker gets the next call", "下一个调用交给哪个工作者")
        ),
    ),
)
