"""A virtual machine: its first file system, its disks, and what it says.

The machine is emulated, so that it runs where the processor's own virtualisation is not to be had.
"""

import lzma
import subprocess
import tarfile
import time
from pathlib import Path

# In the order in which they need one another. A kernel has some of them built in.
MODULES = (
    "virtio",
    "virtio_ring",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_blk",
    "crc16",
    "libcrc32c",
    "crc32c_generic",
    "crc32c-cryptoapi",
    "mbcache",
    "jbd2",
    "ext4",
)

# What the machine has no use for is left out: it waits for nothing, and the processor's old faults are not its own.
PARAMETERS = (
    "console=ttyS0",
    "loglevel=4",
    "mitigations=off",
    "panic=-1",
    "systemd.getty_auto=0",
    # On the disk, whose owners every kernel can map.
    "systemd.mask=tmp.mount",
    "systemd.show_status=0",
)

# Without `cx16`: with it, Linux 6.12 sometimes died under qemu 7.2, its flags having become garbage; without it, never.
PROCESSOR = "Nehalem,-cx16"

INIT = """#!/busybox sh
/busybox mount -t devtmpfs devtmpfs /dev
for module in MODULES; do /busybox insmod "/$module.ko"; done
/busybox mount -t ext4 /dev/vda /root && /busybox tar -C /root -xf /dev/vdb || /busybox poweroff -f
exec /busybox switch_root /root /usr/lib/systemd/systemd
"""


def first_files(modules, busybox):
    """An archive with what the kernel needs until it has its disk. `modules` is a folder of the kernel's package."""
    found = {path.name.split(".")[0]: path for path in sorted(modules.rglob("*.ko*"))}
    parts = [(name, found[name]) for name in MODULES if name in found]
    init = INIT.replace("MODULES", " ".join(name for name, _ in parts))
    files = [("init", init.encode()), ("busybox", busybox.read_bytes())]
    for name, path in parts:
        data = path.read_bytes()
        files.append((f"{name}.ko", lzma.decompress(data) if path.suffix == ".xz" else data))
    entries = [entry("dev", 0o040755, b""), *(entry(name, 0o100755, data) for name, data in files)]
    return b"".join([*entries, entry("TRAILER!!!", 0, b"")])


def entry(name, mode, data):
    """One file of an archive in cpio's format `newc`."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return padded(head, 4) + padded(data, 4)


def padded(data, to):
    return data + bytes(-len(data) % to)


class Machine:
    """One machine, from its start to the end of its tests."""

    def __init__(self, kernel, disk, busybox, payload, folder):
        """`payload` is a folder whose files come onto its disk."""
        self.said, self.console = folder / "said", folder / "console"
        initrd, brought = folder / "initrd", folder / "brought.tar"
        initrd.write_bytes(first_files(kernel / "modules", busybox))
        with tarfile.open(brought, "w") as archive:
            archive.add(payload, ".")
        with open(brought, "ab") as out:
            out.write(bytes(-brought.stat().st_size % 512))
        drives = [f"file={path},format=raw,if=virtio,snapshot=on" for path in (disk, brought)]
        self.command = [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", PROCESSOR, "-smp", "1", "-m", "1536"),
            *("-nodefaults", "-display", "none", "-no-reboot", "-nic", "none"),
            *("-kernel", kernel / "vmlinuz", "-initrd", initrd),
            *("-append", " ".join(PARAMETERS)),
            *("-serial", f"file:{self.console}", "-serial", f"file:{self.said}"),
            *(word for drive in drives for word in ("-drive", drive)),
        ]

    def run(self, seconds):
        """Runs it to its end, and returns what its tests said. Says where it stood when its time is up."""
        started = time.monotonic()
        process = subprocess.Popen(self.command)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return self.text(self.said), self.text(self.console), time.monotonic() - started

    @staticmethod
    def text(path):
        return Path(path).read_text(errors="replace") if Path(path).exists() else ""
