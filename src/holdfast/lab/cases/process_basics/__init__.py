"""Processes: how they are started, asked and ended."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="process-basics",
    chapter=Chapter.PROCESSES,
    title=Text("Processes: started, asked, ended", "进程：开启、查看、结束"),
    question=Text(
        "What has happened when `start()` returns, how does a process end, and who waits for whom?",
        "`start()` 返回时发生了什么？进程怎样结束？谁在等谁？",
    ),
    claims={
        "n049": Claim(
            Text("The first way to start a process: give `Process` a function and its arguments.",
                 "开启进程的第一种方式：把函数和参数交给 `Process`。"),
            "方式一",
        ),
        "n050": Claim(
            Text("`start()` does no more than signal the operating system to make a child; so main's line comes first.",
                 "`start()` 不过是通知操作系统去开子进程，所以主进程那行先出现。"),
            "信号",
        ),
        "n051": Claim(
            Text("One argument alone in `args` must be followed by a comma; it may also be handed over in `kwargs`.",
                 "`args` 里只有一个参数时必须加逗号；也可以改用 `kwargs` 传。"),
            "加逗号",
        ),
        "n052": Claim(
            Text("On Windows `start()` is `CreateProcess`: one call makes the process and loads the program into it.",
                 "在 Windows 上 `start()` 就是 `CreateProcess`：一次调用既建进程，又装入程序。"),
            "CreateProcess",
        ),
        "n053": Claim(
            Text("The second way: a subclass of `Process` with its work in `run()`; `start()` it, or `run()` it.",
                 "第二种方式：继承 `Process`，把任务写进 `run()`；然后 `start()`，或者直接 `run()`。"),
            "方式二",
        ),
        "n055": Claim(
            Text("`join()` waits for the child, and with that a wait call takes its remains away.",
                 "`join()` 等子进程结束，并由此触发 wait 把它清理掉。"),
            "join",
        ),
        "n056": Claim(
            Text("`terminate()` has the operating system end the child; how soon is up to the system.",
                 "`terminate()` 让操作系统去结束子进程；多久生效由系统决定。"),
            "terminate",
        ),
        "n057": Claim(
            Text("A second after `terminate()`, `is_alive()` says False.", "`terminate()` 一秒之后，`is_alive()` 为 False。"),
            "is_alive",
        ),
        "n058": Claim(
            Text("`getpid` gives one's own id, `getppid` the id of whoever started one, `current_process().name` the name given.",
                 "`getpid` 是自己的编号，`getppid` 是开启者的编号，`current_process().name` 是起的名字。"),
            "getppid",
        ),
        "n059": Claim(
            Text("The main process waits for its children because it is the one who must bury them.",
                 "主进程要等子进程，因为得由它来收尸。"),
            "收尸",
        ),
        "n060": Claim(
            Text("A process ends only after every thread in it has come to its end.", "进程要等自己的所有线程都跑完才会结束。"),
            "所有线程",
        ),
    },
    words=("process", "processes", "进程", "start", "join", "terminate", "is_alive", "getpid", "fork", "spawn", "subclass", "开启进程"),
    programs=(
        Program(
            (4,),
            "p04",
            Text("A process out of a function", "用函数开启进程"),
            Text("it imports the module that it sleeps with", "补上睡眠所用模块的导入"),
        ),
        Program((5,), "p05", Text("A process as a subclass", "用子类开启进程")),
        Program((7,), "p07", Text("Started, terminated, asked whether it lives", "开启、终止、再问是否存活")),
    ),
    reading=(
        Reading(
            "src/holdfast/client/functions/process.py",
            Text("Holdfast's `Process`: the same names, and each process a supervised job",
                 "Holdfast 的 `Process`：名字相同，每个进程都是受监管的任务"),
        ),
        Reading(
            "src/holdfast/client/functions/exits.py",
            Text("who is waited for when the interpreter ends", "解释器结束时等谁"),
        ),
        Reading("src/holdfast/keeper/spawn.py", Text("fork and exec, step by step", "一步一步地 fork 和 exec")),
    ),
)  # fmt: skip
