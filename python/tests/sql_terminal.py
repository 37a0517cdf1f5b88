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
# A query that would go on for years ends when it is told to, and so does its work.
joined = ", ".join(f"orders o{number}" for number in range(30))
send(f"select sum(o0.order_no * o29.order_no) as s from {joined};\r")
time.sleep(2)
send("\x03")
expect("sql> ")
send("select 6 * 7 as answer;\r")
expect("42")
expect("sql> ")


def ticks():
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


until = time.monotonic() + 60
while True:
    before = ticks()
    time.sleep(0.5)
    if ticks() - before < 20:
        break
    assert time.monotonic() < until, "the query goes on"
send("\x04")
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
