"""Speaks ClickHouse's HTTP interface as its documentation has it, over three rows."""

import http.server, io, sys, urllib.parse

import pyarrow as pa

ROWS = pa.table({
    "id": pa.array([1, 2, 3], pa.uint64()),
    "name": pa.array(["a", "ü", None], pa.string()),
    "at": pa.array([1_772_323_200_000] * 3, pa.timestamp("ms", tz="UTC")),
})


def stream(table):
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)
    return out.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        sql = self.rfile.read(int(self.headers["content-length"])).decode()
        params = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        if self.headers.get("x-clickhouse-key") != "pw":
            return self.answer(403, b"Code: 516. DB::Exception: reader: Authentication failed. (AUTHENTICATION_FAILED)\n")
        assert params["output_format_arrow_string_as_string"] == "1" and self.headers["x-clickhouse-database"] == "web"
        whole = stream(ROWS)
        if sql == "SELECT * FROM `visits` FORMAT ArrowStream":
            return self.answer(200, whole)
        if sql == "SELECT * FROM `visits` WHERE (name = {p1:String}) FORMAT ArrowStream":
            wanted = [name == params["param_p1"] for name in ROWS["name"].to_pylist()]
            return self.answer(200, stream(ROWS.filter(pa.array(wanted))))
        if sql.startswith("SELECT `database`, `name` FROM `system`.`tables` WHERE (database not in ("):
            return self.answer(200, stream(pa.table({"database": ["web"], "name": ["visits"]})))
        if "`breaks`" in sql:
            return self.answer(200, whole[:-8] + b"Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)\n")
        if "`ends`" in sql:
            return self.answer(200, whole[:-8])
        self.answer(404, b"Code: 60. DB::Exception: Table web.nothing does not exist. (UNKNOWN_TABLE)\n")


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("ready", flush=True)
server.serve_forever()
