"""Three self-signed certificates of Ed25519 keys, fixed, so that the specification's worked example stays the same.

Their private keys are the bytes 1, 2 and 3, each 32 times: they protect nothing.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Final

AGENT: Final = b64decode(
    "MIIBHDCBz6ADAgECAgEBMAUGAytlcDAuMSwwKgYDVQQDDCNoZjo3dWlxMm1hNWY0ZHgzeWtiam9oenQ1Y2J3ZmFkN2t6YTAgFw0y"
    "MDAxMDEwMDAwMDBaGA85OTk5MTIzMTIzNTk1OVowLjEsMCoGA1UEAwwjaGY6N3VpcTJtYTVmNGR4M3lrYmpvaHp0NWNid2ZhZDdr"
    "emEwKjAFBgMrZXADIQCKiOPddAnxlf1S2y08ul1yymcJvx2UEhvzdIgBtA9vXKMQMA4wDAYDVR0TAQH/BAIwADAFBgMrZXADQQCH"
    "rC6orB13SJfL03hAduHp/b1UY3EaaJoikKQCTMxwlPmgf4a1BHzyrKve3rHnoFaRvzi4LQsyY9J3jrx/9oAJ"
)

CLIENT: Final = b64decode(
    "MIIBHDCBz6ADAgECAgECMAUGAytlcDAuMSwwKgYDVQQDDCNoZjppN3BrbGR2YWI2eGppZjdvZGhsd292bjc1NXVxcmdpYzAgFw0y"
    "MDAxMDEwMDAwMDBaGA85OTk5MTIzMTIzNTk1OVowLjEsMCoGA1UEAwwjaGY6aTdwa2xkdmFiNnhqaWY3b2RobHdvdm43NTV1cXJn"
    "aWMwKjAFBgMrZXADIQCBOXcOqH0XX1ajVGbDTH7My42KkbTuN6Jd9g9bj8mzlKMQMA4wDAYDVR0TAQH/BAIwADAFBgMrZXADQQDR"
    "imHUKyDNdLSFtYnYiTrtI709EY936R6DisuXJvm1eUSFtll/jpFiRHLMW70kObC+nDbxXhgQ9/Oq+qGSYYMO"
)

OTHER: Final = b64decode(
    "MIIBHDCBz6ADAgECAgEDMAUGAytlcDAuMSwwKgYDVQQDDCNoZjpydHhxbXczMjdhM2dzZmlscHV6aGF0ajVoejI0aDJubzAgFw0y"
    "MDAxMDEwMDAwMDBaGA85OTk5MTIzMTIzNTk1OVowLjEsMCoGA1UEAwwjaGY6cnR4cW13MzI3YTNnc2ZpbHB1emhhdGo1aHoyNGgy"
    "bm8wKjAFBgMrZXADIQDtSSjGKNHCxurpAziQWZVhKVknOlxj+TY2wUYUrIc30aMQMA4wDAYDVR0TAQH/BAIwADAFBgMrZXADQQD6"
    "02K0Csxbk1WvTCDi56+QewOpEaaBzRmRD7l59At0NM8spbucKQyKI7P12Wckpy47YEgwmLyu1jYsiYxzC3EE"
)
