"""The handshake: what passes between two sides before they are connected."""

from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="handshake",
    chapter=Chapter.NETWORK,
    title=Text("The handshake: three segments", "握手：三个报文段"),
    question=Text(
        "What passes between two sides before they are connected, which states do they go through, and why are three segments enough?",
        "两端在连上之前交换了什么？各自经过哪些状态？为什么三个报文段就够？",
    ),
    claims={
        "n002": Claim(
            Text(
                "A client that asks is in SYN_SENT; the server is in LISTEN from its start and in SYN_RCVD once it has been asked.",
                "客户端发出请求后处于 SYN_SENT；服务端一启动就处于 LISTEN，收到请求后处于 SYN_RCVD。",
            ),
            "syn_rcvd",
        ),
        "n003": Claim(
            Text(
                "ESTABLISHED at the client stands for the pipe from client to server, at the server for the pipe back.",
                "客户端的 ESTABLISHED 表示去程管道通了，服务端的 ESTABLISHED 表示回程管道通了。",
            ),
            "管道建立",
        ),
        "n004": Claim(
            Text(
                "A request brings a code word, seq = x, and the answer returns it plus one: ack = x + 1.",
                "请求带一个暗号 seq = x，应答把它加一送回：ack = x + 1。",
            ),
            "暗号",
        ),
        "n018": Claim(
            Text(
                "Three segments are enough to connect, since there are no data yet.",
                "建立连接三次就够，因为这时还没有数据。",
            ),
            "并没有数据产生",
        ),
    },
    words=("handshake", "syn", "connect", "三次握手", "握手", "established", "fast open", "isn", "seq", "ack"),
    reading=(
        Reading(
            "src/holdfast/lab/private_net.py",
            Text(
                "a network of our own with a wire that is carried by hand, so that each state lasts as long as one likes",
                "自己的一个网络，里面的线由手工传递，于是每个状态想看多久就看多久",
            ),
        ),
        Reading(
            "src/holdfast/lab/segments.py",
            Text("how a segment is read out of its bytes", "怎样从字节里读出一个报文段"),
        ),
    ),
)
