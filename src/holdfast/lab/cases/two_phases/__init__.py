"""The two phases of reading and of sending: waiting, and copying."""

from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="two-phases",
    chapter=Chapter.IO_MODELS,
    title=Text("Two phases: waiting for data, and copying them", "两个阶段：等待数据与拷贝数据"),
    question=Text(
        "What does a call that reads or sends spend its time on: on waiting, or on copying?",
        "一次读或写的调用，时间花在哪里：在等待，还是在拷贝？",
    ),
    claims={
        "n124": Claim(
            Text("Reading happens in two phases: wait until data are there, then copy them from the kernel into the program.",
                 "读分两个阶段：先等数据到来，再把数据从内核拷贝到程序里。"),
            "两阶段",
        ),
        "n125": Claim(
            Text("Sending copies as well: from the program to its kernel, over the cards to the other kernel, and into the other program.",
                 "发送也要拷贝：从程序到内核，经网卡到对方内核，再进入对方程序。"),
            "copy data",
        ),
    },
    words=("phases", "两阶段", "blocking", "阻塞", "recv", "recvfrom", "copy", "拷贝", "wait data", "sendfile", "zero-copy", "零拷贝"),
    reading=(
        Reading("src/holdfast/lab/socket_counts.py",
                Text("how a kernel is asked what it holds for a socket", "怎样向内核询问它为套接字留着什么")),
        Reading("src/holdfast/wire/frames.py",
                Text("a parser that saves copies: large parts are handed on as they come",
                     "少拷贝的解析器：大块数据随到随交")),
        Reading("src/holdfast/client/drive_threads.py",
                Text("Holdfast's blocking client: one thread waits, none polls", "Holdfast 的阻塞客户端：一个线程在等，没有轮询")),
    ),
)  # fmt: skip
