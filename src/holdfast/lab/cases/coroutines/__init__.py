"""Coroutines: switching inside the program."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="coroutines",
    chapter=Chapter.CONCURRENCY,
    title=Text("Coroutines: many tasks, one thread", "协程：多个任务，一个线程"),
    question=Text(
        "What does switching inside one thread bring, what does it cost, and what brings everything to a stop?",
        "在一个线程里来回切换能换来什么、要花多少、什么会让大家一起停下？",
    ),
    claims={
        "n118": Claim(
            Text("One thread gets more done only if it switches tasks where they wait for input or output.",
                 "只有在任务等待 I/O 时切换，单线程才会更有效率。"),
            "遇到io才切换",
        ),
        "n119": Claim(
            Text("Switching inside a program is far faster than switching by the operating system.",
                 "程序内部的切换比操作系统的切换快得多。"),
            "远远高于",
        ),
        "n120": Claim(
            Text("A task that blocks without switching stops all others of its thread, so not one waiting call may be missed.",
                 "一个任务阻塞而不切换，同一线程的其他任务就全停；所以会等待的调用一个也不能漏。"),
            "少一个都不行",
        ),
        "n121": Claim(
            Text("`monkey.patch_all()` marks the code that follows, so that its waiting is recognised.",
                 "`monkey.patch_all()` 给后面的代码做上标记，使其中的等待能被识别。"),
            "打上标记",
        ),
        "n122": Claim(
            Text("A server of greenlets serves five hundred client threads at once.", "协程写的服务端能同时服务五百个客户端线程。"),
        ),
        "n123": Claim(
            Text("`spawn` starts a process, and the program does not end while the greenlet lives.",
                 "`spawn` 会启动一个进程；只要协程还在，程序就不会结束。"),
            "协程不死掉",
        ),
    },
    words=("coroutine", "coroutines", "协程", "gevent", "greenlet", "asyncio", "monkey patch", "context switch", "切换"),
    programs=(
        Program((34,), "p34", Text("A server with a greenlet for each client", "每个客户端一个协程的服务端"),
                Text("Only five may wait to be accepted; `send` may send a part of the answer only; a broken pipe is not caught.",
                     "等待接入的队列只有五个位置；`send` 可能只发出一部分；管道破裂的错误没有捕获。")),
        Program((35,), "p35", Text("Five hundred client threads", "五百个客户端线程")),
    ),
    reading=(
        Reading(
            "src/holdfast/lab/serve_gevent.py",
            Text("The code of a threaded server, run by greenlets", "线程服务端的同一份代码，由协程来跑"),
        ),
        Reading(
            "src/holdfast/store/flusher.py",
            Text("How Holdfast keeps a call that blocks away from its loop: fdatasync has a thread of its own",
                 "Holdfast 怎样不让阻塞的调用碰到事件循环：fdatasync 有自己的线程"),
        ),
    ),
)  # fmt: skip
