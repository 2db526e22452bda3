"""Messages in a stream of bytes: how they stick, and how they are told apart."""

from holdfast.lab.case import Case, Chapter, Program, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="sticky-packets",
    chapter=Chapter.NETWORK,
    title=Text("Sticky packets: where does a message end?", "粘包：一条消息在哪里结束"),
    question=Text(
        "Why does one read give several messages, or half of one? Is Nagle's algorithm to blame, and what cures it?",
        "为什么一次读会读到好几条消息，或者只有半条？是 Nagle 算法的错吗？怎样才能治好？",
    ),
    claims={
        "n010": Claim(Text("Each protocol consists of a header and data.", "每种协议都由报头和数据两部分组成。"), "报头"),
        "n011": Claim(
            Text("The header needs a fixed length, or messages stick together.", "报头的长度必须固定，不然消息会粘在一起。"),
            "固定长度",
        ),
        "n012": Claim(
            Text("What is sent may be a dictionary: its name, size, content and description.",
                 "传送的内容可以是字典，写明名字、大小、内容和描述。"),
            "字典",
        ),
        "n024": Claim(Text("Messages stick because of Nagle's algorithm.", "粘包是 Nagle 算法造成的。"), "nagle算法"),
        "n025": Claim(
            Text("Nagle's algorithm joins pieces that are small and follow each other closely.",
                 "Nagle 算法会把又小、隔得又近的几块数据并成一块。"),
            "合并",
        ),
        "n026": Claim(
            Text("The system sends when it wants to; a program has no influence on that.", "何时发送由系统决定，程序影响不了。"),
            "应用层管不到",
        ),
        "n027": Claim(
            Text('A number packed as "i" takes 4 bytes, whatever it is.', "用 \"i\" 打包的数，不论大小都占 4 个字节。"), "i模式"
        ),
        "n028": Claim(
            Text("The sample prints three lines: the header's length 507, its four bytes, and 507 again as a tuple.",
                 "示例输出三行：报头长度 507、它的四个字节、元组形式的 507。"),
            "507",
        ),
        "n029": Claim(
            Text("A header is made in steps: a dictionary, JSON text, bytes, their length, and that length in front.",
                 "报头分几步做成：字典、JSON 文本、字节、求出长度、把长度放在最前面。"),
            "struct模块",
        ),
    },
    words=("sticky", "粘包", "framing", "nagle", "tcp_nodelay", "struct", "byte order", "字节序", "header", "prefix", "delimiter", "报头"),
    programs=(
        Program(
            (1,), "p01",
            Text("A header of 507 bytes and its length in front", "507 字节的报头，前面是它的长度"),
            fault=Text("it prints the length, and packs it in the byte order of the network and without a sign",
                       "打印出长度，并按网络字节序、以无符号数打包"),
        ),
    ),
    reading=(
        Reading("src/holdfast/wire/frames.py",
                Text("Holdfast's frame: 24 bytes of fixed length in front, and a parser that takes any crumbs",
                     "Holdfast 的帧：前面是固定的 24 字节，解析器能吃下任意碎块")),
        Reading("docs/spec/protocol.md",
                Text("the layout of the frame, byte by byte", "帧的布局，逐字节说明")),
    ),
)  # fmt: skip
