"""Output has byte numbers, so a reader that keeps one number can go on where it left off, in any later process."""

import sys
import tempfile
from pathlib import Path

import holdfast


def read_on(job_id: str, bookmark: Path) -> bytes:
    """What the job has written since the last call; the bookmark file holds nothing but an offset."""
    offset = int(bookmark.read_text()) if bookmark.exists() else 0
    with holdfast.connect() as host:
        fresh = host.job(job_id).read(1, offset)
    bookmark.write_text(str(offset + len(fresh)))
    return fresh


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, holdfast.connect() as host:
        bookmark = Path(folder) / "bookmark"
        job = host.start(["sh", "-c", "echo one; sleep 0.5; echo two"], detach=True)
        seen = read_on(job.id, bookmark)
        job.wait(timeout=30)
        seen += read_on(job.id, bookmark)
        nothing_more = read_on(job.id, bookmark)
        print(seen.decode().split(), "then", nothing_more, "at byte", bookmark.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
