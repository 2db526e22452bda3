"""Start a long job, leave it, and watch it from another program; the second knows nothing but the job's id."""

import sys

import holdfast

BUILD = "for part in lexer parser linker; do echo building $part; sleep 0.2; done; echo warning: old flag >&2"


def start() -> str:
    """What the first program does: the job belongs to nobody once this returns."""
    with holdfast.connect() as host:
        return host.start(BUILD, shell=True, detach=True, label="build", timeout=600).id


def watch(job_id: str) -> int:
    """What the second program does, perhaps hours later: from the first byte, then live, to the end."""
    with holdfast.connect() as host:
        job = host.job(job_id)
        for channel, chunk in job.output():
            stream = sys.stdout if channel == 1 else sys.stderr
            stream.buffer.write(chunk)
            stream.flush()
        return job.wait()


if __name__ == "__main__":
    sys.exit(watch(start()))
