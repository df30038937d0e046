"""User agents that do all a call can have, by themselves, and a network that loses, repeats, reorders and delays what they say."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from sbc.sip.message import Request, Response
from sbc.sip.transactions import acknowledgement
from tests.world import Agent, World, sdp

REPEAT_S = 0.5  # what is not answered is sent again so often
GIVE_UP_S = 32.0
METHODS = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE"
Message = Request | Response


class Network:
    """Between the agents and the core. `loss` and `echo` are chances of one message."""

    def __init__(self, world: World, random: Random, loss: float, echo: float, delays: tuple[float, ...]) -> None:
        self.world = world
        self.random = random
        self.loss = loss
        self.echo = echo
        self.delays = delays
        self.talkers: list[Talker] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._due, (self.world.now.monotonic + delay, self._count, action))

    def carry(self, deliver: Callable[[], None]) -> None:
        for _ in range(2 if self.random.random() < self.echo else 1):
            if self.random.random() >= self.loss:
                self.later(self.random.choice(self.delays), deliver)

    def run(self, seconds: float, step: float = 0.05) -> None:
        end = self.world.now.monotonic + seconds
        while self.world.now.monotonic < end:
            self.world.after(step)
            for talker in self.talkers:
                while talker.agent.inbox:
                    message = talker.agent.inbox.popleft()
                    self.carry(lambda talker=talker, message=message: talker.receive(message))  # type: ignore[misc]
            while self._due and self._due[0][0] <= self.world.now.monotonic:
                heappop(self._due)[2]()


class Talker:
    """A user agent with one call: `finals` are the final answers to its INVITE, `ended` is set by a BYE of either side."""

    def __init__(self, network: Network, agent: Agent, tag: str) -> None:
        self.network = network
        self.agent = agent
        self.random = network.random
        self.tag = tag
        self.refusals: tuple[int, ...] = (491, 488)  # what it now and then says to a change
        self.finals: set[int] = set()
        self.confirmed = False
        self.ended = False
        self.invite: Request | None = None  # ours, or the one we got
        self.answer: Response | None = None  # what made our dialog, where we call
        self.offerless = False
        self._cseq = 1
        self._version = 1
        self._answered: dict[tuple[str, str], Response] = {}  # by branch and method: a repeated request gets the same
        self._open: set[str] = set()  # requests and responses that are repeated
        self._acks: dict[int, Request] = {}
        self._sent: dict[str, Request] = {}  # within the dialog, by branch
        self._rseq: dict[str, int] = {}  # of the last reliable response, by our tag
        self._seen_rseq: dict[str, int] = {}
        self._called_for: set[int] = set()  # re-INVITEs of ours without an offer
        network.talkers.append(self)

    # Sending

    def send(self, message: Message) -> None:
        data = message.encode()
        self.network.carry(lambda: self.agent.send_bytes(data))

    def repeat(self, key: str, message: Message, waited: float = 0.0) -> None:
        """Until `key` is no longer open, or nobody answers."""
        if not waited:
            self._open.add(key)
        if key in self._open and waited < GIVE_UP_S:
            self.send(message)
            self.network.later(REPEAT_S, lambda: self.repeat(key, message, waited + REPEAT_S))

    def body(self) -> bytes:
        self._version += 1
        direction = self.random.choice(("sendrecv", "sendrecv", "sendonly", "inactive"))
        return sdp(self.agent.host, 40000 + 2 * self.random.randrange(4), version=self._version, direction=direction)

    def answering(self, message: Message) -> bytes:
        self._version += 1
        direction = next((to for of, to in ANSWERS if of in message.body), "sendrecv")
        return sdp(self.agent.host, 40000, version=self._version, direction=direction)

    # What it does by itself

    def call(self, number: str, body: bytes | None, headers: tuple[tuple[str, str], ...]) -> None:
        self.offerless = body == b""
        offer = sdp(self.agent.host, 40000) if body is None else body
        self.invite = self.agent.request("INVITE", f"sip:{number}@10.0.0.1", body=offer, headers=headers, from_tag=self.tag)
        self.repeat("INVITE", self.invite)

    def cancel(self) -> None:
        if self.invite is not None and not self.finals and self.answer is None:
            self.agent.cancel(self.invite)

    def change_its_mind(self) -> None:
        """A hold that is taken back at once."""
        self.ask("INVITE", self.body())
        change = next(reversed(self._sent.values()), None)
        if change is not None and change.method == "INVITE":
            self.network.later(0.1, lambda: self.agent.cancel(change) if change.via.branch in self._open else None)

    def ask(self, method: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """A request within the dialog, if there is one."""
        if self.ended or self.invite is None:
            return
        self._cseq += 1
        if self.answer is not None:
            request = self.agent.within(self.invite, self.answer, method, cseq=self._cseq, body=body, headers=headers)
        elif self.confirmed or method == "UPDATE":
            request = self.agent.within_received(self.invite, method, cseq=self._cseq, body=body, tag=self.tag, headers=headers)
        else:
            return
        if method == "INVITE" and not body:
            self._called_for.add(self._cseq)
        self._sent[request.via.branch] = request
        self.repeat(request.via.branch, request)
        self.ended = self.ended or method == "BYE"

    def fork(self) -> None:
        """Another one behind the same INVITE speaks from now on, until one has taken the call."""
        if not self.confirmed:
            self.tag = self.random.choice(("one", "two", "three"))

    def ring(self, status: int, reliable: bool, described: bool) -> None:
        if self.invite is None or self.finals or self.confirmed:
            return
        headers: tuple[tuple[str, str], ...] = (("Contact", self.agent.contact), ("Allow", METHODS))
        reliable = reliable and "100rel" in (self.invite.headers.first("Supported") or "")
        if not self.invite.body and not reliable:
            described = False
        if reliable:
            self._rseq[self.tag] = rseq = self._rseq.get(self.tag, self.random.randrange(1, 1000)) + 1
            headers += (("Require", "100rel"), ("RSeq", str(rseq)))
        body = self.answering(self.invite) if described else b""
        response = self._response(self.invite, status, headers, body)
        if reliable:
            self.repeat(f"RSeq {rseq} {self.tag}", response)
        else:
            self.send(response)

    def take(self, status: int) -> None:
        """The final answer to the INVITE we got."""
        if self.invite is None or self.finals or self.confirmed or self.answer is not None:
            return
        self._open = {key for key in self._open if not key.startswith("RSeq")}
        self.finals.add(status)
        self.confirmed = status < 300
        headers = (("Contact", self.agent.contact), ("Allow", METHODS)) if status < 300 else ()
        body = self.answering(self.invite) if status < 300 else b""
        self.repeat("ACK 1" if status < 300 else "final", self._response(self.invite, status, headers, body))

    def _response(self, request: Request, status: int, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> Response:
        content_type = "application/sdp" if body else ""
        return Response.answer(request, status, to_tag=self.tag, headers=headers, body=body, content_type=content_type)

    # What comes

    def receive(self, message: Message) -> None:
        if isinstance(message, Response):
            self._receive_response(message)
        elif message.method == "ACK":
            self._open -= {f"ACK {message.cseq.number}", "final"}
        else:
            key = (message.via.branch, message.method)
            if key not in self._answered:
                self._serve(message, key)
            elif self._answered[key].status < 300 or message.method != "INVITE":
                self.send(self._answered[key])

    def _serve(self, request: Request, key: tuple[str, str]) -> None:
        if request.method == "INVITE" and not request.to.tag:
            self.invite = request
            self._answered[key] = self._response(request, 100)
            return
        status = 200
        body = b""
        if request.method == "BYE":
            self.ended = True
        elif request.method == "PRACK":
            self._open.discard(f"RSeq {(request.headers.first('RAck') or '').partition(' ')[0]} {request.to.tag}")
        elif request.method in ("INVITE", "UPDATE"):
            status = 481 if self.ended else self.random.choice((200, 200, 200, *self.refusals))
            if status == 200 and (request.body or request.method == "INVITE"):
                body = self.answering(request)
        response = self._response(request, status, (("Contact", self.agent.contact),), body)
        self._answered[key] = response
        if request.method == "INVITE" and status == 200:
            self.repeat(f"ACK {request.cseq.number}", response)
        else:
            self.send(response)
        if request.method == "CANCEL" and not self.finals:
            self.take(487)

    def _receive_response(self, response: Response) -> None:
        method, number = response.cseq.method, response.cseq.number
        if method == "INVITE" and number == 1 and self.invite is not None:
            self._receive_answer(self.invite, response)
        elif response.status >= 200:
            self._open.discard(response.via.branch)
            if method == "INVITE" and response.status < 300:
                self._acknowledge(number, response)
            elif method == "INVITE":
                self.send(acknowledgement(self._sent[response.via.branch], response))

    def _receive_answer(self, invite: Request, response: Response) -> None:
        self._open.discard("INVITE")
        if response.status < 200:
            self._receive_progress(invite, response)
            return
        self.finals.add(response.status)
        if response.status >= 300:
            self.send(acknowledgement(invite, response))
            return
        if not self.confirmed:
            self.confirmed, self.answer = True, response
        self._acknowledge(1, response)

    def _receive_progress(self, invite: Request, response: Response) -> None:
        rseq = int(response.headers.first("RSeq") or "0")
        if rseq and rseq > self._seen_rseq.get(response.to.tag, 0):
            self._seen_rseq[response.to.tag] = rseq
            self.answer = response
            body = b""
            if response.body:
                body = self.answering(response) if self.offerless else self.random.choice((b"", self.body()))
            self.ask("PRACK", body, (("RAck", f"{rseq} {response.cseq}"),))

    def _acknowledge(self, number: int, response: Response) -> None:
        """With the answer, if the 2xx offered; the same again for a repetition."""
        if number not in self._acks:
            assert self.invite is not None
            offered = number in self._called_for or (number == 1 and self.offerless)
            body = self.answering(response) if offered and response.body else b""
            if self.answer is not None:
                self._acks[number] = self.agent.within(self.invite, self.answer, "ACK", cseq=number, body=body)
            else:
                self._acks[number] = self.agent.within_received(self.invite, "ACK", cseq=number, body=body, tag=self.tag)
        self.send(self._acks[number])


ANSWERS = ((b"a=sendonly", "recvonly"), (b"a=recvonly", "sendonly"), (b"a=inactive", "inactive"))
