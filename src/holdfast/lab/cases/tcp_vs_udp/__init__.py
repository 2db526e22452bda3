"""TCP against UDP: what is lost, what is kept, and what it costs."""

from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="tcp-vs-udp",
    chapter=Chapter.NETWORK,
    title=Text("TCP against UDP on a wire that loses", "在会丢包的线路上比较 TCP 与 UDP"),
    question=Text(
        "What does TCP do that UDP does not, until when does it keep the data, and is it slower for that?",
        "TCP 做了哪些 UDP 不做的事？数据保留到什么时候？它因此更慢吗？",
    ),
    claims={
        "n021": Claim(
            Text("TCP hands its data to the operating system, which forgets them only when the other side has confirmed them.",
                 "TCP 把数据交给操作系统，对方确认之后系统才把它们清掉。"),
            "确认信息",
        ),
        "n022": Claim(Text("With TCP the data are safe, at the price of speed.", "TCP 数据安全，代价是慢。"), "数据安全"),
        "n023": Claim(
            Text("UDP drops what it has sent at once: fast, but not safe.", "UDP 一发出就丢弃：快，但不安全。"), "发完就删"
        ),
    },
    words=("tcp", "udp", "loss", "丢包", "reliable", "可靠", "不可靠", "siocoutq", "acknowledgement", "确认", "throughput"),
    reading=(
        Reading("src/holdfast/lab/private_net.py",
                Text("the wire: a TUN device in a network of its own, below TCP and UDP alike",
                     "线路：独立网络里的 TUN 设备，在 TCP 和 UDP 之下")),
        Reading("src/holdfast/lab/cases/tcp_vs_udp/relay.py",
                Text("the relay that loses, doubles and delays packets", "丢包、重复、延迟的中继")),
        Reading("src/holdfast/client/resume.py",
                Text("what TCP leaves open: Holdfast's client asks again after a lost connection, from the last confirmed byte",
                     "TCP 没管的事：连接断掉后，Holdfast 的客户端从最后确认的字节接着要")),
    ),
)  # fmt: skip
