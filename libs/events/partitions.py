"""Which partition a key belongs to: as Kafka's own clients have it, so that all writers agree."""

from __future__ import annotations

from struct import unpack_from
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of `key` among so many."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions if partitions > 1 else 0


def murmur2(data: bytes) -> int:
    """MurmurHash2 of 32 bits with Kafka's seed: what aiokafka computes too, in a fraction of its time."""
    length = len(data)
    h = _SEED ^ length
    for word in unpack_from(f"<{length >> 2}I", data):
        k = word * _M & _MASK
        h = h * _M & _MASK ^ (k ^ k >> 24) * _M & _MASK
    if rest := length & 3:
        h = (h ^ int.from_bytes(data[-rest:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
