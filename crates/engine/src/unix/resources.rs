//! What the process may use and what it uses.

use std::fs;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};

/// Raises the soft limit of open descriptors to the hard one and returns it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // Refused only where the system's own maximum is lower: the soft limit stays.
        let _ = setrlimit(Resource::Nofile, wanted);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Keeps the kernel from backing buffers with huge pages.
///
/// With them and 64 KiB buffers the allocator held 266 MB after a burst of 4,000 connections, 25 MB without.
pub(crate) fn disable_huge_pages() {
    // A kernel without them refuses, which is what is wanted.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Bytes that nobody can guess.
pub(crate) fn secret() -> [u8; 32] {
    let mut bytes = [0; 32];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty());
    assert_eq!(filled, Ok(bytes.len()), "invariant: up to 256 bytes come at once (getrandom(2))");
    bytes
}

/// Takes over a descriptor that the process was started with; an error if it is none.
pub(crate) fn adopt_descriptor(number: i32) -> io::Result<OwnedFd> {
    if number < 3 || fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
        return Err(io::Error::other(format!("{number} is no descriptor that was handed over")));
    }
    // SAFETY: it is open, and whoever started the process with its number gave it to us; nothing else here knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What the process uses now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) rss_bytes: u64,
    pub(crate) cpu_seconds: f64,
    pub(crate) open_files: u64,
}

/// Reads what the process uses. What the system doesn't say is 0.
pub(crate) fn usage() -> Usage {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(cpu.tv_sec.unsigned_abs());
    Usage {
        rss_bytes: rss_bytes(),
        cpu_seconds: (seconds + Duration::from_nanos(cpu.tv_nsec.unsigned_abs())).as_secs_f64(),
        open_files: open_files().unwrap_or(0),
    }
}

/// Resident memory, 0 if the system doesn't say.
pub(crate) fn rss_bytes() -> u64 {
    let resident_pages = || -> Option<u64> {
        let statm = fs::read_to_string("/proc/self/statm").ok()?;
        statm.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    resident_pages().unwrap_or(0) * rustix::param::page_size() as u64
}

fn open_files() -> io::Result<u64> {
    // Since Linux 6.2 the directory's size is the number of descriptors: no walk over all of them.
    match fs::metadata("/proc/self/fd")?.len() {
        0 => Ok(fs::read_dir("/proc/self/fd")?.count() as u64),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_sees_memory_time_and_files() {
        let usage = usage();
        assert!(usage.rss_bytes > 100_000, "{usage:?}");
        assert!(usage.cpu_seconds > 0.0, "{usage:?}");
        assert!(usage.open_files >= 3, "{usage:?}");
    }

    #[test]
    fn descriptor_limit_is_the_hard_one_afterwards() {
        let raised = raise_descriptor_limit();
        assert_eq!(Some(raised), getrlimit(Resource::Nofile).maximum.or(Some(u64::MAX)));
    }
}
