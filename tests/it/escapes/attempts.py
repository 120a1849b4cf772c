"""Attempts to get out of a sandbox, one function each, and what must become of it in each tier.

Run inside of the sandbox. Each attempt has a process of its own, and prints one line: its name, what is expected, what
happened, and how. An attempt that raises or returns has been held; `escaped` says that it got somewhere. All of them
touch only what the test has put there, or make a call that has no effect, so that they may also be run without a
sandbox, which shows that they can succeed.
"""

import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import resource
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

HELD, WORKS, ADMITTED = "held", "works", "admitted"
ATTEMPTS = []
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p
X86 = os.uname().machine == "x86_64"
FACTS = {}
WORK = ROOT = OUTSIDE = TAG = SECRET = ""


class Escaped(Exception):
    pass


class Worked(Exception):
    pass


def attempt(namespaces=HELD, landlock=HELD, bare=True):
    """`bare` is false for what must not be tried without a sandbox."""

    def register(function):
        ATTEMPTS.append((function, {"namespaces": namespaces, "landlock": landlock, "none": ADMITTED}, bare))
        return function

    return register


def escaped(how):
    raise Escaped(how)


def has_secret(data, where):
    if isinstance(data, str):
        data = data.encode()
    if SECRET.encode() in data:
        escaped("read the secret by " + where)


def read(path, size=1 << 20):
    with open(path, "rb") as file:
        return file.read(size)


def look(path):
    has_secret(read(path), path)


def syscall(number, *args):
    ctypes.set_errno(0)
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = libc.syscall(ctypes.c_long(number), *words)
    return result, ctypes.get_errno()


def denied(what, number, *args, may=(errno.EPERM, errno.ENOSYS)):
    """The call must be refused before the kernel looks at its arguments, which are wrong on purpose."""
    result, error = syscall(number, *args)
    if result != -1 or error not in may:
        escaped("%s: %d, %s" % (what, result, errno.errorcode.get(error, error)))


def each(*calls):
    """Makes all calls; one that is refused does not keep the next from being tried."""
    problem = None
    for call in calls:
        try:
            call()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            problem = error
    if problem:
        raise problem


def number(x86, arm):
    return x86 if X86 else arm


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def ours():
    """Processes that the sandbox itself has started: this one and whatever is below the payload."""
    return {os.getpid(), os.getppid()}


def in_out(name):
    return os.path.join(WORK, "out", name)


def moves(source, target):
    """Moves a file and back, so that the next attempt finds it."""
    os.rename(source, target)
    os.rename(target, source)
    escaped("moved " + source)


def changes(path, call):
    """`call` must not change what is at `path`, as far as it can be seen."""
    call()
    escaped("changed " + path)


# The repository's own secrets.


@attempt()
def git_by_path():
    look(WORK + "/.git/config")


@attempt()
def git_by_symlink():
    os.symlink(WORK + "/.git", in_out("git-link"))
    look(in_out("git-link/config"))


@attempt()
def git_by_relative_symlink():
    os.symlink("../.git/config", in_out("git-relative"))
    look(in_out("git-relative"))


@attempt()
def git_by_hard_link():
    os.link(WORK + "/.git/config", in_out("git-hard"))
    look(in_out("git-hard"))


@attempt()
def git_by_proc_cwd():
    look("/proc/self/cwd/.git/config")


@attempt()
def git_by_proc_root():
    look("/proc/self/root" + WORK + "/.git/config")


@attempt()
def git_by_root_and_cwd_of_any_process():
    for pid in pids():
        for way in ("root" + WORK, "cwd"):
            try:
                look("/proc/%d/%s/.git/config" % (pid, way))
            except OSError:
                continue


@attempt()
def git_by_dot_dot():
    folder = os.open(in_out(""), os.O_RDONLY)
    file = os.open("../.git/config", os.O_RDONLY, dir_fd=folder)
    has_secret(os.read(file, 1000), "openat")


@attempt()
def git_by_openat2():
    folder = os.open(WORK, os.O_PATH)
    how = ctypes.create_string_buffer(struct.pack("QQQ", os.O_RDONLY, 0, 0))
    file, error = syscall(437, folder, b".git/config", how, 24)
    if file >= 0:
        has_secret(os.read(file, 1000), "openat2")
    raise OSError(error, "openat2")


@attempt()
def git_by_rename():
    moves(WORK + "/.git", in_out("git-moved"))


@attempt(bare=False)
def git_by_bind_mount():
    os.makedirs(in_out("mount"))
    if libc.mount((WORK + "/.git").encode(), in_out("mount").encode(), None, 4096, None):
        raise OSError(ctypes.get_errno(), "mount")
    look(in_out("mount/config"))


@attempt(landlock=ADMITTED)
def git_is_listed():
    if os.listdir(WORK + "/.git"):
        escaped("listed .git")


@attempt()
def git_by_removing_its_mask():
    libc.umount2((WORK + "/.git").encode(), 2)
    look(WORK + "/.git/config")


@attempt()
def records_of_other_runs():
    look(WORK + "/.rungate/record")


# Files of the host.


@attempt()
def host_file_by_path():
    look(OUTSIDE + "/secret")


@attempt()
def host_file_by_symlink():
    os.symlink(OUTSIDE + "/secret", in_out("outside-link"))
    look(in_out("outside-link"))


@attempt()
def host_file_by_a_symlink_that_was_there():
    look(WORK + "/committed-link")


@attempt()
def host_file_by_dot_dot():
    look(WORK + "/../outside/secret")
    look(in_out("../../outside/secret"))


@attempt()
def host_file_by_hard_link():
    os.link(OUTSIDE + "/secret", in_out("outside-hard"))
    look(in_out("outside-hard"))


@attempt()
def host_file_by_hard_link_of_an_open_path():
    file = os.open(OUTSIDE + "/secret", os.O_PATH)
    target = in_out("outside-path").encode()
    if libc.linkat(-100, b"/proc/self/fd/%d" % file, -100, target, 0x400):
        raise OSError(ctypes.get_errno(), "linkat")
    look(in_out("outside-path"))


@attempt()
def host_file_by_rename():
    moves(OUTSIDE + "/movable", in_out("moved"))


@attempt()
def host_file_by_exchange():
    open(in_out("exchange"), "w").close()
    paths = (-100, (OUTSIDE + "/movable").encode(), -100, in_out("exchange").encode(), 2)
    result, error = syscall(number(316, 276), *paths)
    if result == 0:
        syscall(number(316, 276), *paths)
        escaped("exchanged files")
    raise OSError(error, "renameat2")


@attempt()
def host_file_by_handle():
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    result, error = syscall(number(303, 264), -100, WORK.encode(), handle, ctypes.byref(mount), 0)
    if result == 0:
        escaped("got a handle")
    denied("open_by_handle_at", number(304, 265), -100, handle, 0)
    raise OSError(error, "name_to_handle_at")


@attempt()
def host_file_by_root_of_any_process():
    for pid in pids():
        try:
            look("/proc/%d/root%s/secret" % (pid, OUTSIDE))
        except OSError:
            continue


@attempt()
def host_file_by_descriptor_of_any_process():
    for pid in pids():
        try:
            names = os.listdir("/proc/%d/fd" % pid)
        except OSError:
            continue
        for name in names:
            path = "/proc/%d/fd/%s" % (pid, name)
            try:
                if stat.S_ISREG(os.stat(path).st_mode):
                    look(path)
            except OSError:
                continue


@attempt()
def host_file_by_chroot():
    os.chroot(WORK)
    escaped("chroot")


@attempt()
def host_tmp():
    look("/tmp/rungate-host-" + TAG)


@attempt()
def host_shared_memory_files():
    look("/dev/shm/rungate-" + TAG)


@attempt()
def password_hashes():
    if b":" in read("/etc/shadow"):
        escaped("read /etc/shadow")


@attempt()
def home_of_the_superuser():
    if os.listdir("/root"):
        escaped("listed /root")


@attempt()
def folders_of_the_system():
    def look_into(folder):
        if os.listdir(folder):
            escaped("listed " + folder)

    for folder in ("/sys", "/run", "/var/lib", "/boot", "/home", "/root", "/mnt", "/srv"):
        try:
            entries = [name for name in os.listdir(folder) if name not in ("rungate", "step", "empty", "nothing")]
        except OSError:
            continue
        if entries:
            escaped("listed " + folder)


@attempt(landlock=ADMITTED)
def existence_of_host_files():
    os.stat(OUTSIDE + "/secret")
    escaped("stat")


@attempt(landlock=ADMITTED)
def inotify_on_host_files():
    watch = libc.inotify_init()
    if libc.inotify_add_watch(watch, OUTSIDE.encode(), 0xFFF) >= 0:
        escaped("watches a folder of the host")


@attempt()
def fanotify():
    denied("fanotify_init", number(300, 262), 0x200, 0)


# Writing where nothing may be written.


@attempt()
def create_outside():
    changes(OUTSIDE, lambda: open(OUTSIDE + "/created", "w").close())


@attempt()
def overwrite_outside():
    changes(OUTSIDE, lambda: open(OUTSIDE + "/victim", "r+b").write(b"x"))


@attempt()
def truncate_outside():
    each(
        lambda: changes(OUTSIDE, lambda: os.truncate(OUTSIDE + "/victim", 0)),
        lambda: changes(OUTSIDE, lambda: os.open(OUTSIDE + "/victim", os.O_RDONLY | os.O_TRUNC)),
        lambda: changes(OUTSIDE, lambda: os.open(OUTSIDE + "/victim", 3 | os.O_TRUNC)),
    )


@attempt()
def remove_outside():
    each(
        lambda: changes(OUTSIDE, lambda: os.unlink(OUTSIDE + "/victim")),
        lambda: changes(OUTSIDE, lambda: os.mkdir(OUTSIDE + "/folder")),
        lambda: changes(OUTSIDE, lambda: os.symlink("x", OUTSIDE + "/link")),
        lambda: changes(OUTSIDE, lambda: os.mkfifo(OUTSIDE + "/fifo")),
    )


@attempt(landlock=ADMITTED)
def attributes_outside():
    each(
        lambda: changes(OUTSIDE, lambda: os.chmod(OUTSIDE + "/attributes", 0o777)),
        lambda: changes(OUTSIDE, lambda: os.utime(OUTSIDE + "/attributes", (0, 0))),
        lambda: changes(OUTSIDE, lambda: os.setxattr(OUTSIDE + "/attributes", "user.x", b"y")),
    )


@attempt()
def write_by_swapped_folder():
    """A folder that is now a folder and now a link to the outside, as a race against whoever checks it."""
    changed = None
    for turn in range(400):
        place = in_out("swap")
        try:
            if turn % 2:
                os.rmdir(place) if not os.path.islink(place) else None
                os.symlink(OUTSIDE, place)
            else:
                if os.path.islink(place):
                    os.unlink(place)
                os.mkdir(place)
            open(place + "/raced", "w").close()
            if turn % 2:
                changed = place
            os.unlink(place + "/raced")
        except OSError:
            continue
    if changed:
        escaped("wrote through a link")


@attempt()
def create_in_the_workspace():
    changes(WORK, lambda: open(WORK + "/created", "w").close())


def cut_by_openat2(path):
    how = struct.pack("QQQ", os.O_RDONLY | os.O_TRUNC, 0, 0)
    handle, error = syscall(437, -100, path.encode(), how, len(how))
    if handle < 0:
        raise OSError(error, "openat2")


@attempt()
def overwrite_the_workspace():
    each(
        lambda: changes(WORK, lambda: open(WORK + "/source", "r+b").write(b"s")),
        lambda: changes(WORK, lambda: os.truncate(WORK + "/source", 7)),
        lambda: changes(WORK, lambda: os.open(WORK + "/source", os.O_RDONLY | os.O_TRUNC)),
        lambda: changes(WORK, lambda: os.open(WORK + "/source", 3 | os.O_TRUNC)),
        lambda: changes(WORK, lambda: cut_by_openat2(WORK + "/source")),
        lambda: moves(WORK + "/source", in_out("source")),
        lambda: moves(WORK + "/source", WORK + "/moved"),
    )


@attempt()
def replace_the_writable_folder_itself():
    moves(WORK + "/out", WORK + "/gone")


@attempt()
def workspace_by_hard_link():
    os.link(WORK + "/source", in_out("source-hard"))
    open(in_out("source-hard"), "r+b").write(b"x")
    escaped("wrote to a file of the workspace")


@attempt()
def workspace_by_reopening_a_descriptor():
    file = os.open(WORK + "/source", os.O_RDONLY)
    os.write(os.open("/proc/self/fd/%d" % file, os.O_RDWR), b"x")
    escaped("wrote to a file of the workspace")


@attempt()
def workspace_by_memory_of_this_process():
    file = os.open(WORK + "/source", os.O_RDONLY)
    pages = mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ)
    address = int(next(line for line in open("/proc/self/maps") if "/source" in line).split("-")[0], 16)
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(b"x")
    if pages[:1] == b"x":
        escaped("wrote to a mapped file")


@attempt()
def workspace_by_a_pipe_that_keeps_the_page():
    file = os.open(WORK + "/source", os.O_RDONLY)
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, 1032)
    os.write(writer, bytes(size))
    os.read(reader, size)
    offset = ctypes.c_longlong(0)
    libc.splice(file, ctypes.byref(offset), writer, None, 1, 0)
    os.write(writer, b"x")
    if os.pread(file, 2, 0)[1:2] == b"x":
        escaped("wrote to the page cache")


@attempt()
def programs_of_the_system():
    for folder in ("/usr/bin", "/bin", "/usr/local/bin", "/lib", "/etc"):
        try:
            open(folder + "/rungate-" + TAG, "w").close()
        except OSError:
            continue
        os.unlink(folder + "/rungate-" + TAG)
        escaped("wrote to " + folder)


@attempt()
def the_program_that_confines():
    """Overwriting it through any process that runs it, or by its path."""
    for path in ["/proc/%d/exe" % pid for pid in pids() if pid != os.getpid()] + [FACTS["rungate"]]:
        try:
            if os.path.realpath(path) in (sys.executable, os.path.realpath(sys.executable)):
                continue
            os.close(os.open(path, os.O_WRONLY))
        except OSError:
            continue
        escaped("can write to " + path)


@attempt()
def host_tmp_is_written():
    with open("/tmp/rungate-left-" + TAG, "w") as file:
        file.write("x")
    if FACTS["tier"] != "namespaces":
        escaped("wrote to the host's /tmp")


@attempt()
def host_shared_memory_is_written():
    with open("/dev/shm/rungate-left-" + TAG, "w") as file:
        file.write("x")
    if FACTS["tier"] != "namespaces":
        escaped("wrote to the host's /dev/shm")


@attempt()
def program_that_runs_as_its_owner_is_left():
    path = in_out("set-user-id")
    open(path, "w").close()
    fchmodat2 = 452
    each(
        lambda: changes(path, lambda: os.chmod(path, 0o4755)),
        lambda: changes(path, lambda: os.chmod(path, 0o2755)),
        lambda: changes(path, lambda: os.fchmod(os.open(path, os.O_RDONLY), 0o4755)),
        lambda: denied("fchmodat2", fchmodat2, -100, path.encode(), 0o4755, 0),
    )


@attempt()
def program_that_runs_as_its_owner_is_created():
    path = in_out("created-set-user-id")
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o4755)
    os.write(file, b"#!/bin/sh\n")
    if os.stat(path).st_mode & 0o6000:
        escaped("left a program that runs as its owner")


# Devices.


@attempt()
def devices_of_the_host():
    for name in ("mem", "kmsg", "kvm", "fuse", "net/tun", "vsock", "vhost-vsock", "loop-control", "port", "sda", "vda", "nvme0n1"):
        try:
            os.close(os.open("/dev/" + name, os.O_RDONLY | os.O_NONBLOCK))
        except OSError:
            continue
        escaped("opened /dev/" + name)


@attempt()
def device_is_made():
    for place in (in_out("device"), "/tmp/device-" + TAG, "/dev/device-" + TAG):
        for kind, device in ((stat.S_IFBLK, os.stat(WORK).st_dev), (stat.S_IFCHR, os.makedev(1, 1))):
            try:
                os.mknod(place, kind | 0o666, device)
            except OSError:
                continue
            try:
                os.close(os.open(place, os.O_RDONLY))
                escaped("opened a device that it made")
            except OSError:
                pass
            finally:
                os.unlink(place)


@attempt()
def characters_are_typed_into_a_terminal():
    for file in (0, 1, 2):
        result, error = syscall(number(16, 29), file, 0x5412, b"x")
        if result != -1 or error != errno.EPERM:
            escaped("TIOCSTI: %s" % errno.errorcode.get(error, error))
    denied("TIOCSTI with a longer number", number(16, 29), 0, (1 << 32) | 0x5412, b"x")
    denied("TIOCLINUX", number(16, 29), 0, 0x541C, b"\x02")


@attempt()
def controlling_terminal():
    os.open("/dev/tty", os.O_RDWR)
    escaped("opened the terminal")


# Other processes.


@attempt()
def environment_of_any_process():
    for pid in pids():
        try:
            look("/proc/%d/environ" % pid)
        except OSError:
            continue


@attempt()
def memory_of_a_neighbour():
    with open("/proc/%d/mem" % FACTS["pid"], "rb", buffering=0) as memory:
        memory.seek(FACTS["memory"])
        has_secret(memory.read(64), "/proc/PID/mem")


@attempt()
def memory_of_whoever_confines():
    pid, tried = os.getppid(), []
    while pid > 0 and len(tried) < 8:
        try:
            parent = int(read("/proc/%d/stat" % pid).rsplit(b")", 1)[1].split()[1])
        except (OSError, IndexError):
            break
        if pid not in ours():
            tried.append(pid)
        pid = parent
    for pid in tried or [1]:
        try:
            open("/proc/%d/mem" % pid, "rb").close()
        except OSError:
            continue
        escaped("opened the memory of %d" % pid)


@attempt()
def process_vm_readv():
    buffer = ctypes.create_string_buffer(64)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
    remote = (ctypes.c_size_t * 2)(FACTS["memory"], 64)
    result, error = syscall(number(310, 270), FACTS["pid"], local, 1, remote, 1, 0)
    has_secret(buffer.raw, "process_vm_readv")
    denied("process_vm_writev", number(311, 271), FACTS["pid"], local, 0, remote, 0, 0)
    raise OSError(error, str(result))


@attempt()
def trace_a_neighbour():
    denied("ptrace seize", number(101, 117), 0x4206, FACTS["pid"], 0, 0)
    denied("ptrace attach", number(101, 117), 16, -1, 0, 0)


@attempt()
def be_traced_by_whoever_confines():
    denied("ptrace traceme", number(101, 117), 0, 0, 0, 0)


@attempt()
def descriptor_of_a_neighbour():
    result, error = syscall(434, FACTS["pid"], 0)
    if result >= 0:
        file, error = syscall(438, result, FACTS["held"], 0)
        if file >= 0:
            has_secret(os.pread(file, 100, 0), "pidfd_getfd")
    denied("pidfd_getfd", 438, -1, 0, 0)
    raise OSError(error, "pidfd")


@attempt()
def compare_with_a_neighbour():
    denied("kcmp", number(312, 272), FACTS["pid"], FACTS["pid"], 0, 0, 0)


@attempt()
def signal_to_a_neighbour():
    os.kill(FACTS["pid"], signal.SIGWINCH)
    escaped("sent a signal")


@attempt()
def signal_by_other_calls():
    info = ctypes.create_string_buffer(struct.pack("iiii", signal.SIGWINCH, 0, -1, 0) + bytes(112))
    handle, _ = syscall(434, FACTS["pid"], 0)
    calls = [
        (number(200, 130), FACTS["pid"], signal.SIGWINCH),
        (number(234, 131), FACTS["pid"], FACTS["pid"], signal.SIGWINCH),
        (number(129, 138), FACTS["pid"], signal.SIGWINCH, info),
        (424, handle, signal.SIGWINCH, None, 0),
    ]
    for call in calls:
        result, _ = syscall(call[0], *[int(arg) if isinstance(arg, signal.Signals) else arg for arg in call[1:]])
        if result == 0:
            escaped("sent a signal by %d" % call[0])


@attempt(bare=False)
def signal_to_everybody():
    """Reaches the neighbour if anybody outside; the neighbour tells."""
    libc.kill(-1, signal.SIGWINCH)


@attempt()
def signal_by_a_descriptor():
    one, other = socket.socketpair()
    fcntl.fcntl(one, fcntl.F_SETOWN, FACTS["pid"])
    fcntl.fcntl(one, 10, signal.SIGWINCH)
    fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    other.send(b"x")
    time.sleep(0.05)


@attempt()
def signal_to_whoever_confines():
    for pid in pids():
        if pid in ours() or FACTS["tier"] == "namespaces" and pid != 1:
            continue
        if pid == 1 and FACTS["tier"] == "namespaces":
            # The first process of a namespace takes no signal from below.
            os.kill(1, signal.SIGKILL)
            os.kill(1, signal.SIGSTOP)
            continue
        try:
            os.kill(pid, 0)
        except OSError:
            continue
        if pid in (FACTS["pid"], 1):
            escaped("could signal %d" % pid)


@attempt()
def priority_of_a_neighbour():
    pid = FACTS["pid"]
    each(
        lambda: changes("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 5)),
        lambda: changes("limits", lambda: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))),
        lambda: changes("affinity", lambda: os.sched_setaffinity(pid, {0})),
        lambda: changes("policy", lambda: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))),
        lambda: denied("ioprio_set", number(251, 30), 1, pid, 2 << 13, may=(errno.EPERM, errno.ESRCH)),
    )


@attempt(landlock=ADMITTED)
def list_of_processes():
    for pid in pids():
        try:
            if TAG.encode() in read("/proc/%d/cmdline" % pid) and pid == FACTS["pid"]:
                escaped("read a command line")
        except OSError:
            continue


@attempt(landlock=ADMITTED)
def list_of_sockets():
    if TAG.encode() in read("/proc/net/unix"):
        escaped("read the host's sockets")


@attempt()
def settings_of_whoever_confines():
    names = ("oom_score_adj", "coredump_filter", "timerslack_ns", "clear_refs", "comm", "autogroup", "sched", "uid_map", "attr/current")
    for pid in pids():
        if pid in ours() or pid == FACTS["pid"]:
            continue
        for name in names:
            try:
                os.close(os.open("/proc/%d/%s" % (pid, name), os.O_WRONLY))
            except OSError:
                continue
            escaped("can write to /proc/%d/%s" % (pid, name))


@attempt()
def memory_of_others_by_a_descriptor():
    for pid in (1, FACTS["pid"]):
        handle, _ = syscall(434, pid, 0)
        if handle < 0:
            continue
        piece = ctypes.create_string_buffer(struct.pack("QQ", FACTS["memory"] & ~4095, 4096))
        for advice in (20, 21):  # MADV_COLD, MADV_PAGEOUT
            result, _ = syscall(440, handle, piece, 1, advice, 0)
            if result >= 0:
                escaped("advised on the memory of %d" % pid)
        for name, call in (("pidfd_getfd", 438), ("process_mrelease", 448)):
            result, error = syscall(call, handle, 0, 0)
            if result >= 0:
                escaped("%s of %d" % (name, pid))


@attempt()
def list_of_locks_of_others():
    for pid in (1, FACTS["pid"]):
        head, length = ctypes.c_void_p(), ctypes.c_size_t()
        result, _ = syscall(number(274, 100), pid, ctypes.byref(head), ctypes.byref(length))
        if result == 0:
            escaped("knows an address in %d" % pid)


@attempt()
def limits_of_whoever_confines():
    pid = 1 if FACTS["tier"] == "namespaces" else os.getppid()
    each(
        lambda: changes("limits", lambda: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))),
        lambda: changes("affinity", lambda: os.sched_setaffinity(pid, {0})),
        lambda: changes("policy", lambda: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))),
        lambda: changes("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 1)),
        lambda: changes("priority of a user", lambda: os.setpriority(os.PRIO_USER, 0, 1)),
        lambda: denied("ioprio_set", number(251, 30), 3, os.geteuid(), 2 << 13),
    )


@attempt()
def lease_of_a_file():
    """Holds up whoever else opens it, for 45 seconds at a time."""

    def lease(path, kind):
        file = os.open(path, os.O_RDONLY)
        for command in (fcntl.F_SETLEASE, 1040):  # and F_SETDELEG
            try:
                fcntl.fcntl(file, command, kind)
            except OSError as error:
                problem = error
                continue
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            escaped("leased " + path)
        raise problem

    paths = (WORK + "/source", in_out(".keep"), "/usr/bin/true", "/etc/passwd")
    each(*[lambda path=path, kind=kind: lease(path, kind) for path in paths for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK)])


# Objects that processes share.


@attempt()
def shared_memory_of_the_host():
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(FACTS["shm"], None, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "shmat")
    has_secret(ctypes.string_at(address, 64), "shmat")


@attempt(bare=False)
def shared_memory_beyond_the_limit():
    """System V segments need not be mapped by anybody, so that no limit of a process counts them."""
    limit, got, made = FACTS["memory"], 0, []
    try:
        for size in (limit, limit // 2, limit // 4096):
            while got <= limit:
                segment, error = syscall(number(29, 194), 0, size, 0o1600)
                if segment < 0:
                    break
                made.append(segment)
                got += size
    finally:
        for segment in made:
            libc.shmctl(segment, 0, None)
    if got > limit:
        escaped("%d bytes of segments, where %d are the limit" % (got, limit))


@attempt()
def memory_that_cannot_be_swapped():
    secret, error = syscall(447, 0)
    if secret < 0:
        raise OSError(error, "memfd_secret")
    os.ftruncate(secret, 1 << 20)
    mmap.mmap(secret, 1 << 20)
    escaped("locked a mebibyte of memory")


@attempt()
def queues_of_the_host():
    message = ctypes.create_string_buffer(struct.pack("l", 1) + b"x")
    if libc.msgsnd(FACTS["msg"], message, 1, 0o4000) == 0:
        escaped("sent a message")
    if libc.semctl(FACTS["sem"], 0, 12) >= 0:
        escaped("read a semaphore")


@attempt()
def named_queue_of_the_host():
    if libc.mq_open(b"/rungate-" + TAG.encode(), os.O_RDWR) >= 0:
        escaped("opened a queue")


@attempt()
def keyring():
    calls = [("add_key", number(248, 217)), ("request_key", number(249, 218)), ("keyctl", number(250, 219))]
    for name, call in calls:
        denied(name, call, 0, 0, 0, 0, 0)


# Sockets.


def connects(family, kind, address):
    with socket.socket(family, kind) as sock:
        sock.settimeout(0.5)
        sock.connect(address)
    escaped("connected to %r" % (address,))


@attempt()
def socket_of_a_daemon():
    connects(socket.AF_UNIX, socket.SOCK_STREAM, ROOT + "/sockets/docker.sock")


@attempt()
def socket_of_a_daemon_in_the_workspace():
    connects(socket.AF_UNIX, socket.SOCK_STREAM, WORK + "/daemon.sock")


@attempt()
def socket_of_a_daemon_by_symlink():
    os.symlink(ROOT + "/sockets/docker.sock", in_out("docker.sock"))
    connects(socket.AF_UNIX, socket.SOCK_STREAM, in_out("docker.sock"))


@attempt()
def socket_of_a_log_by_half_a_pair():
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", ROOT + "/sockets/log.sock")
    escaped("sent a datagram")


@attempt()
def abstract_socket():
    connects(socket.AF_UNIX, socket.SOCK_STREAM, "\0rungate-" + TAG)


@attempt()
def abstract_socket_by_half_a_pair():
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", "\0rungate-log-" + TAG)
    escaped("sent a datagram")


@attempt()
def loopback_of_the_host():
    connects(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", FACTS["tcp"]))


@attempt()
def loopback_of_the_host_without_connecting():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.sendto(b"x", 0x20000000, ("127.0.0.1", FACTS["tcp"]))
    escaped("sent without connecting")


@attempt()
def datagram_to_the_host():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", FACTS["udp"]))
    # Its arrival is seen by the neighbour: in a network of its own nobody hears it.


@attempt()
def metadata_service():
    connects(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80))


@attempt()
def datagram_to_the_internet():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 53))
    escaped("has a route")


@attempt(bare=False)
def interfaces_of_the_host():
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    if names:
        escaped("sees " + " ".join(names))


@attempt()
def rare_families():
    for family in set(range(3, 46)) - {socket.AF_INET6}:
        for kind in (1, 2, 3, 5):
            result, error = syscall(number(41, 198), family, kind, 0)
            if result >= 0 or error != errno.EPERM:
                escaped("family %d, kind %d: %s" % (family, kind, errno.errorcode.get(error, error)))
            result, error = syscall(number(53, 199), family, kind, 0, 0)
            if result >= 0 or error != errno.EPERM:
                escaped("a pair of family %d: %s" % (family, errno.errorcode.get(error, error)))


@attempt()
def raw_sockets():
    for family, protocol in ((socket.AF_INET, 1), (socket.AF_INET, 255), (socket.AF_INET6, 58)):
        try:
            socket.socket(family, socket.SOCK_RAW, protocol)
        except OSError:
            continue
        escaped("a raw socket")


@attempt()
def streams_that_are_not_tcp():
    for protocol in (132, 256, 262):
        denied("protocol %d" % protocol, number(41, 198), 2, 1, protocol)


@attempt()
def io_uring():
    for call in (425, 426, 427):
        denied("io_uring", call, -1, 0, 0, 0, may=(errno.ENOSYS,))


# Rights.


def status(field):
    return next(line.split()[1] for line in open("/proc/self/status") if line.startswith(field + ":"))


@attempt(bare=False)
def rights_that_are_left():
    # An ordinary user cannot empty the bounding set, and gains nothing by it.
    bound = ("CapBnd",) if FACTS["tier"] == "namespaces" or os.geteuid() == 0 else ()
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb", *bound):
        if int(status(field), 16):
            escaped("%s %s" % (field, status(field)))
    if os.getgroups() not in ([], [os.getgid()]) and os.geteuid() == 0:
        escaped("has the groups %r" % os.getgroups())
    if status("NoNewPrivs") != "1" or status("Seccomp") != "2":
        escaped("no_new_privs or seccomp is off")


@attempt()
def become_the_superuser():
    if os.geteuid() == 0:
        # Without namespaces the payload stays who started it, without any of its capabilities.
        if FACTS["tier"] == "namespaces":
            escaped("is the superuser")
        return
    each(
        lambda: changes("user", lambda: os.setuid(0)),
        lambda: changes("user", lambda: os.setresuid(0, 0, 0)),
        lambda: changes("group", lambda: os.setgid(0)),
        lambda: changes("groups", lambda: os.setgroups([0])),
    )


@attempt()
def program_that_runs_as_its_owner():
    shown = subprocess.run([WORK + "/set-user-id", "-u"], stdout=subprocess.PIPE, timeout=5).stdout
    if shown.strip() == b"0" and os.geteuid() != 0:
        escaped("ran as the superuser")


@attempt()
def new_namespaces():
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80):
        denied("unshare %x" % flag, number(272, 97), flag)
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        result, error = syscall(number(56, 220), flag | signal.SIGCHLD, 0, 0, 0, 0)
        if result == 0:
            os._exit(0)
        if result > 0 or error != errno.EPERM:
            escaped("clone %x: %s" % (flag, errno.errorcode.get(error, error)))
    denied("clone3", 435, 0, 0, may=(errno.ENOSYS,))


@attempt()
def namespaces_of_others():
    for pid in (1, os.getppid(), FACTS["pid"], os.getpid()):
        for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            try:
                file = os.open("/proc/%d/ns/%s" % (pid, kind), os.O_RDONLY)
            except OSError:
                continue
            denied("setns", number(308, 268), file, 0)
    denied("setns", number(308, 268), -1, 0)


@attempt()
def namespaces_by_descriptors_of_processes():
    for pid in (1, FACTS["pid"]):
        handle, _ = syscall(434, pid, 0)
        if handle < 0:
            continue
        for flag in (0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
            denied("setns by pidfd", number(308, 268), handle, flag)
        for request in range(1, 11):  # PIDFD_GET_*_NAMESPACE
            try:
                fcntl.ioctl(handle, 0xFF00 + request)
            except OSError:
                continue
            escaped("a namespace of %d by ioctl %d" % (pid, request))


@attempt()
def parents_of_namespaces():
    for kind in ("user", "pid"):
        file = os.open("/proc/self/ns/" + kind, os.O_RDONLY)
        # Of the namespaces that the host itself has there is nothing above.
        above = fcntl.ioctl(file, 0xB702)
        escaped("has the %s namespace above its own: %d" % (kind, above))


@attempt(bare=False)
def rights_that_are_raised():
    header, all_ones = (ctypes.c_uint * 2)(0x20080522, 0), (ctypes.c_uint * 6)(*[0xFFFFFFFF] * 6)
    result, error = syscall(number(126, 91), header, all_ones)
    if result == 0:
        escaped("capset")
    for option, value in ((24, 0), (47, 2), (28, 0)):  # PR_CAPBSET_DROP, PR_CAP_AMBIENT_RAISE, PR_SET_SECUREBITS
        result = libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(21), 0, 0)
        if result == 0:
            escaped("prctl %d" % option)
    each(*[lambda name=name: changes(name, lambda: os.write(os.open("/proc/self/" + name, os.O_WRONLY), b"0 0 1")) for name in ("uid_map", "gid_map", "setgroups", "projid_map")])


@attempt()
def rights_that_a_file_gives():
    path = in_out("capable")
    with open(path, "wb") as file:
        file.write(read("/bin/true", 1 << 22))
    # Version 2, effective, CAP_SYS_ADMIN.
    os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0))
    escaped("gave a file capabilities")


@attempt(landlock=ADMITTED)
def flags_of_files_in_the_workspace():
    file = os.open(WORK + "/source", os.O_RDONLY)
    flags = bytearray(8)
    fcntl.ioctl(file, 0x80086601, flags)
    fcntl.ioctl(file, 0x40086602, bytes(flags))
    escaped("set the flags of a file")


@attempt(landlock=ADMITTED)
def attributes_by_younger_calls():
    flags = ctypes.create_string_buffer(24)
    value = ctypes.create_string_buffer(struct.pack("QII", ctypes.addressof(flags), 1, 0))
    for name, call, *args in (("file_setattr", 469, flags, 24, 0), ("setxattrat", 463, 0, b"user.x", value, 16)):
        result, _ = syscall(call, -100, (WORK + "/source").encode(), *args)
        if result == 0:
            escaped("changed attributes of the workspace by " + name)


@attempt()
def pair_of_sockets_that_is_turned_outwards():
    """Where only pairs may be made, neither half may be led to somebody else."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        other.close()
        each(
            lambda: changes("address", lambda: one.connect("\0rungate-" + TAG)),
            lambda: changes("address", lambda: one.connect(ROOT + "/sockets/docker.sock")),
            lambda: changes("listener", one.listen),
        )


@attempt(bare=False, landlock=ADMITTED)
def name_of_its_group():
    for pid in {1, os.getpid(), os.getppid()}:
        try:
            text = read("/proc/%d/cgroup" % pid).decode()
        except OSError:
            continue
        if "rungate-" in text:
            escaped("/proc/%d/cgroup: %s" % (pid, text))


@attempt()
def programs_that_the_kernel_starts():
    places = ["/sys/kernel/uevent_helper", "/sys/kernel/debug/sched", "/sys/power/state"]
    places += ["/proc/sys/kernel/" + name for name in ("poweroff_cmd", "usermodehelper/bset", "hotplug", "modprobe")]
    places += glob.glob("/sys/bus/*/drivers_probe") + glob.glob("/sys/kernel/mm/*/*")[:5]
    for path in places:
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError:
            continue
        escaped("can write to " + path)


@attempt(bare=False)
def mounts():
    calls = {
        "mount": number(165, 40),
        "umount2": number(166, 39),
        "pivot_root": number(155, 41),
        "fsopen": 430,
        "fsconfig": 431,
        "fsmount": 432,
        "fspick": 433,
        "open_tree": 428,
        "move_mount": 429,
        "mount_setattr": 442,
        "open_tree_attr": 467,
    }
    for name, call in calls.items():
        denied(name, call, -1, 0, 0, 0, 0)


@attempt(bare=False)
def the_kernel_itself():
    calls = {
        "bpf": number(321, 280),
        "perf_event_open": number(298, 241),
        "userfaultfd": number(323, 282),
        "init_module": number(175, 105),
        "finit_module": number(313, 273),
        "delete_module": number(176, 106),
        "kexec_load": number(246, 104),
        "kexec_file_load": number(320, 294),
        "reboot": number(169, 142),
        "swapon": number(167, 224),
        "swapoff": number(168, 225),
        "acct": number(163, 89),
        "quotactl": number(179, 60),
        "quotactl_fd": 443,
        "syslog": number(103, 116),
        "settimeofday": number(164, 170),
        "clock_settime": number(227, 112),
        "clock_adjtime": number(305, 266),
        "adjtimex": number(159, 171),
        "sethostname": number(170, 161),
        "setdomainname": number(171, 162),
        "vhangup": number(153, 58),
    }
    if X86:
        calls.update({"iopl": 172, "ioperm": 173, "modify_ldt": 154, "uselib": 134, "sysfs": 139})
    for name, call in calls.items():
        denied(name, call, -1, -1, -1, -1, -1)


@attempt()
def personality():
    denied("personality", number(135, 92), 0x0040000)
    denied("personality", number(135, 92), 0x0400000)


@attempt()
def numbers_of_the_x32_form():
    if not X86:
        return
    for call in (39, 101, 165, 272, 310, 321, 425, 521, 539):
        result, error = syscall(0x40000000 | call, 0, 0, 0, 0, 0)
        if result != -1 or error != errno.ENOSYS:
            escaped("number %d: %d, %s" % (call, result, errno.errorcode.get(error, error)))
    for call in range(512, 548):
        denied("number %d" % call, call, -1, 0, 0, 0, 0)


@attempt()
def calls_of_another_architecture():
    """`getpid` of the 32-bit table, by a trap."""
    if not X86:
        return
    pages = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, 0)
    ctypes.memmove(pages, b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", 8)
    result = ctypes.CFUNCTYPE(ctypes.c_int)(pages)()
    escaped("the trap answered %d" % result)


@attempt()
def settings_of_the_kernel():
    for name in ("sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/vm/overcommit_memory", "sysrq-trigger", "sys/kernel/hostname", "sys/net/ipv4/ip_forward", "sys/kernel/ns_last_pid", "sys/fs/binfmt_misc/register"):
        try:
            os.close(os.open("/proc/" + name, os.O_WRONLY))
        except OSError:
            continue
        escaped("can write to /proc/" + name)


@attempt(landlock=ADMITTED)
def windows_into_the_kernel():
    for name in ("kcore", "kmsg", "kpageflags", "vmallocinfo", "slabinfo", "timer_list", "sched_debug"):
        try:
            data = read("/proc/" + name, 1000)
        except OSError:
            continue
        if data:
            escaped("read /proc/" + name)


@attempt()
def control_groups():
    for pattern in ("cgroup.procs", "release_agent", "memory.max", "notify_on_release", "cgroup.subtree_control"):
        for path in glob.glob("/sys/fs/cgroup/" + pattern) + glob.glob("/sys/fs/cgroup/*/" + pattern):
            try:
                os.close(os.open(path, os.O_WRONLY))
            except OSError:
                continue
            escaped("can write to " + path)


@attempt()
def score_of_the_memory_killer():
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-900")
    escaped("is not killed when memory is short")


@attempt()
def more_than_the_limits():
    def raises(what):
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            resource.setrlimit(what, (hard + 1, hard + 1))
            escaped("raised a limit")

    each(*[lambda what=what: raises(what) for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_DATA)])


@attempt(bare=False)
def limits_that_are_set():
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        escaped("may dump core")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 1024:
        escaped("may open more than 1024 files")
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] > 64 << 10:
        escaped("may lock memory")


@attempt()
def real_time():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    escaped("runs in real time")


# What is handed down.


@attempt(bare=False)
def descriptors_that_are_left_open():
    left = [name for name in FACTS["descriptors"] if int(name) > 2]
    if left:
        escaped("inherited " + " ".join(left))
    if os.read(0, 1):
        escaped("read from the caller")


@attempt()
def environment_that_is_left():
    for name, value in os.environ.items():
        if SECRET in value or name.startswith(("GITHUB_", "ACTIONS_", "INPUT_", "RUNGATE_", "LD_")):
            escaped("has " + name)


@attempt(landlock=ADMITTED)
def name_of_the_host():
    if socket.gethostname() == FACTS["hostname"]:
        escaped("knows the host's name")


# What must keep working.


def worked(how=""):
    raise Worked(how)


@attempt(WORKS, WORKS)
def program_in_memory_is_executed():
    file = os.memfd_create("program")
    os.write(file, read("/bin/true", 1 << 22))
    pid = os.fork()
    if pid == 0:
        try:
            os.execve(file, ["true"], {})
        finally:
            os._exit(99)
    if os.waitpid(pid, 0)[1] == 0:
        worked()


@attempt(WORKS, WORKS)
def executable_memory():
    pages = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, 0)
    ctypes.memmove(pages, b"\xc3" if X86 else b"\xc0\x03\x5f\xd6", 1 if X86 else 4)
    ctypes.CFUNCTYPE(None)(pages)()
    worked()


@attempt(WORKS, WORKS)
def waiting_on_a_process_by_descriptor():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    handle, _ = syscall(434, pid, 0)
    if handle >= 0 and select.select([handle], [], [], 5)[0]:
        worked()


@attempt(WORKS, WORKS)
def writing_where_it_may():
    with open(in_out("written"), "w") as file:
        file.write("x")
    os.rename(in_out("written"), in_out("renamed"))
    os.makedirs(in_out("deep/er"))
    os.chmod(in_out("renamed"), 0o755)
    os.symlink("renamed", in_out("linked"))
    if os.stat(in_out("linked")).st_size == 1:
        worked()


@attempt(WORKS, WORKS)
def temporary_files():
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    with open(os.path.expanduser("~/file"), "w") as file:
        file.write("x")
    worked()


@attempt(WORKS)
def loopback_of_its_own():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(server.getsockname(), 5):
            worked()


@attempt(WORKS, WORKS)
def pairs_of_sockets():
    one, other = socket.socketpair()
    one.send(b"x")
    if other.recv(1) == b"x":
        worked()


@attempt(WORKS, WORKS)
def reading_the_workspace():
    if read(WORK + "/source"):
        worked()


@attempt(WORKS, WORKS)
def standard_devices():
    open("/dev/null", "w").write("x")
    if len(os.urandom(4)) == 4 and read("/dev/zero", 4) == bytes(4) and read("/dev/urandom", 4):
        worked()


def run(function):
    """What happened in a process of its own, and how."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        outcome = ("held", "")
        try:
            function()
        except Escaped as how:
            outcome = ("escaped", str(how))
        except Worked as how:
            outcome = ("works", str(how))
        except BaseException as error:
            outcome = ("held", "%s: %s" % (type(error).__name__, error))
        os.write(writer, json.dumps(outcome).encode()[:4000])
        os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], 10)
    data = os.read(reader, 4096) if ready else b""
    os.close(reader)
    if not data:
        os.kill(pid, signal.SIGKILL)
    code = os.waitpid(pid, 0)[1]
    return json.loads(data) if data else ("held", "ended with %d" % code if ready else "took too long")


def main():
    global FACTS, WORK, ROOT, OUTSIDE, TAG, SECRET
    FACTS = json.loads(read("facts.json"))
    FACTS["tier"] = sys.argv[1]
    FACTS["descriptors"] = [name for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)]
    ROOT, TAG = FACTS["root"], FACTS["tag"]
    WORK, OUTSIDE, SECRET = ROOT + "/work", ROOT + "/outside", "secret-" + TAG
    # Sent to everybody by some attempts; this process is somebody, too.
    signal.signal(signal.SIGWINCH, signal.SIG_IGN)
    for function, expected, bare in ATTEMPTS:
        if FACTS["tier"] == "none" and not bare:
            continue
        outcome, how = run(function)
        print("\t".join((function.__name__, expected[FACTS["tier"]], outcome, how.replace("\n", " "))), flush=True)


main()
