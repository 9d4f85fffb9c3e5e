"""Serve the state of connection tracking to Prometheus: ``exporter.py [PORT]``."""

import sys
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

from pyconntrack import Conntrack, ConntrackError


def metrics(ct: Conntrack) -> Iterator[str]:
    """Yield the lines of the text format of Prometheus."""
    stats = ct.stats()
    yield "# TYPE conntrack_entries gauge"
    yield f"conntrack_entries {stats.entries}"
    if stats.max_entries is not None:
        yield "# TYPE conntrack_entries_limit gauge"
        yield f"conntrack_entries_limit {stats.max_entries}"

    flows = Counter((flow.proto, flow.state) for flow in ct.dump(on_interrupt="retry"))
    yield "# TYPE conntrack_flows gauge"
    for (proto, state), number in flows.items():
        yield f'conntrack_flows{{proto="{proto}",state="{state or ""}"}} {number}'

    by_counter: dict[str, list[str]] = {}
    for cpu in stats.cpus:
        for name, value in cpu.to_dict().items():
            if name != "cpu":
                line = f'conntrack_{name}_total{{cpu="{cpu.cpu}"}} {value}'
                by_counter.setdefault(name, []).append(line)
    for name, lines in by_counter.items():
        yield f"# TYPE conntrack_{name}_total counter"
        yield from lines


class Handler(BaseHTTPRequestHandler):
    """Answers each request with fresh numbers."""

    def do_GET(self) -> None:
        try:
            with Conntrack() as ct:
                body = "".join(f"{line}\n" for line in metrics(ct)).encode()
        except ConntrackError as error:
            self.send_error(500, explain=str(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9930
    with HTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/metrics", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
