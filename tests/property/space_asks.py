"""What may be asked of shared objects, carried out by the model of ``space_model``."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from holdfast.wire import coordination as c
from holdfast.wire.codes import ErrorCode
from tests.property.space_model import HELD, Model, Said, Thing, Waiter

OK = ("ok", True)


class No(Exception):
    """Refused."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Asked(Model):
    """The model, with a method for each record."""

    def finish(self) -> None:
        """The end of a step."""
        self.tidy()
        self.time()

    # --- records -----------------------------------------------------------------------------------------------------

    def asked(self, instance: str, request: Any, body: bytes = b"") -> None:
        """ASKED."""
        client, key = self.heard(instance), (instance, request.number)
        pending = {each.key[1] for each in self.line if each.key[0] == instance}
        for number in request.seen:
            if number not in pending:
                for kept in (client.answers, client.given, client.unseen):
                    kept.pop(number, None)
                client.let_go.discard(number)
                client.done.add(number)
        if request.number in client.answers or request.number in pending:
            return
        if request.number in client.done:
            self.said[key] = ("refused", ErrorCode.LEASE_LOST)
            return
        try:
            said: Said | None = getattr(self, "on_" + type(request).__name__.lower())(instance, request, body)
        except No as no:
            said = ("refused", no.code)
        if said is not None:
            self.say(key, *said)

    def renewed(self, instance: str) -> None:
        """RENEWED."""
        if instance in self.clients:
            self.heard(instance)

    def handed(self, instance: str, owner: int, names: tuple[str, ...], job: str) -> None:
        """HANDED."""
        if self.is_waiting(f"{instance}/{owner}"):
            return
        moving = [entry for entry in self.held if entry[0] == f"{instance}/{owner}" and entry[1] in names]
        self.held = [entry for entry in self.held if entry not in moving]
        self.held += [(f"job:{job}", name) for _, name in moving]

    def ended(self, job: str) -> None:
        """ENDED."""
        self.held = [entry for entry in self.held if entry[0] != f"job:{job}"]
        self.advance()

    def restored(self) -> None:
        """RESTORED."""
        for instance in self.clients:
            self.heard(instance)

    # --- names -------------------------------------------------------------------------------------------------------

    def named(self, instance: str, name: str, *kinds: str, opens: bool = True) -> Thing:
        thing = self.things.get(name)
        if thing is None:
            raise No(ErrorCode.NOT_FOUND)
        if thing.what.kind not in kinds:
            raise No(ErrorCode.STATE)
        if opens:
            thing.opened.add(instance)
        return thing

    def on_open(self, instance: str, request: c.Open, _: bytes) -> Said:
        thing = self.things.get(request.name)
        made = thing is None
        if thing is None:
            if request.what.kind == "condition":
                assert request.what.lock is not None
                self.named(instance, request.what.lock, "lock", "rlock")
            thing = self.things[request.name] = Thing(request.what, total=request.what.units)
        elif replace(thing.what, passing=False) != replace(request.what, passing=False):
            raise No(ErrorCode.STATE)
        thing.opened.add(instance)
        return ("open", made)

    def on_drop(self, instance: str, request: c.Drop, _: bytes) -> Said:
        thing = self.things.get(request.name)
        if thing is None:
            return ("ok", False)
        thing.opened.discard(instance)
        if request.forget:
            self.say((instance, request.number), *OK)
            users = sorted(name for name, other in self.things.items() if other.what.lock == request.name)
            for name in [*users, request.name]:
                self.forget(name)
        return OK

    # --- locks and conditions ----------------------------------------------------------------------------------------

    def is_resting(self, owner: str) -> bool:
        return any(each.owner == owner and each.place for each in self.line)

    def is_waiting(self, owner: str) -> bool:
        return any(each.owner == owner and not each.place for each in self.line)

    def until(self, request: Any) -> float | None:
        return None if request.timeout_s is None else self.now + request.timeout_s

    def on_acquire(self, instance: str, request: c.Acquire, _: bytes) -> Said | None:
        owner = f"{instance}/{request.owner}"
        things = {name: self.named(instance, name, *HELD) for name in request.units}
        if self.is_resting(owner):
            raise No(ErrorCode.STATE)
        for name, thing in things.items():
            bounded = thing.what.kind in ("lock", "bounded") and not thing.signal
            if bounded and request.units[name] > thing.total:
                raise No(ErrorCode.INVALID)
        if self.is_waiting(owner):
            raise No(ErrorCode.STATE)
        each = Waiter((instance, request.number), request, "", self.until(request), owner, request.units)
        if self.may_go(each, self.line):
            self.grant(each)
            return None
        if not request.wait:
            return ("granted", False)
        each.open = self.waits_for_itself(each)
        if not self.is_open(each) and owner in self.stuck(each):
            return ("deadlock",)
        self.line.append(each)
        return None

    def on_release(self, instance: str, request: c.Release, _: bytes) -> Said:
        self.named(instance, request.name, *HELD, opens=False)
        said = self.give_back(instance, f"{instance}/{request.owner}", request.name, request.units)
        if said is None:
            self.advance()
        return said or OK

    def lock_of(self, instance: str, thing: Thing, owner: str) -> tuple[str, int] | Said:
        """The lock of a condition and how deep it is held, or why it is not."""
        name = thing.what.lock
        assert name is not None
        depth = self.units_of(owner, name)
        if self.things[name].what.kind == "lock":
            depth = sum(holder.startswith(instance + "/") for holder in self.holders(name))
        return (name, depth) if depth else self.not_held(instance, owner, name)

    def on_await(self, instance: str, request: c.Await, _: bytes) -> Said | None:
        thing, owner = self.named(instance, request.name, "condition"), f"{instance}/{request.owner}"
        found = self.lock_of(instance, thing, owner)
        if found[0] == "refused":
            return found
        if self.is_resting(owner) or self.is_waiting(owner):
            raise No(ErrorCode.STATE)
        lock, depth = found
        assert self.give_back(instance, owner, lock, depth) is None
        key = (instance, request.number)
        self.line.append(Waiter(key, request, request.name, self.until(request), owner, depth=depth))
        self.advance()
        return None

    def on_notify(self, instance: str, request: c.Notify, _: bytes) -> Said:
        thing = self.named(instance, request.name, "condition")
        found = self.lock_of(instance, thing, f"{instance}/{request.owner}")
        if found[0] == "refused":
            return found
        self.notify(request.name, request.count)
        return OK

    # --- events and barriers -----------------------------------------------------------------------------------------

    def on_flag(self, instance: str, request: c.Flag, _: bytes) -> Said | None:
        thing = self.named(instance, request.name, "event")
        if request.do == "wait" and not thing.is_set:
            self.line.append(Waiter((instance, request.number), request, request.name, self.until(request)))
            return None
        thing.is_set = request.do != "clear" if request.do != "wait" else True
        if thing.is_set:
            for each in self.in_line(request.name):
                self.line.remove(each)
                self.say(each.key, "flag", True)
        return ("flag", thing.is_set)

    def on_meet(self, instance: str, request: c.Meet, _: bytes) -> Said | None:
        thing, name = self.named(instance, request.name, "barrier"), request.name
        if request.do == "wait":
            if thing.broken:
                return ("meet", 0, False, True)
            self.line.append(Waiter((instance, request.number), request, name, self.until(request)))
            self.meet(name)
            return None
        if request.do in ("reset", "abort"):
            self.abort(name, broken=request.do == "abort")
            return ("meet", 0, False, thing.broken)
        index = thing.what.units - 1
        if thing.actor is None or thing.actor != (instance, request.of):
            return ("meet", index, False, True)
        if request.do == "failed":
            self.abort(name)
            return ("meet", index, False, True)
        thing.actor = None
        self.go_on([each for each in self.in_line(name) if each.met])
        self.meet(name)
        return ("meet", index, False, False)

    # --- queues ------------------------------------------------------------------------------------------------------

    def on_put(self, instance: str, request: c.Put, body: bytes) -> Said | None:
        thing, name, key = self.named(instance, request.name, "queue"), request.name, (instance, request.number)
        if thing.shut:
            return ("put", "shut")
        if (thing.full or self.in_line(name, c.Put)) and not request.wait:
            return ("put", "full")
        self.line.append(Waiter(key, request, name, self.until(request), value=body))
        self.move(name)
        return None

    def on_take(self, instance: str, request: c.Take, _: bytes) -> Said | None:
        thing, name, key = self.named(instance, request.name, "queue"), request.name, (instance, request.number)
        if not thing.ready and (thing.shut or not request.wait):
            return ("take", "shut" if thing.shut else "empty")
        self.line.append(Waiter(key, request, name, self.until(request)))
        self.move(name)
        return None

    def on_settle(self, instance: str, request: c.Settle, _: bytes) -> Said:
        thing = self.named(instance, request.name, "queue", opens=False)
        if request.do == "task_done":
            if not thing.unfinished:
                raise No(ErrorCode.NOT_HOLDER)
            thing.unfinished -= 1
        else:
            out = [item for item in thing.out if (item.id, item.deliveries) == (request.item, request.delivery)]
            if not out:
                raise No(ErrorCode.NOT_HOLDER)
            if request.do == "fail":
                self.fail(thing, out[0])
            else:
                thing.out.remove(out[0])
                thing.unfinished -= min(1, thing.unfinished)
        self.move(request.name)
        return OK

    def on_join(self, instance: str, request: c.Join, _: bytes) -> Said | None:
        self.named(instance, request.name, "queue")
        self.line.append(Waiter((instance, request.number), request, request.name, self.until(request)))
        self.move(request.name)
        return None

    def on_shutqueue(self, instance: str, request: c.ShutQueue, _: bytes) -> Said:
        thing, name = self.named(instance, request.name, "queue"), request.name
        thing.shut = True
        if request.immediate:
            thing.emptied = True
            thing.unfinished -= min(thing.unfinished, len(thing.ready))
            thing.ready.clear()
        for each in [*self.in_line(name, c.Put), *self.in_line(name, c.Take)]:
            self.line.remove(each)
            self.say(each.key, "put" if isinstance(each.request, c.Put) else "take", "shut")
        self.move(name)
        return OK

    # --- giving up ---------------------------------------------------------------------------------------------------

    def on_withdraw(self, instance: str, request: c.Withdraw, _: bytes) -> Said:
        client, number = self.clients[instance], request.of
        if number == request.number:
            raise No(ErrorCode.INVALID)
        each = next((each for each in self.line if each.key == (instance, number)), None)
        answer = client.answers.get(number, ("",))
        is_await = isinstance(each.request, c.Await) if each else answer[0] == "await"
        if is_await and number not in client.let_go:
            client.let_go.add(number)
            if each is not None and each.place:
                self.line.remove(each)
                self.retake(each, notified=False)
            return ("ok", False)
        client.let_go.discard(number)
        undone = each is not None or (number in client.answers and self.undo(instance, number))
        if each is not None:
            self.line.remove(each)
            self.advance()
            if each.place and self.things[each.place].what.kind == "barrier" and not each.met:
                self.abort(each.place)
            if each.retakes and each.notified:
                self.notify(each.request.name, 1)
        client.answers.pop(number, None)
        client.done.add(number)
        return ("ok", undone)

    def undo(self, instance: str, number: int) -> bool:
        """What an answer gave that nobody has seen."""
        client = self.clients[instance]
        if number in client.unseen:
            return self.untake(client, number)
        acted = [name for name, thing in self.things.items() if thing.actor == (instance, number)]
        for name in acted:
            self.abort(name)
        if number not in client.given:
            return bool(acted)
        owner, units, condition = client.given.pop(number)
        undone = False
        for name, count in units.items():
            back = min(count, self.units_of(owner, name))
            if back and not (self.things[name].what.kind == "rlock" and self.is_waiting(owner)):
                assert self.give_back(instance, owner, name, back) is None
                undone = True
        self.advance()
        if condition:
            self.notify(condition, 1)
        return undone
