"""Write to a command and read its answers: a calculator that lives on the other side of an agent."""

import sys

import holdfast

CALCULATOR = """
import sys
for line in sys.stdin:
    left, sign, right = line.split()
    print(int(left) + int(right) if sign == "+" else int(left) * int(right), flush=True)
"""


def main() -> int:
    with holdfast.connect() as host:
        job = host.start([sys.executable, "-c", CALCULATOR], stdin=True, timeout=60)
        answers = job.output()
        for question in ("2 + 3", "6 * 7"):
            job.stdin.write(f"{question}\n".encode())
            _, answer = next(answers)
            print(question, "=", answer.decode().strip())
        job.stdin.close()  # a true end of file: the loop over there ends, and so does the command
        assert list(answers) == []
        return job.wait()


if __name__ == "__main__":
    sys.exit(main())
