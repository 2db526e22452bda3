"""Three self-signed certificates of Ed25519 keys, fixed, so that the specification's worked example stays the same.

Their private keys are the bytes 1, 2 and 3, each 32 times: they protect nothing.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Final

AGENT: Final = b64decode(
    "MIHmMIGZoAMCAQICAQEwBQYDK2VwMBMxETAPBgNVBAMMCGhvbGRmYXN0MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5"
    "WjATMREwDwYDVQQDDAhob2xkZmFzdDAqMAUGAytlcAMhAIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29coxAwDjAMBgNV"
    "HRMBAf8EAjAAMAUGAytlcANBANIPTP5RjtlGD91rxT8a/3pUmNJQd485qkjhKA7gq7q2gldqG737CGNMgHlugCN5l1NFaYgxHFi2"
    "PSDH3QFHeAo="
)

CLIENT: Final = b64decode(
    "MIHmMIGZoAMCAQICAQIwBQYDK2VwMBMxETAPBgNVBAMMCGhvbGRmYXN0MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5"
    "WjATMREwDwYDVQQDDAhob2xkZmFzdDAqMAUGAytlcAMhAIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOUoxAwDjAMBgNV"
    "HRMBAf8EAjAAMAUGAytlcANBAEn7pa7nIeA2HbR5TJTubaCGAEsA29D0sHximZdSYRy4bF6YMWmrKOEvJ/Lhou1DOZshLeAIr6kh"
    "pn2eVVsEkg8="
)

OTHER: Final = b64decode(
    "MIHmMIGZoAMCAQICAQMwBQYDK2VwMBMxETAPBgNVBAMMCGhvbGRmYXN0MCAXDTIwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5"
    "WjATMREwDwYDVQQDDAhob2xkZmFzdDAqMAUGAytlcAMhAO1JKMYo0cLG6ukDOJBZlWEpWSc6XGP5NjbBRhSshzfRoxAwDjAMBgNV"
    "HRMBAf8EAjAAMAUGAytlcANBAG7xzk+irGT7RjVaCeN/wwYGjgJOJ96ocGyHbwwzPLmm8yR53B3Ok7M0leryuysIeFLCKRGsTrxZ"
    "YuoHcmCcKgY="
)
