"""A small load generator: raw keep-alive connections in a process of its own, so that it costs the server little.

`python -m bench.load PORT CLIENTS SECONDS ALERTS_PER_POST [ALERTNAME [PATH]]` prints one JSON line:
posts, errors, seconds, p50, p99.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

from bench.stack import TOKEN, quantile

OURS = "/hooks/alertmanager"
START = "2026-11-21T03:55:30.076Z"


def body_of(n: int, alerts: int, alertname: str, *, group: int | None = None) -> bytes:
    """One Alertmanager body of `alerts` distinct alerts of one group, by default a group of its own."""
    group = n if group is None else group
    listed = [
        {
            "status": "firing",
            "labels": {"alertname": alertname, "n": str(group), "instance": f"{n}-{one}", "severity": "warning"},
            "annotations": {"summary": f"{alertname} {group}"},
            "startsAt": START,
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": f"{n:08x}{one:08x}",
        }
        for one in range(alerts)
    ]
    return json.dumps({"version": "4", "receiver": "r", "status": "firing", "alerts": listed}).encode()


def request_of(body: bytes, path: str = OURS) -> bytes:
    authorization = f"Authorization: Bearer {TOKEN}\r\n" if path == OURS else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Alertmanager/0.25.0\r\n"
        f"{authorization}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def is_whole(answer: bytes) -> bool:
    """Whether head and body have both arrived: the server sends them apart."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return len(body) >= int(length.partition(b":")[2])


def answer_of(connection: socket.socket) -> bytes:
    """One whole answer."""
    answer = connection.recv(65536)
    while answer and not is_whole(answer):
        answer += connection.recv(65536)
    return answer


def run(
    port: int, clients: int, seconds: float, alerts: int, alertname: str = "Load", path: str = OURS
) -> dict[str, float]:
    selector = selectors.DefaultSelector()
    number = int(time.time() * 4000) & 0x7FFFFFFF  # each run has alerts of its own: what is repeated is not new
    took, errors = [], 0
    began = time.perf_counter()
    sent_at: dict[socket.socket, float] = {}
    for _ in range(clients):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        sent_at[connection] = time.perf_counter()
        connection.sendall(request_of(body_of(number, alerts, alertname), path))
        number += 1
    while sent_at:
        for key, _ in selector.select(5):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            answer = answer_of(connection)
            now = time.perf_counter()
            took.append(now - sent_at.pop(connection))
            errors += not answer.startswith(b"HTTP/1.1 20")
            if not answer or now - began > seconds:
                selector.unregister(connection)
                connection.close()
                continue
            sent_at[connection] = time.perf_counter()
            connection.sendall(request_of(body_of(number, alerts, alertname), path))
            number += 1
    spent = time.perf_counter() - began
    return {
        "posts": len(took),
        "errors": errors,
        "seconds": spent,
        "per_second": len(took) / spent,
        "p50_ms": quantile(took, 0.5) * 1000,
        "p99_ms": quantile(took, 0.99) * 1000,
    }


if __name__ == "__main__":
    port, clients, seconds, alerts, *named = sys.argv[1:]
    print(json.dumps(run(int(port), int(clients), float(seconds), int(alerts), *named)))
