"""Addresses: what IP, MAC, port, URL and name each identify, and what they do not."""

from holdfast.lab.case import Case, Chapter, Reading
from holdfast.lab.text import Text
from holdfast.lab.verdicts import Claim

CASE = Case(
    name="addresses",
    chapter=Chapter.NETWORK,
    title=Text("Addresses: what does each one identify?", "地址：每一种标识了什么"),
    question=Text(
        "Which of IP, MAC, port and URL is unique in the world, and what must a server have so that it is found?",
        "IP、MAC、端口、URL 之中，哪一个在全世界独一无二？服务端需要什么才能被找到？",
    ),
    claims={
        "n006": Claim(
            Text("Client and server, browser and server: both pairs talk over the network.", "客户端与服务端、浏览器与服务端，都通过网络通信。"),
            "基于网络通信",
        ),
        "n007": Claim(Text("A server must run steadily, and serve without a break.", "服务端必须稳定运行，不间断地提供服务。"), "稳定运行"),
        "n008": Claim(Text("A server has to bind an address that stays the same.", "服务端必须绑定一个不变的地址。"), "固定的地址"),
        "n009": Claim(
            Text("The internet is made of two things: physical links, and protocols that all have in common.",
                 "互联网由两样东西组成：物理连接，以及大家共同遵守的协议。"),
            "互联网通信协议",
        ),
        "n013": Claim(
            Text("An IP and a MAC address together name a single computer in the world.", "IP 加 MAC 在全世界只对应一台计算机。"), "ip+mac"
        ),
        "n014": Claim(
            Text("With a port besides, they name a single program in the world.", "再加上端口，在全世界只对应一个程序。"), "ip+mac+port"
        ),
        "n015": Claim(Text("A URL names a single resource in the world.", "URL 在全世界只对应一个资源。"), "url地址"),
        "n016": Claim(Text("DHCP uses port 67.", "DHCP 用 67 端口。"), "DHCP"),
        "n017": Claim(Text("DNS uses port 53.", "DNS 用 53 端口。"), "DNS"),
    },
    words=("address", "地址", "ip", "mac", "port", "端口", "url", "dns", "dhcp", "client/server", "b/s", "c/s", "internet", "互联网"),
    reading=(
        Reading("src/holdfast/lab/private_net.py",
                Text("a network of one's own: how the same address can exist twice", "自己的网络：同一个地址怎样存在两份")),
        Reading("src/holdfast/transport/address.py",
                Text("how Holdfast writes addresses: of a local socket, over TLS, through ssh",
                     "Holdfast 怎样写地址：本机套接字、TLS、ssh")),
    ),
)  # fmt: skip
