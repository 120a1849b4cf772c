//! Giving back memory: a helper is the whole program, but once a payload runs it only waits.
//!
//! What it has read of the program's code and constants stays in the kernel's cache of the file and would be read from there
//! again. It is of no use to a process that sleeps, and counts as its own.

#![expect(unsafe_code, reason = "calls about memory that is mapped")]

use std::ptr;

use nix::errno::Errno;
use nix::poll::{PollFd, poll};

/// How long a payload must have been quiet before it is worth it, in milliseconds: many are over sooner.
const PATIENCE: u8 = 100;

/// Parts of objects that can be given back: most programs have three, and libraries as many each.
const PARTS: usize = 16;

/// Waits until one of `ready` is, like `poll`. After a while without anything the memory that is only needed to work is
/// given back.
pub(crate) fn wait(ready: &mut [PollFd<'_>]) -> Result<(), Errno> {
    if poll(ready, PATIENCE)? > 0 {
        return Ok(());
    }
    let mut parts = Parts { found: [(0, 0); PARTS], count: 0 };
    // SAFETY: the callback is called for each loaded object while this call lasts, and gets what it expects.
    unsafe { libc::dl_iterate_phdr(Some(object), (&raw mut parts).cast()) };
    // Only two functions run from here until there is something to do, this one and the one that makes a call: each piece
    // of code that is touched comes back with its surroundings.
    for &(address, length) in parts.found.iter().take(parts.count) {
        // SAFETY: these pages are mapped from a file and not writable, so they hold what the file holds, and the kernel
        // reads them again when they are touched.
        unsafe { libc::syscall(libc::SYS_madvise, address, length, libc::MADV_DONTNEED) };
    }
    let (fds, nothing) = (ready.as_mut_ptr(), ptr::null::<libc::c_void>());
    // SAFETY: a `PollFd` is the kernel's structure, and there are as many as is said; neither a time nor signals are given.
    let count = unsafe { libc::syscall(libc::SYS_ppoll, fds, ready.len(), nothing, nothing, 0_usize) };
    Errno::result(count).map(drop)
}

/// Bytes of a page.
pub(crate) fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4 << 10)
}

/// What can be given back.
struct Parts {
    /// Addresses and lengths.
    found: [(usize, usize); PARTS],
    count: usize,
}

/// Adds the parts of one object.
unsafe extern "C" fn object(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    parts: *mut libc::c_void,
) -> libc::c_int {
    let page = page_size();
    // SAFETY: the C library passes a valid description, and the pointer that it was given.
    let (info, parts) = unsafe { (&*info, &mut *parts.cast::<Parts>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: it says how many headers there are.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    for header in
        headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0)
    {
        // Only whole pages of this segment: those at its ends may be another's as well.
        let start = (info.dlpi_addr + header.p_vaddr).next_multiple_of(page);
        let end = (info.dlpi_addr + header.p_vaddr + header.p_filesz) / page * page;
        let part = (usize::try_from(start), usize::try_from(end.saturating_sub(start)));
        if let ((Ok(address), Ok(length)), Some(free)) = (part, parts.found.get_mut(parts.count))
            && length > 0
        {
            *free = (address, length);
            parts.count += 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::PollFlags;
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    #[test]
    fn the_program_goes_on_when_its_code_is_gone() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let late = std::thread::spawn(move || {
            // Long after what `wait` is patient for.
            std::thread::sleep(Duration::from_millis(u64::from(PATIENCE) * 3));
            writer.write_all(b"x").unwrap();
        });
        let mut ready = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        wait(&mut ready).unwrap();
        assert_eq!(ready[0].any(), Some(true));
        late.join().unwrap();
    }
}
