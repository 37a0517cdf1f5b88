"""Runs a command and prints what it took, its children included: `{"status", "cpu_s", "wall_s", "peak_mb"}`; what it prints goes to a file."""

import json
import os
import sys
import time

said, *command = sys.argv[1:]
begun = time.monotonic()
actions = [(os.POSIX_SPAWN_OPEN, 1, said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
_, status, usage = os.wait4(pid, 0)
print(
    json.dumps(
        {
            "status": os.waitstatus_to_exitcode(status),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "wall_s": time.monotonic() - begun,
            "peak_mb": usage.ru_maxrss / 1024,
        }
    )
)
