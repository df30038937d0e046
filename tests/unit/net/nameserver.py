"""A name server on loopback: answers from lines of a zone file, over UDP as far as they fit, and over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.unit.net.bench import LOCALHOST, free_port

LONGEST = 512  # octets over UDP without EDNS (RFC 1035 s4.2.1)


class NameServer:
    """`questions`: those that came, as "udp A host". `silent` and `broken`: types it does not answer, or with SERVFAIL.

    soa     the negative TTL of its zone, None: it does not say
    spoils  what becomes of an answer on its way
    """

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.soa: int | None = 60
        self.spoils: Callable[[bytes], bytes] = lambda wire: wire
        self._records: dict[tuple[str, str], tuple[int, list[str]]] = {}

    def knows(self, *lines: str, ttl: int = 300) -> None:
        """`gw.example A 192.0.2.1`; lines of one name and type are one set."""
        for line in lines:
            name, kind, data = line.split(maxsplit=2)
            _, known = self._records.get((name, kind), (0, []))
            self._records[name, kind] = ttl, [*known, data]

    def answer(self, data: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(data)
        asked = query.question[0]
        name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
        self.questions.append(f"{transport} {kind} {name}")
        if kind in self.silent:
            return None
        response = dns.message.make_response(query)
        if kind in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self._records or (name, "CNAME") in self._records:
            self._add(response, name, kind)
        else:
            if self.soa is not None:
                soa = f"ns.example. admin.example. 1 7200 3600 1209600 {self.soa}"
                response.authority.append(dns.rrset.from_text("example.", 86400, "IN", "SOA", soa))
            if not any(known == name for known, _ in self._records):
                response.set_rcode(dns.rcode.NXDOMAIN)
        wire = response.to_wire()
        if transport == "udp" and len(wire) > LONGEST:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return self.spoils(wire)

    def _add(self, response: dns.message.Message, name: str, kind: str) -> None:
        """What is asked for, by way of its aliases."""
        for _ in range(20):
            if (name, kind) in self._records:
                ttl, data = self._records[name, kind]
                response.answer.append(dns.rrset.from_text_list(name + ".", ttl, "IN", kind, data))
                return
            ttl, data = self._records[name, "CNAME"]
            response.answer.append(dns.rrset.from_text_list(name + ".", ttl, "IN", "CNAME", data))
            name = data[0].removesuffix(".")


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        answer = self._server.answer(data, "udp")
        if answer is not None:
            self._transport.sendto(answer, address)


@asynccontextmanager
async def serving(server: NameServer, host: str = LOCALHOST, port: int = 0) -> AsyncIterator[int]:
    """The port it serves at."""
    port = port or free_port()
    loop = asyncio.get_running_loop()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        answer = server.answer(await reader.readexactly(size), "tcp")
        if answer is not None:
            writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()

    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), local_addr=(host, port))
    stream = await asyncio.start_server(converse, host, port)
    try:
        yield port
    finally:
        transport.close()
        stream.close()
        await stream.wait_closed()
