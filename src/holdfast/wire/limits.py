"""Every bound of the protocol, with its unit and its reason (docs/spec/protocol.md, "Limits")."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

PREFIX_BYTES: Final = 24
"""The fixed prefix of every frame."""

CONTROL_BYTES_BEFORE_WELCOME: Final = 4 * KIB
"""JSON header before WELCOME: a stranger may make us hold no more than this."""
CONTROL_BYTES: Final = 1 * MIB
"""JSON header after WELCOME."""
REQUEST_BODY_BYTES: Final = 2 * MIB
"""argv, environment and directory of one request together."""
CHUNK_BYTES: Final = 256 * KIB
"""Body of one DATA frame: measured best between 64 KiB (more frames) and 1 MiB (worse cache use)."""

TEXT_BYTES: Final = 1 * KIB
"""Text for people in CLOSE, GOAWAY and ERR: even with every character escaped it fits the 4 KiB of a CLOSE."""

INITIAL_WINDOW_BYTES: Final = 256 * KIB
"""First credit of a channel, where the receiver names none."""
WINDOW_BYTES: Final = 4 * MIB
"""How far a sender may run ahead of the receiver on one channel, at the most."""
CREDIT_STEP_BYTES: Final = 4 * KIB
"""A CREDIT must raise the limit by at least this much, so credits cannot be used as a storm."""
TURN_BYTES: Final = 64 * KIB
"""One turn of a channel while others wait: the quantum of fairness."""
OFFSET: Final = 2**62
"""Highest offset, length or credit in a JSON header."""

STREAMS_OPEN: Final = 1024
"""Streams open at once on one connection."""
STREAM_HIGHEST: Final = 2**32 - 1
"""Stream numbers are four bytes and never used again; a client that has used them up connects anew."""
STREAMS_PER_S: Final = 20_000
"""New streams a second on one connection; CANCEL gives nothing back."""
FRAMES_PER_S: Final = 100_000
"""Frames that an agent takes a second on one connection: at 1 byte each they would cost it as much as gigabytes."""
FRAMES_BURST: Final = 200_000
"""Frames that an agent takes at once; a connection that was quiet for two seconds may send so many."""
CREDITS_PER_S: Final = 20_000
"""CREDITs that an agent takes a second on one connection: reading 2 GiB/s in half windows of 128 KiB needs 16 384."""
CREDITS_BURST: Final = 40_000
"""CREDITs that an agent takes at once: more than one for each of 1 024 streams, many times over."""
PINGS_BURST: Final = 10
"""PINGs that may come at once; beyond, one a second."""

HELLO_DEADLINE_S: Final = 5.0
"""From accepted connection to HELLO, from HELLO sent to WELCOME, and for the whole of an enrolment."""
HEARTBEAT_S: Final = 10.0
"""PING when nothing was sent for so long."""
SILENCE_S: Final = 25.0
"""The connection is given up when nothing was received for so long."""
PROBE_S: Final = 2.0
"""The same after a PING that was sent because the network has changed: a round trip to anywhere, four times over."""
PROBE_GAP_S: Final = 1.0
"""Such PINGs are at least so far apart, however often the network changes: the peer takes one a second."""

KEY_BYTES: Final = 255
"""Longest start key of a user, in UTF-8 bytes."""
NAME_CHARS: Final = 64
"""Job ids, users, groups, features."""
PRINCIPAL_CHARS: Final = 128
"""A principal's name: `user@machine`, where a machine's own name may have 64."""
ADDRESS_CHARS: Final = 300
"""An address as text: a host name of 253, a scheme, a port."""
SECONDS: Final = 315_360_000
"""Longest duration in a request: ten years."""
INVITATION_S: Final = 604_800
"""Longest life of an invitation: seven days."""
INVITATION_CHARS: Final = 1024
"""An invitation as text, with line breaks that a terminal may have put into it."""
SECRET_BYTES: Final = 16
"""Secret of an invitation: 128 random bits are beyond guessing, so nothing slower than a hash is needed."""
NONCE_BYTES: Final = 32
"""Each side's random part of an enrolment."""
CERTIFICATE_BYTES: Final = 2 * KIB
"""A certificate in DER: one of an Ed25519 key has some 350, and in base64 it must fit a header before WELCOME."""
ARGV_ITEMS: Final = 131_072
"""Arguments of one command; the 2 MiB of the body usually end earlier."""
ENV_ITEMS: Final = 16_384
"""Environment entries of one command."""
LABEL_BYTES: Final = 255
"""A job's label, in UTF-8 bytes."""

PROTOCOL_LOWEST: Final = 1
"""Oldest protocol that is still spoken."""
PROTOCOL_HIGHEST: Final = 1
"""Newest protocol that is spoken."""

OBJECT_NAME_CHARS: Final = 200
"""A name of a lock, queue or other shared object."""
NAMES_AT_ONCE: Final = 64
"""Objects asked for in one step, and what one plan waits for."""
UNITS: Final = 2**31 - 1
"""Units of a semaphore, parties of a barrier, items of a queue."""
SEEN_NUMBERS: Final = 1000
"""Answers that one request may say to have seen."""
ITEM_BYTES: Final = 1 * MIB
"""Value of one item of a queue: it is the body of one answer."""
RANK_CHARS: Final = 256
"""By which items of one priority are sorted, by code points; what differs later only comes in the order of arrival."""
LEASE_S: Final = 15.0
"""How long a client that is not heard of is believed to be there."""
LEASE_LEAST_S: Final = 3.0
"""Shorter ones would be lost to a busy machine."""
LEASE_MOST_S: Final = 3600.0
"""Longer ones would hold up others for too long after a crash."""
