"""The warm worker: imports an environment's packages once and forks for each job.

Started by Millrace as `python _zygote.py <socket>`. It never computes itself: a fork of a process in which OpenMP or BLAS threads ran may
hang. Requests and answers are one JSON line each. Exit records have the shim's format. Standard library only.
"""

import ctypes
import gc
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time

#: Packages that may be imported before a fork.
SAFE = ("numpy", "pandas", "pyarrow", "scipy", "sklearn", "joblib", "mlflow", "polars", "yaml", "requests")
#: Forked ahead of the next jobs.
SPARES = 2
#: Ends when nothing ran for so long.
IDLE_SECONDS = 15 * 60
#: Last bytes that a cut log keeps beside its head: the words with which a program fails come after its flood.
TAIL_BYTES = 16 * 1024
#: prctl(2): what loses its parent below the caller becomes the caller's child.
PR_SET_CHILD_SUBREAPER = 36
#: Set while packages are imported in the parent, so that they start no threads there.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def start_ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[19])


def process(pid):
    return {"pid": pid, "started_ticks": start_ticks(pid)}


def write_whole(path, value, sync=False):
    staged = f"{path}.{os.getpid()}.staged"
    with open(staged, "w") as file:
        json.dump(value, file)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(staged, path)


def thread_count():
    return len(os.listdir("/proc/self/task"))


class LogIndex:
    """`log.index`: in which order the two streams came, and when, as exact as `take_in` is called often. The shim's format."""

    #: A piece is read as a whole by whoever wants a line of it.
    PIECE_BYTES = 64 * 1024

    def __init__(self, folder):
        self.folder = folder
        self.taken = {"stdout.log": 0, "stderr.log": 0}
        self.lines = 0

    def take_in(self, limit, final=False):
        """Takes in whole lines up to `limit` bytes of a stream; in the end everything."""
        with open(os.path.join(self.folder, "log.index"), "ab") as index:
            for name in self.taken:
                try:
                    with open(os.path.join(self.folder, name), "rb") as log:
                        self.follow(name, log, index, limit, final)
                except FileNotFoundError:
                    pass

    def follow(self, name, log, index, limit, final):
        log.seek(self.taken[name])
        while True:
            room = self.PIECE_BYTES if final else min(self.PIECE_BYTES, limit - self.taken[name])
            piece = log.read(max(0, room))
            full = len(piece) == self.PIECE_BYTES
            whole = piece.rfind(b"\n") + 1
            if whole == 0 and (full or final):
                whole = len(piece)  # a line that has no end
            if whole == 0:
                return
            self.taken[name] += whole
            self.lines += piece.count(b"\n", 0, whole) or 1
            totals = (self.taken["stdout.log"], self.taken["stderr.log"], self.lines)
            index.write(struct.pack("<qQQQ", time.time_ns() // 1_000_000, *totals))
            log.seek(self.taken[name])


class Job:
    def __init__(self, pid, request):
        self.pid = pid
        self.folder = request["folder"]
        self.max_log_bytes = request["max_log_bytes"]
        self.grace = request["grace_ms"] / 1000
        self.started = time.monotonic()
        timeout = request.get("timeout_ms")
        self.deadline = None if timeout is None else self.started + timeout / 1000
        self.kill_at = None
        self.ending = None
        self.dropped = {"stdout.log": 0, "stderr.log": 0}
        self.tails = {"stdout.log": b"", "stderr.log": b""}
        self.index = LogIndex(self.folder)

    def end(self, ending, now):
        if self.ending is None:
            self.ending = ending
            self.kill_at = now + self.grace
            kill_group(self.pid, signal.SIGTERM)

    def tick(self, now):
        if self.deadline is not None and now >= self.deadline:
            self.end("timed_out", now)
        if self.ending is None and os.path.exists(os.path.join(self.folder, "cancel")):
            self.end("cancelled", now)
        if self.kill_at is not None and now >= self.kill_at:
            kill_group(self.pid, signal.SIGKILL)
        self.trim()
        self.note_order()
        with open(os.path.join(self.folder, "beat"), "w"):
            pass

    def note_order(self, final=False):
        try:
            self.index.take_in(self.max_log_bytes, final)
        except OSError:
            pass  # readers take what is not in the index at its end

    def trim(self):
        """Cuts logs that outgrew the limit; they are written in append mode, so the child goes on at the new end."""
        for name in ("stdout.log", "stderr.log"):
            path = os.path.join(self.folder, name)
            try:
                size = os.stat(path).st_size
                if size > self.max_log_bytes:
                    self.dropped[name] += size - self.max_log_bytes
                    with open(path, "rb") as log:
                        log.seek(max(self.max_log_bytes, size - TAIL_BYTES))
                        self.tails[name] = (self.tails[name] + log.read(TAIL_BYTES))[-TAIL_BYTES:]
                    os.truncate(path, self.max_log_bytes)
            except OSError:
                pass

    def finish(self, status, usage, transfer):
        self.trim()
        for name, dropped in self.dropped.items():
            lost = dropped - len(self.tails[name])
            note = f"\n[{lost} bytes of output were dropped: `max_log` is reached]\n" if lost > 0 else ""
            if dropped:
                with open(os.path.join(self.folder, name), "ab") as log:
                    log.write(note.encode() + self.tails[name])
        self.note_order(final=True)
        if self.ending is None and os.path.exists(os.path.join(self.folder, "cancel")):
            self.ending = "cancelled"
        if self.ending:
            record = {"ended": self.ending}
        elif os.WIFSIGNALED(status):
            record = {"ended": "signalled", "signal": os.WTERMSIG(status), "out_of_memory": False}
        else:
            record = {
                "ended": "exited",
                "code": os.WEXITSTATUS(status),
            }
        record["cost"] = {
            "cpu_user_ms": int(usage.ru_utime * 1000),
            "cpu_system_ms": int(usage.ru_stime * 1000),
            "peak_memory_bytes": usage.ru_maxrss * 1024,
            **transfer,
        }
        write_whole(os.path.join(self.folder, "exit.json"), record, sync=True)


def transferred(pid):
    """Bytes that the calls of an ended process, and of those it waited for, brought and took; nothing where the kernel does not count."""
    names = {"rchar": "read_bytes", "wchar": "written_bytes"}
    try:
        with open(f"/proc/{pid}/io") as file:
            counts = dict(line.split(": ", 1) for line in file)
        return {names[name]: int(counts[name]) for name in names if name in counts}
    except (OSError, ValueError):
        return {}


def kill_group(pid, number):
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def run_job(request, imports_path):
    """In the child: becomes the program. Returns the exit code."""
    for name, fd in (("stdout.log", 1), ("stderr.log", 2)):
        path = os.path.join(request["folder"], name)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o644)
        os.dup2(log, fd)
        os.close(log)
    for name in ONE_THREAD:
        os.environ.pop(name, None)
    os.environ.update(request["env"])
    os.environ["MILLRACE_ATTEMPT"] = request["folder"]
    os.chdir(request["cwd"])
    release_threads()
    reseed()
    arguments = request["argv"][1:]
    sys.argv = arguments
    for entry in reversed(request["env"].get("PYTHONPATH", "").split(os.pathsep)):
        if entry:
            sys.path.insert(0, entry)
    import runpy

    code = 0
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path.insert(0, os.getcwd())
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None:
            code = 0
        elif isinstance(end.code, int):
            code = end.code & 0xFF
        else:
            print(end.code, file=sys.stderr)
            code = 1
    except BaseException:
        report()
        code = 1
    at_exit()
    remember_imports(imports_path)
    return code


def report():
    """Prints the traceback as Python would: without the frames of this file and of runpy."""
    import traceback

    kind, error, trace = sys.exc_info()
    while trace is not None and ("runpy" in trace.tb_frame.f_code.co_filename or trace.tb_frame.f_code.co_filename == __file__):
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


def at_exit():
    import atexit
    import threading

    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass


def release_threads():
    """The parent's libraries were told to use one thread; the job may use all."""
    if "threadpoolctl" in sys.modules:
        try:
            sys.modules["threadpoolctl"].threadpool_limits(os.cpu_count())
        except Exception:  # a library it does not know keeps one thread
            pass


def reseed():
    import random

    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def remember_imports(path):
    """Names what this job imported, for the parent to import before the next one."""
    names = {name for name in list(sys.modules) if wanted(name)}
    try:
        with open(path) as file:
            known = set(json.load(file))
    except (OSError, ValueError):
        known = set()
    if not names <= known:
        try:
            write_whole(path, sorted(known | names))
        except OSError:
            pass


def wanted(name):
    parts = name.split(".")
    return parts[0] in SAFE and len(parts) <= 2 and not any(part.startswith("_") for part in parts)


class Zygote:
    def __init__(self, path):
        self.path = path
        self.imports_path = os.path.splitext(path)[0] + ".imports"
        self.jobs = {}
        self.spares = []
        self.tried = set()
        self.idle_since = time.monotonic()
        self.clients = {}
        self.me = process(os.getpid())

    def serve(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        self.listener.bind(self.path)
        os.chmod(self.path, 0o600)
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.inode = os.stat(self.path).st_ino
        self.wake, wake_writer = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.wake, selectors.EVENT_READ)
        self.preload()
        os.write(1, b"ready\n")
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        while self.step():
            pass

    def step(self):
        self.keep_spares()
        ready = self.selector.select(self.patience())
        for key, _ in ready:
            if key.fileobj is self.listener:
                self.accept()
            elif key.fileobj == self.wake:
                os.read(self.wake, 4096)
            else:
                self.read(key.fileobj)
        self.reap()
        now = time.monotonic()
        for job in list(self.jobs.values()):
            job.tick(now)
        if self.jobs:
            self.idle_since = now
            return True
        if not ready:
            self.preload()
        return now - self.idle_since < IDLE_SECONDS and self.owns_socket()

    def patience(self):
        if not self.jobs:
            return 30
        now = time.monotonic()
        moments = [at for job in self.jobs.values() for at in (job.deadline, job.kill_at) if at is not None and at > now]
        return min([1.0] + [at - now for at in moments])

    def owns_socket(self):
        try:
            return os.stat(self.path).st_ino == self.inode
        except OSError:
            return False

    def preload(self):
        try:
            with open(self.imports_path) as file:
                names = [name for name in json.load(file) if wanted(name) and name not in self.tried]
        except (OSError, ValueError):
            return
        names = [name for name in names if name not in sys.modules]
        if not names:
            return
        for name in ONE_THREAD:
            os.environ[name] = "1"
        for name in names:
            self.tried.add(name)
            try:
                __import__(name)
            except Exception:  # the job itself will say what is wrong
                pass
        if thread_count() > 1:
            # Forking is no longer safe. The names are forgotten and the next worker starts without them.
            write_whole(self.imports_path, [])
            os.unlink(self.path)
            sys.exit("a package started threads when it was imported")
        gc.collect()
        gc.freeze()
        for _, pipe in self.spares:
            os.close(pipe)
        self.spares = []

    def keep_spares(self):
        while len(self.spares) < SPARES:
            read_end, write_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(write_end)
                self.child(read_end)
            os.close(read_end)
            self.spares.append((pid, write_end))

    def child(self, pipe):
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            adopt_orphans()
            self.listener.close()
            self.selector.close()
            for client in self.clients:
                client.close()
            for _, other in self.spares:
                os.close(other)
            with os.fdopen(pipe, "rb") as file:
                line = file.read()
            if not line:
                os._exit(0)
            code = run_job(json.loads(line), self.imports_path)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)

    def accept(self):
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return
        client.setblocking(False)
        self.clients[client] = b""
        self.selector.register(client, selectors.EVENT_READ)

    def read(self, client):
        try:
            data = client.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.clients[client] += data
        if data and not self.clients[client].endswith(b"\n"):
            return
        self.selector.unregister(client)
        line = self.clients.pop(client)
        try:
            if line.endswith(b"\n"):
                client.setblocking(True)
                client.sendall(json.dumps(self.start(json.loads(line))).encode() + b"\n")
        except OSError:
            pass
        finally:
            client.close()

    def start(self, request):
        if thread_count() > 1:
            return {"error": "it runs threads, so that forking is not safe"}
        pid, pipe = self.spares.pop(0)
        claimed = False
        try:
            identity = process(pid)
            # The attempt is whoever's who makes this first: a server may have given it up.
            claim = os.path.join(request["folder"], "claim")
            os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
            claimed = True
            write_whole(os.path.join(request["folder"], "shim.json"), {**identity, "keeper": self.me})
            self.jobs[pid] = Job(pid, request)
            payload = json.dumps(request).encode()
            with os.fdopen(pipe, "wb") as file:
                file.write(payload)
        except (OSError, KeyError, TypeError) as error:
            self.jobs.pop(pid, None)
            kill_group(pid, signal.SIGKILL)
            for name in ("shim.json", "claim") if claimed else ():
                try:
                    os.unlink(os.path.join(request["folder"], name))
                except OSError:
                    pass
            return {"error": str(error)}
        return identity

    def reap(self):
        while True:
            try:
                # Looked at before it is taken away: `/proc` says what it read and wrote only as long as it is there.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None:
                    return
                transfer = transferred(ended.si_pid)
                pid, status, usage = os.wait4(ended.si_pid, 0)
            except ChildProcessError:
                return
            job = self.jobs.pop(pid, None)
            if job is not None:
                kill_group(pid, signal.SIGKILL)
                self.end_strays()
                job.finish(status, usage, transfer)
            else:
                for spare in [spare for spare in self.spares if spare[0] == pid]:
                    os.close(spare[1])
                    self.spares.remove(spare)


    def end_strays(self):
        """Kills what ended jobs have left, daemons too: children that are neither a job, which adopts its own, nor a spare."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            known = set(self.jobs) | {pid for pid, _ in self.spares}
            strays = [pid for pid in children(os.getpid()) if pid not in known]
            if not strays:
                return
            for pid in strays:
                try:
                    os.kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
            time.sleep(0.002)  # `reap` takes them away


def adopt_orphans():
    """What loses its parent below this process becomes its child."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        pass  # then the process group is what is ended


def children(parent):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            # One that has ended is reaped in its turn.
            if int(fields[1]) == parent and fields[0] not in "ZX":
                found.append(int(name))
    return found


if __name__ == "__main__":
    # A spare whose parent dies reads the end of its pipe and ends; a running job goes on.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.path.pop(0)
    os.setsid()
    adopt_orphans()
    Zygote(sys.argv[1]).serve()
