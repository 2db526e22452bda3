"""Remote commands: the notes' client and server, what breaks them, and what it takes to mend them."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="remote-exec",
    chapter=Chapter.NETWORK,
    title=Text("Running commands on another machine", "在另一台机器上执行命令"),
    question=Text(
        "A client sends a command, a server runs it and sends the output back: what does it take until that works every time?",
        "客户端发命令，服务端执行并送回输出：要做到次次可靠，还缺什么？",
    ),
    claims={
        "n030": Claim(
            Text("Client and server speak so: command over; four bytes of length, a header in JSON and the output back.",
                 "客户端与服务端这样对话：命令过去；4 字节长度、JSON 报头和输出回来。"),
            "模拟ssh远程执行命令",
        ),
        "n031": Claim(
            Text("getsockopt with SO_REUSEADDR and 1 lets the server use its address again.",
                 "用 getsockopt 传入 SO_REUSEADDR 和 1，服务端就能重用地址。"),
            "getsockopt",
        ),
        "n032": Claim(
            Text("One recv(4) brings the prefix, and one recv(n) the header of n bytes.",
                 "一次 recv(4) 就能收到长度，一次 recv(n) 就能收到 n 字节的报头。"),
            "先接收报头长度",
        ),
        "n033": Claim(
            Text("A loop that counts until the total size is reached brings the whole output.",
                 "循环累计，收满总长度为止，就能收到全部输出。"),
            "total_size",
        ),
        "n034": Claim(
            Text("The output is to be decoded as GBK.", "输出要按 GBK 解码。"),
            "gbk",
        ),
        "n035": Claim(
            Text("The header's length is that of its text, in characters.", "报头的长度取其字符串的字符数。"),
            "报头长度",
        ),
        "n036": Claim(
            Text("recv(1024) takes the command in, so it has at most 1024 bytes; send sends it.",
                 "recv(1024) 收下命令，所以命令最长 1024 字节；send 把它发出去。"),
            "最大限制为1024字节",
        ),
        "n037": Claim(
            Text("Popen with shell=True runs whatever comes.", "Popen 加 shell=True，来什么就执行什么。"),
            "shell=True",
        ),
        "n038": Claim(
            Text("Reading standard output to its end, then standard error, brings both.",
                 "先读完标准输出，再读标准错误，两者就都拿到了。"),
            "stdout.read",
        ),
        "n039": Claim(
            Text("A header with file, size and hash describes the answer: standard error, then standard output.",
                 "带文件名、长度和哈希的报头足以描述应答：先标准错误，后标准输出。"),
            "hashlib",
        ),
        "n040": Claim(
            Text("A reset or an empty read ends one client; the server goes on.",
                 "连接被重置或读到空，只结束这一个客户端，服务端继续服务。"),
            "ConnectionResetError",
        ),
        "n041": Claim(
            Text("Accepting in a loop serves one client after the other.", "循环 accept，一个接一个地服务客户端。"),
            "链接循环",
        ),
        "n042": Claim(
            Text("Nothing has to wait for the commands that were started.", "启动的命令不必再去 wait。"),
        ),
    },
    words=("ssh", "remote", "popen", "shell", "gbk", "reuseaddr", "getsockopt", "远程执行", "命令", "报头", "subprocess"),
    programs=(
        Program(
            (2,),
            "p02",
            Text("The client: a prompt, a command, an answer", "客户端：提示符、命令、应答"),
            Text("reads whole answers in pieces, notices a cut and a changed byte, tells the exit status, proves who it is",
                 "分片读全应答，发现断线与改动的字节，显示退出码，并证明身份"),
        ),
        Program(
            (3,),
            "p03",
            Text("The server: runs what comes, answers behind a header", "服务端：执行收到的命令，带报头应答"),
            Text("reads both pipes at once, waits for its child, takes commands of any length, serves several, asks for a secret",
                 "同时读两个管道，回收子进程，命令不限长度，同时服务多个客户端，要求密钥"),
        ),
    ),
    reading=(
        Reading("src/holdfast/wire/frames.py",
                Text("Holdfast's frames: a fixed prefix, a header, a body, and a parser that takes any pieces",
                     "Holdfast 的帧：定长前缀、报头、正文，解析器不在乎怎样分片")),
        Reading("src/holdfast/keeper/pump.py",
                Text("how both pipes of a command are read at the same time", "如何同时读取命令的两个管道")),
        Reading("src/holdfast/types.py",
                Text("the receipt: exit status, who ended it, bytes and digests of both channels",
                     "回执：退出状态、由谁结束、两个通道的字节数与摘要")),
        Reading("docs/explanation/security.md",
                Text("who may run commands, and how an agent knows", "谁可以执行命令，agent 又如何得知")),
    ),
)  # fmt: skip
