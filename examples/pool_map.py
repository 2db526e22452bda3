"""Count prime numbers with every processor of a host.

Usage: python examples/pool_map.py [HOST]
"""

import sys

import holdfast


def primes(begin: int, end: int) -> int:
    """How many primes there are from ``begin`` up to, not including, ``end``."""
    return sum(n > 1 and all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(begin, end))


def main() -> None:
    """Cut the range into pieces; the pool decides which worker gets which."""
    address = sys.argv[1] if len(sys.argv) > 1 else "local"
    step, most = 2_000, 50_000
    begins = range(0, most, step)
    with holdfast.connect(address) as host, host.executor() as pool:
        found = sum(pool.map(primes, begins, [begin + step for begin in begins]))
    print(f"{found} primes below {most}")


if __name__ == "__main__":
    main()
