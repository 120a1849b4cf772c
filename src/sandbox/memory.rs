//! Giving back memory: a helper is the whole program, but once a payload runs it only waits.
//!
//! What it has read of the program's code and constants stays in the kernel's cache of the file and would be read from there
//! again. It is of no use to a process that sleeps, and counts as its own.

#![expect(unsafe_code, reason = "calls about memory that is mapped")]

use std::ptr;

use nix::poll::PollTimeout;

/// How long a payload must have run before it is worth it, in milliseconds: many are over sooner.
const PATIENCE: u8 = 100;

/// How long to wait before [`let_go`].
pub(crate) fn patience() -> PollTimeout {
    PATIENCE.into()
}

/// Bytes of a page.
pub(crate) fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4 << 10)
}

/// Lets go of all pages of the program's files that cannot have been changed.
pub(crate) fn let_go() {
    // SAFETY: the callback is called for each loaded object while this call lasts, and reads what it is given.
    unsafe { libc::dl_iterate_phdr(Some(object), ptr::null_mut()) };
}

/// Lets go of one object's pages.
unsafe extern "C" fn object(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    let page = page_size();
    // SAFETY: the C library passes a valid description.
    let info = unsafe { &*info };
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
        let (Ok(address), Ok(length)) = (usize::try_from(start), usize::try_from(end.saturating_sub(start)))
        else {
            continue;
        };
        if length > 0 {
            let address = ptr::with_exposed_provenance_mut(address);
            // SAFETY: the segment is mapped from a file and not writable, so its pages hold what the file holds, and the
            // kernel reads them again when they are touched.
            unsafe { libc::madvise(address, length, libc::MADV_DONTNEED) };
        }
    }
    0
}
