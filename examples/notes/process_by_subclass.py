"""A process as a class of one's own, with what it is to do in run()."""

from multiprocessing import Process  # or: holdfast.local


class Greeting(Process):
    def __init__(self, name, times):
        super().__init__(name=name)
        self.times = times

    def run(self):
        for number in range(self.times):
            print(f"{self.name} greets, {number + 1} of {self.times}", flush=True)


if __name__ == "__main__":
    greeting = Greeting("Ada", 2)
    greeting.start()
    greeting.join()
    print("ended with", greeting.exitcode)
