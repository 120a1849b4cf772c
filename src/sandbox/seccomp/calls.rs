//! System calls by what they are denied for. Numbers only; what is done about them is decided one file up.

use libc::c_long;

/// The newest call that was looked at: `file_setattr` of Linux 6.17. From 424 on, numbers are the same everywhere.
pub(super) const NEWEST: u32 = 469;

/// Calls that the payload is told do not exist, so that it falls back to an older one.
pub(super) const ABSENT: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

// Younger than the C library's list.
const MEMFD_SECRET: c_long = 447;
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;
const OPEN_TREE_ATTR: c_long = 467;

#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: c_long = 320;
#[cfg(not(target_arch = "x86_64"))]
const KEXEC_FILE_LOAD: c_long = 294;

/// Calls that no payload makes, whatever their arguments.
pub(super) const ALWAYS: &[c_long] = &[
    // Mounts and the root folder.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    STATMOUNT,
    LISTMOUNT,
    // Namespaces; `clone` is looked at by its flags.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Other processes. `pidfd_open` stays: waiting on one is harmless, and a supervisor without it hangs.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Memory that is never swapped out, without being counted as locked on every kernel.
    MEMFD_SECRET,
    // Keys: a keyring of the user is shared by all that it runs.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Programs in the kernel, and what has helped to exploit it.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    // Files by handle pass by every path; marks of fanotify watch whole file systems.
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // The host as a whole.
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_syslog,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// Requests of `ioctl` that put words into a terminal: TIOCSTI and TIOCLINUX. By number, because the C libraries do not
/// agree on their type.
pub(super) const TERMINAL_INJECTIONS: [u32; 2] = [0x5412, 0x541C];

/// Commands of `fcntl` that lease a file: `F_SETLEASE`, and `F_SETDELEG` of Linux 6.19. Whoever else opens that file is held
/// up until the lease is given back or the kernel loses patience, which is 45 seconds by default; being the owner of a file
/// that can only be read is enough to take one.
pub(super) const LEASES: [u32; 2] = [0x400, 0x410];

/// Flags by which `clone` makes namespaces. The one for time shares its bit with the signal of `clone`, which can
/// therefore not make one.
pub(super) const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .unsigned_abs();

/// Flags of opening that say whether a file is read, written, both (2) or neither (3). By number, because the C libraries do
/// not agree on the mask.
pub(super) const ACCESS: u32 = 3;

/// Calls that open a file by flags that a filter can see, each with the number of the argument that holds them.
pub(super) const OPEN: &[(c_long, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
    (libc::SYS_openat, 2),
];

const FCHMODAT2: c_long = 452;

/// Calls that set a file's mode, each with the number of the argument that holds it. Creating a file with a mode need not
/// be here: the bits that change the user fall at the first byte that is written to it.
pub(super) const SET_MODE: &[(c_long, u8)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
];

/// Protocols of internet sockets that carry streams without being TCP, so that a rule about TCP ports would not see
/// them; all of them rare and with a history.
pub(super) const RARE_PROTOCOLS: [u32; 5] = [
    33,  // DCCP
    132, // SCTP
    136, // UDP-Lite
    256, // SMC
    262, // MPTCP
];

/// Objects that are found by a number or a name that all processes of the host share.
pub(super) const SHARED_IPC: &[c_long] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmdt,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Calls whose first argument is a process, 0 being the caller.
pub(super) const OF_A_PROCESS: [c_long; 5] = [
    libc::SYS_prlimit64,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setattr,
];
