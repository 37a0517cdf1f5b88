"""Talks to `millrace sql` as somebody at a terminal does: `sql_terminal.py PROGRAM`, in a workspace with the dataset `orders`.

Run by `crates/millrace/tests/it/sql_script.rs`.
"""

import os
import pty
import re
import select
import sys
import time

pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="xterm", COLUMNS="120", LINES="40")
    os.execv(sys.argv[1], [sys.argv[1], "sql"])

seen = ""


def expect(text, within=30):
    """Reads until the text was shown; what came until then is forgotten."""
    global seen
    until = time.monotonic() + within
    while True:
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
        if text in plain:
            seen = plain.split(text, 1)[1]
            return
        assert time.monotonic() < until, (text, plain)
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")


def send(keys):
    os.write(terminal, keys.encode())


expect("sql> ")
send("select count(*) as many\r")
send("from orders;\r")
expect("many")
expect("3")
expect("sql> ")
# The name of a column is completed.
send("select order_n\t as number from orders order by 1 limit 1;\r")
expect("select order_no")
expect("7001")
expect("sql> ")
send("\\d orders\r")
expect("order_no")
expect("Int64")
expect("sql> ")
send("select nothing from orders;\r")
expect("nothing")
expect("sql> ")
# The query before is a key away.
send("\x1b[A\x1b[A\x1b[A\r")
expect("7001")
expect("sql> ")
send("\x04")
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
