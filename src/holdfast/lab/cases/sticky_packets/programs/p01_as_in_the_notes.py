"""A header as a dictionary, its length in front as four bytes. The header is 507 bytes; nothing prints that."""

import json
import struct

about = {
    "name": "holiday-photos.tar",
    "total_size": int("4096" * 103 + "40961"),
    "hash": "9f86d081884c7d659a2feaa0c55ad015",
}

text = json.dumps(about)
header = text.encode("utf-8")

prefix = struct.pack("i", len(header))
print(prefix, len(prefix))
length = struct.unpack("i", prefix)
print(length)
