"""A header as a dictionary, its length in front as four bytes, in the same byte order on every machine."""

import json
import struct

PREFIX = struct.Struct(">I")  # network order, without a sign

about = {
    "name": "holiday-photos.tar",
    "total_size": int("4096" * 103 + "40961"),
    "hash": "9f86d081884c7d659a2feaa0c55ad015",
}

text = json.dumps(about)
header = text.encode("utf-8")
print(len(header))

prefix = PREFIX.pack(len(header))
print(prefix, len(prefix))
length = PREFIX.unpack(prefix)
print(length)
