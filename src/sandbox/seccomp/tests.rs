//! The filter against the real kernel: a forked child installs it and makes the calls.

#![expect(unsafe_code, reason = "makes system calls that no safe wrapper would")]
#![expect(clippy::cast_possible_truncation, reason = "the halves of arguments")]

use std::ffi::c_long;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use proptest::prelude::*;

use super::*;

const NAMESPACES: Rules = Rules {
    tier: Tier::Namespaces,
    network: Network::None,
    some_ports: false,
    unix_sockets: true,
    segment: 1 << 19,
    uncut: false,
};
const LANDLOCK: Rules = Rules {
    tier: Tier::Landlock,
    network: Network::None,
    some_ports: false,
    unix_sockets: false,
    segment: 0,
    uncut: false,
};

/// A call and what it must answer; 0 for anything but EPERM and ENOSYS of the filter.
type Row = (c_long, [c_long; 5], i32);

/// Runs `rows` in a child under the filter of `rules`; the first one that answers otherwise, if any.
fn first_wrong(rules: Rules, rows: &[Row]) -> Option<usize> {
    let program = program(rules).unwrap();
    // SAFETY: the child makes system calls only and allocates nothing.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let code = if program.install().is_err() {
                251
            } else {
                let wrong = |&(number, [a, b, c, d, e], expected): &Row| {
                    // SAFETY: every row is a call that fails or changes nothing but this child.
                    let result = unsafe { libc::syscall(number, a, b, c, d, e, 0) };
                    let errno = if result == -1 { Errno::last_raw() } else { 0 };
                    let denied = errno == libc::EPERM || errno == libc::ENOSYS;
                    if expected == 0 { denied } else { errno != expected }
                };
                rows.iter().position(wrong).unwrap_or(250)
            };
            // SAFETY: ends the child without the parent's clean-up.
            unsafe { libc::_exit(i32::try_from(code).unwrap_or(252)) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, 250) => None,
            WaitStatus::Exited(_, code @ 0..250) => Some(usize::try_from(code).unwrap()),
            other => panic!("{other:?}"),
        },
    }
}

fn check(rules: Rules, rows: &[Row]) {
    // The child's answer is an exit code.
    for rows in rows.chunks(200) {
        if let Some(wrong) = first_wrong(rules, rows) {
            panic!("{rules:?}: {:?}", rows[wrong]);
        }
    }
}

const BAD: c_long = -1;
const SIGCHLD: c_long = libc::SIGCHLD as c_long;

#[test]
fn every_listed_call_fails_without_the_kernel_having_seen_it() {
    for rules in [NAMESPACES, LANDLOCK] {
        let rows: Vec<Row> = calls::ALWAYS.iter().map(|&number| (number, [BAD; 5], libc::EPERM)).collect();
        check(rules, &rows);
        let rows: Vec<Row> = calls::ABSENT.iter().map(|&number| (number, [BAD; 5], libc::ENOSYS)).collect();
        check(rules, &rows);
    }
}

#[test]
fn numbers_nobody_has_looked_at_do_not_exist_and_x32_is_among_them() {
    let x32 = 0x4000_0000;
    let mut rows: Vec<Row> = (470..560).map(|number| (number, [BAD; 5], libc::ENOSYS)).collect();
    rows.extend(calls::ALWAYS.iter().map(|&number| (number | x32, [BAD; 5], libc::ENOSYS)));
    rows.extend((512..548).map(|number| (number | x32, [BAD; 5], libc::ENOSYS)));
    rows.push((libc::SYS_socket | x32, [1, 1, 0, 0, 0], libc::ENOSYS));
    check(NAMESPACES, &rows);
}

#[test]
fn arguments_decide_where_a_call_has_honest_uses() {
    // The kernel looks at the lower half of these registers only.
    let high = 1 << 40;
    let mut rows: Vec<Row> = vec![
        (libc::SYS_ioctl, [0, 0x5412, 0, 0, 0], libc::EPERM),
        (libc::SYS_ioctl, [0, 0x5412 | high, 0, 0, 0], libc::EPERM),
        (libc::SYS_ioctl, [0, 0x541C, 0, 0, 0], libc::EPERM),
        (libc::SYS_ioctl, [BAD, 0x5401, 0, 0, 0], 0),
        (libc::SYS_fcntl, [BAD, 0x400, 0, 0, 0], libc::EPERM),
        (libc::SYS_fcntl, [BAD, 0x410 | high, 0, 0, 0], libc::EPERM),
        (libc::SYS_fcntl, [BAD, 0x401, 0, 0, 0], 0),
        (libc::SYS_personality, [0xFFFF_FFFF, 0, 0, 0, 0], 0),
        (libc::SYS_personality, [0, 0, 0, 0, 0], 0),
        (libc::SYS_personality, [0x0040_0000, 0, 0, 0, 0], libc::EPERM),
        (libc::SYS_personality, [0x0004_0000, 0, 0, 0, 0], libc::EPERM),
        // A thread without memory of its own is refused by the kernel itself, later.
        (libc::SYS_clone, [0x0001_0000, 0, 0, 0, 0], 0),
        (libc::SYS_pidfd_open, [1, 0, 0, 0, 0], 0),
        (libc::SYS_memfd_create, [0, 0, 0, 0, 0], 0),
        (libc::SYS_seccomp, [2, 0, 0, 0, 0], 0),
        (libc::SYS_landlock_create_ruleset, [0, 0, 1, 0, 0], 0),
    ];
    let flags = [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];
    for flag in flags {
        rows.push((libc::SYS_clone, [flag | SIGCHLD, 0, 0, 0, 0], libc::EPERM));
        rows.push((libc::SYS_clone, [flag | high | SIGCHLD, 0, 0, 0, 0], libc::EPERM));
        rows.push((libc::SYS_clone, [flag | 0x1000_0000 | SIGCHLD, 0, 0, 0, 0], libc::EPERM));
    }
    for &(number, mode) in calls::SET_MODE {
        for (bits, errno) in [(0o755, 0), (0o1777, 0), (0o4755, libc::EPERM), (0o2755, libc::EPERM)] {
            let mut arguments = [BAD, 0, 0, 0, 0];
            arguments[usize::from(mode)] = bits;
            rows.push((number, arguments, errno));
        }
    }
    check(NAMESPACES, &rows);
    check(LANDLOCK, &rows);
}

#[test]
fn nothing_is_cut_where_landlock_does_not_see_it() {
    let open = |flags: i32, errno| (libc::SYS_openat, [BAD, 0, flags.into(), 0, 0], errno);
    let (cut, high) = (libc::O_TRUNC, 1 << 40);
    let rows = [
        (libc::SYS_truncate, [0; 5], libc::EPERM),
        (libc::SYS_openat2, [BAD; 5], libc::ENOSYS),
        open(cut | libc::O_RDONLY, libc::EPERM),
        open(cut | libc::O_RDONLY | libc::O_CREAT | libc::O_CLOEXEC, libc::EPERM),
        open(cut | 3, libc::EPERM),
        (libc::SYS_openat, [BAD, 0, high | c_long::from(cut), 0, 0], libc::EPERM),
        // Landlock sees these.
        open(cut | libc::O_WRONLY | libc::O_CREAT, 0),
        open(cut | libc::O_RDWR, 0),
        open(libc::O_RDONLY, 0),
        (libc::SYS_ftruncate, [BAD, 0, 0, 0, 0], 0),
    ];
    check(Rules { uncut: true, ..LANDLOCK }, &rows);
    check(LANDLOCK, &[(libc::SYS_truncate, [0; 5], 0), open(cut, 0)]);
    let of = |tier, landlock| Rules::of(&confinement(tier, Network::None), landlock).uncut;
    assert_eq!([1, 2, 3].map(|version| of(Tier::Landlock, version)), [true, true, false]);
    assert!(!of(Tier::Namespaces, 0));
}

/// Rows about `socket` and `socketpair` with the answer that is wanted.
fn socket(family: c_long, kind: c_long, protocol: c_long, errno: i32) -> Row {
    (libc::SYS_socket, [family, kind, protocol, 0, 0], errno)
}

fn pair(family: c_long, kind: c_long, errno: i32) -> Row {
    (libc::SYS_socketpair, [family, kind, 0, 0, 0], errno)
}

#[test]
fn sockets_are_of_three_families_and_plain_protocols() {
    let rows = [
        socket(1, 1, 0, 0),
        socket(2, 1, 0, 0),
        socket(10, 2, 0, 0),
        socket(2, 1, 6, 0),
        socket(16, 3, 0, libc::EPERM),
        socket(17, 3, 0, libc::EPERM),
        socket(38, 5, 0, libc::EPERM),
        socket(40, 1, 0, libc::EPERM),
        socket(2, 1, 262, libc::EPERM),
        socket(10, 1, 132, libc::EPERM),
        socket(2 | 1 << 40, 1, 256, libc::EPERM),
        pair(1, 1, 0),
        pair(1, 2, 0),
        pair(30, 1, libc::EPERM),
    ];
    check(NAMESPACES, &rows);
    check(Rules { network: Network::Host, ..NAMESPACES }, &rows);
}

#[test]
fn without_namespaces_sockets_follow_the_network_and_the_consent_to_unix_sockets() {
    let closed = [socket(1, 1, 0, libc::EPERM), socket(2, 1, 0, libc::EPERM), socket(10, 2, 0, libc::EPERM)];
    check(LANDLOCK, &closed);
    let pairs = [
        pair(1, 1, 0),
        pair(1, 5 | 0o2_000_000, 0),
        pair(1, 2, libc::EPERM),
        pair(1, 2 | 0o2_004_000, libc::EPERM),
        pair(1, 3, libc::EPERM),
    ];
    check(LANDLOCK, &pairs);
    let host = Rules { network: Network::Host, ..LANDLOCK };
    check(host, &[socket(1, 1, 0, libc::EPERM), socket(2, 1, 0, 0), socket(10, 2, 0, 0)]);
    check(host, &pairs);
    let unix = Rules { unix_sockets: true, ..LANDLOCK };
    check(unix, &[socket(1, 1, 0, 0), socket(2, 1, 0, libc::EPERM), pair(1, 2, 0)]);
}

#[test]
fn some_ports_only_means_no_connection_by_sending() {
    let open = Rules { network: Network::Host, ..NAMESPACES };
    let fast = 0x2000_0000;
    let rows = |errno| {
        [
            (libc::SYS_sendto, [BAD, 0, 0, fast, 0], errno),
            (libc::SYS_sendmsg, [BAD, 0, fast, 0, 0], errno),
            (libc::SYS_sendmmsg, [BAD, 0, 0, fast | 0x4000, 0], errno),
            (libc::SYS_sendto, [BAD, 0, 0, 0x4000, 0], 0),
        ]
    };
    check(open, &rows(0));
    check(Rules { some_ports: true, ..open }, &rows(libc::EPERM));
}

#[test]
fn neighbours_are_out_of_reach_where_no_namespace_hides_them() {
    let other = 1;
    let mut rows: Vec<Row> = vec![
        (libc::SYS_prlimit64, [0, 7, 0, 0, 0], 0),
        (libc::SYS_setpriority, [0, 0, 0, 0, 0], 0),
        (libc::SYS_setpriority, [0, other, 0, 0, 0], libc::EPERM),
        (libc::SYS_setpriority, [2, 0, 0, 0, 0], libc::EPERM),
        (libc::SYS_ioprio_set, [1, 0, 2 << 13, 0, 0], 0),
        (libc::SYS_ioprio_set, [3, 0, 2 << 13, 0, 0], libc::EPERM),
        (libc::SYS_sched_setaffinity, [0, 0, 0, 0, 0], 0),
    ];
    rows.extend(calls::OF_A_PROCESS.map(|number| (number, [other, BAD, BAD, BAD, 0], libc::EPERM)));
    rows.extend(calls::SHARED_IPC.iter().map(|&number| (number, [BAD; 5], libc::EPERM)));
    check(LANDLOCK, &rows);
    let rows = [
        (libc::SYS_shmget, [0, 4096, 0o600, 0, 0], 0),
        (libc::SYS_shmget, [0, 1 << 19, 0o600, 0, 0], 0),
        (libc::SYS_shmget, [0, (1 << 19) + 1, 0o600, 0, 0], libc::EPERM),
        (libc::SYS_shmget, [0, 1 << 40, 0o600, 0, 0], libc::EPERM),
    ];
    check(NAMESPACES, &rows);
}

#[test]
fn the_first_process_of_the_namespaces_keeps_its_limits_and_its_priority() {
    let (first, other) = (1, 2);
    let mut rows: Vec<Row> = vec![
        (libc::SYS_setpriority, [0, first, 0, 0, 0], libc::EPERM),
        (libc::SYS_setpriority, [2, 0, 0, 0, 0], libc::EPERM),
        (libc::SYS_ioprio_set, [1, first, 2 << 13, 0, 0], libc::EPERM),
        (libc::SYS_ioprio_set, [3, 0, 2 << 13, 0, 0], libc::EPERM),
        (libc::SYS_setpriority, [1, 0, 0, 0, 0], 0),
        (libc::SYS_ioprio_set, [1, 0, 2 << 13, 0, 0], 0),
    ];
    rows.extend(calls::OF_A_PROCESS.map(|number| (number, [first, BAD, BAD, BAD, 0], libc::EPERM)));
    rows.push((libc::SYS_sched_setaffinity, [other, 0, 0, 0, 0], 0));
    check(NAMESPACES, &rows);
}

/// A call as a filter sees it: architecture, number, arguments.
type Seen = (u32, u32, [u64; 6]);

const ALLOW: u32 = 0x7FFF_0000;
const DENY: u32 = 0x0005_0001;
const NO_SUCH_CALL: u32 = 0x0005_0026;
const KILL: u32 = 0x8000_0000;

/// What `program` answers, as the kernel understands it.
fn answer(program: &[Instruction], (architecture, call, arguments): Seen) -> u32 {
    let (mut place, mut loaded) = (0, 0);
    loop {
        let Instruction { code, holds, fails, number } = program[place];
        place += 1;
        let held = match code {
            0x20 => {
                loaded = match number {
                    0 => call,
                    4 => architecture,
                    offset => {
                        let whole = arguments[(offset as usize - 16) / 8];
                        if offset % 8 == 0 { whole as u32 } else { (whole >> 32) as u32 }
                    }
                };
                continue;
            }
            0x54 => {
                loaded &= number;
                continue;
            }
            0x06 => return number,
            0x05 => {
                place += number as usize;
                continue;
            }
            0x15 => loaded == number,
            0x25 => loaded > number,
            0x35 => loaded >= number,
            0x45 => loaded & number != 0,
            other => panic!("{other:#x}"),
        };
        place += usize::from(if held { holds } else { fails });
    }
}

fn holds(rule: &Rule, arguments: [u64; 6]) -> bool {
    rule.iter().all(|&(index, test)| {
        let (whole, low) = (arguments[usize::from(index)], arguments[usize::from(index)] as u32);
        match test {
            Is(value) => low == value,
            IsNot(value) => low != value,
            HasAny(bits) => low & bits != 0,
            Masked { mask, value } => low & mask == value,
            Above(value) => whole > value,
        }
    })
}

/// Numbers of which many are the same, or nearly.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, Just(1 << 32), (0..4_u64).prop_map(|low| 1 << 32 | low), any::<u64>()]
}

fn condition() -> impl Strategy<Value = arguments::Condition> {
    let small = || number().prop_map(|number| number as u32);
    let test = prop_oneof![
        small().prop_map(Is),
        small().prop_map(IsNot),
        small().prop_map(HasAny),
        (small(), small()).prop_map(|(mask, value)| Masked { mask, value: value & mask }),
        number().prop_map(Above),
    ];
    (0..6_u8, test)
}

proptest! {
    #[test]
    fn a_filter_answers_what_its_table_says(
        denied in prop::collection::vec(0..=calls::NEWEST, 0..120),
        hidden in prop::collection::vec(0..=calls::NEWEST, 0..20),
        rules in prop::collection::vec((0..=calls::NEWEST, prop::collection::vec(condition(), 0..4)), 0..60),
        arguments in prop::array::uniform6(number()),
    ) {
        let numbers = |numbers: &[u32]| numbers.iter().map(|&number| number.into()).collect::<Vec<_>>();
        let mut table = Table::new();
        table.deny(&numbers(&denied));
        table.hide(&numbers(&hidden));
        for (number, rule) in &rules {
            table.deny_when((*number).into(), rule.clone());
        }
        let program = table.program(7);
        for number in (0..=calls::NEWEST + 30).chain([0x4000_0000, u32::MAX]) {
            let by_arguments = |rules: &[(u32, Rule)]| {
                rules.iter().any(|(of, rule)| *of == number && holds(rule, arguments))
            };
            let expected = match () {
                () if number > calls::NEWEST || hidden.contains(&number) => NO_SUCH_CALL,
                () if denied.contains(&number) || by_arguments(&rules) => DENY,
                () => ALLOW,
            };
            prop_assert_eq!(answer(&program, (7, number, arguments)), expected, "{}", number);
        }
        prop_assert_eq!(answer(&program, (8, 3, arguments)), KILL);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_of_a_foreign_architecture_kills() {
    let program = program(NAMESPACES).unwrap();
    // SAFETY: the child makes system calls only.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            // SAFETY: `getpid` of the 32-bit table takes nothing and touches no memory; the other ends the child.
            unsafe {
                if program.install().is_ok() {
                    core::arch::asm!("int 0x80", inout("rax") 20_u64 => _, options(nostack));
                }
                libc::_exit(0)
            }
        }
        ForkResult::Parent { child } => {
            assert!(matches!(
                waitpid(child, None).unwrap(),
                WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGSYS, _)
            ));
        }
    }
}

/// A confinement to connect to one port.
fn confinement(tier: Tier, network: Network) -> Confinement {
    Confinement {
        tier,
        view: crate::sandbox::confinement::View::default(),
        network,
        ports: vec![443],
        unix_sockets: false,
        limits: crate::sandbox::confinement::KernelLimits {
            memory: 1,
            processes: 1,
            cpu: std::time::Duration::ZERO,
            scratch: 1,
            inodes: 1,
        },
    }
}

#[test]
fn unix_sockets_need_a_network_of_their_own_or_a_landlock_that_holds_them() {
    let allowed = |tier, network, landlock| Rules::of(&confinement(tier, network), landlock).unix_sockets;
    assert!(allowed(Tier::Namespaces, Network::None, 0));
    assert!(allowed(Tier::Namespaces, Network::Host, 6));
    assert!(!allowed(Tier::Namespaces, Network::Host, 5));
    assert!(!allowed(Tier::Landlock, Network::None, 9));
    assert!(Rules::of(&confinement(Tier::Landlock, Network::Host), 0).some_ports);
}

#[test]
fn a_filter_survives_the_way_through_bytes_and_fits_the_kernel() {
    let longest = Rules { network: Network::Host, some_ports: true, ..LANDLOCK };
    let program = program(longest).unwrap();
    assert_eq!(Program::from_bytes(&program.to_bytes()), Some(program.clone()));
    assert!(program.0.len() < 500, "{} instructions", program.0.len());
    assert_eq!(Program::from_bytes(&[]), None);
    assert_eq!(Program::from_bytes(&[0; 12]), None);
    assert_eq!(Program::from_bytes(&vec![0; (MAX_INSTRUCTIONS + 1) * INSTRUCTION]), None);
}

proptest! {
    #[test]
    fn bytes_that_can_be_a_filter_come_back_as_they_were(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(program) = Program::from_bytes(&bytes) {
            prop_assert_eq!(program.to_bytes(), bytes);
        }
    }
}
