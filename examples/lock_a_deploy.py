"""A lock whose holder cannot do harm after its time: the resource refuses tokens that are older than one it has seen.

Usage: python examples/lock_a_deploy.py
"""

import holdfast


class Site:
    """What is deployed to. It guards itself: a lock alone cannot stop somebody who has slept through its end."""

    def __init__(self) -> None:
        self.version = "none"
        self._newest = 0

    def deploy(self, version: str, token: int) -> None:
        """Take this version.

        Raises:
            PermissionError: somebody with a newer token was here already.
        """
        if token < self._newest:
            raise PermissionError(f"token {token} is older than {self._newest}")
        self._newest = token
        self.version = version


def main() -> None:
    """Two deployments; the first one wakes up too late."""
    site = Site()
    with holdfast.connect() as host:
        lock = host.lock("deploy")
        with lock:
            slow = lock.token
        with lock:
            site.deploy("2.0", lock.token)
        try:
            site.deploy("1.9", slow)
        except PermissionError as error:
            print(f"refused: {error.args[0].split()[0]} of the one who was too late")
    print(f"deployed: {site.version}")


if __name__ == "__main__":
    main()
