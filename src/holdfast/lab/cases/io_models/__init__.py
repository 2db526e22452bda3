"""The ways to wait for input and output: one at a time, a thread each, asking, select, epoll, coroutines, completions."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="io-models",
    chapter=Chapter.IO_MODELS,
    title=Text("Models of input and output: eleven servers, one service", "IO 模型：十一个服务端，同一项服务"),
    question=Text(
        "How does each way of waiting fare with one client, with five hundred, with ten thousand, and where does it end?",
        "各种等待方式在一个、五百个、一万个客户端面前表现如何？各自止于何处？",
    ),
    claims={
        "n126": Claim(
            Text("Input and output over the network is the blocking kind.", "网络 IO 就是阻塞 IO。"), "网络IO就是阻塞IO"
        ),
        "n127": Claim(
            Text(
                "A server keeps its connections in a list and, with `setblocking(False)` on the listener, asks each in turn.",
                "服务端把连接放进列表，对监听套接字设 `setblocking(False)`，然后挨个询问。",
            ),
            "非阻塞IO",
        ),
        "n128": Claim(
            Text(
                "Where nothing is to be had the call raises BlockingIOError; the system answers at once.",
                "没有数据时调用抛出 BlockingIOError；操作系统立即答复。",
            ),
            "BlockingIOError",
        ),
        "n129": Claim(
            Text(
                "What is wrong with it: with very many connections clients have to wait, and the CPU is kept busy for nothing.",
                "它的缺点：连接极多时客户端要等，CPU 白白空转。",
            ),
            "无效的占有率",
        ),
        "n130": Claim(
            Text(
                "select stops the whole process, the kernel watches all sockets, and it returns when one is ready: many connections, one thread.",
                "select 让整个进程停住，内核盯着所有套接字，有一个就绪就返回：多个连接，一个线程。",
            ),
            "多路复用",
        ),
        "n131": Claim(
            Text(
                "select and poll go through all connections, epoll through those with news only.",
                "select 和 poll 遍历全部连接，epoll 只给出有事件的。",
            ),
            "epoll",
        ),
        "n132": Claim(
            Text(
                "A server with select, a list to read, a list to write and a dictionary of answers.",
                "用 select 的服务端：读列表、写列表、存放应答的字典。",
            ),
            "write_list",
        ),
        "n133": Claim(Text("The time limit of select has no use.", "select 的时间参数没有意义。"), "毫无意义"),
        "n134": Claim(
            Text(
                "Answers go through the list to write, since the user would have to wait for a large one.",
                "应答要经过写列表，因为数据大了用户就得等。",
            ),
            "一点点的读",
        ),
        "n135": Claim(
            Text(
                "Asynchronous: reading returns at once, the kernel waits and copies, and then sends a signal.",
                "异步：读操作立即返回，内核负责等待和复制，完成后发一个信号。",
            ),
            "signal",
        ),
    },
    words=(
        "io models",
        "io model",
        "io模型",
        "select",
        "poll",
        "epoll",
        "asyncio",
        "uvloop",
        "gevent",
        "io_uring",
        "c10k",
        "blocking",
        "non-blocking",
        "multiplexing",
        "阻塞io",
        "非阻塞io",
        "多路复用",
        "异步io",
        "nonblocking",
    ),
    programs=(
        Program(
            (36,),
            "p36",
            Text("A server that asks all the time", "不断询问的服务端"),
            Text(
                "its connections wait though the listener does not; an answer may be cut short; closing is left to the interpreter",
                "监听套接字不等待，连接却会等待；应答可能只发出一部分；关闭连接全靠解释器回收",
            ),
        ),
        Program((37, 39), "p37", Text("The client of both servers", "两个服务端共用的客户端")),
        Program(
            (38,),
            "p38",
            Text("A server with select", "用 select 的服务端"),
            Text(
                "a client that leaves makes it run in circles; one that resets ends it, and so does a request of more than 1,024 bytes",
                "客户端离开会让它空转；复位会让它退出，超过 1024 字节的请求也会",
            ),
        ),
    ),
    reading=(
        Reading(
            "src/holdfast/lab/serve_threads.py",
            Text(
                "the shortest server, and one file for each other model beside it",
                "最短的服务端；其余模型各有一个文件，就在旁边",
            ),
        ),
        Reading(
            "src/holdfast/wire/endpoint.py",
            Text(
                "the protocol without input and output that all of them share", "所有服务端共用的、不含输入输出的协议"
            ),
        ),
        Reading("src/holdfast/lab/load.py", Text("the load generator", "负载发生器")),
    ),
)
