//! Becoming a user who may do less.

use std::ffi::{CStr, CString};
use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities};

/// A user of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    name: CString,
    uid: libc::uid_t,
    gid: libc::gid_t,
}

impl User {
    /// Finds a user by name.
    pub(crate) fn named(name: &str) -> io::Result<Self> {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("there is no user {name:?}"));
        let name = CString::new(name).map_err(|_| unknown())?;
        let mut buffer = vec![0_u8; 16 * 1024];
        let mut found = std::ptr::null_mut();
        let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
        // SAFETY: all pointers are valid for the call, and the buffer's length is passed with it.
        let status = unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut found,
            )
        };
        if status != 0 {
            return Err(io::Error::from_raw_os_error(status));
        }
        if found.is_null() {
            return Err(unknown());
        }
        // SAFETY: a result that is not null says that the entry was filled in.
        let entry = unsafe { entry.assume_init() };
        Ok(Self { name, uid: entry.pw_uid, gid: entry.pw_gid })
    }

    /// Whether the process is this user already.
    pub(crate) fn is_current(&self) -> bool {
        rustix::process::geteuid().as_raw() == self.uid
    }
}

/// Becomes `user` for good and keeps only the right to bind ports below 1024, so that a reload can, and where it is
/// needed (`transparent`) that to speak from addresses which aren't this machine's.
///
/// Capabilities belong to threads: to be called while the process has one.
pub(crate) fn drop_privileges(user: &User, transparent: bool) -> io::Result<()> {
    set_keep_capabilities(true)?;
    change_user(&user.name, user.uid, user.gid)?;
    let mut kept = CapabilitySet::NET_BIND_SERVICE;
    kept.set(CapabilitySet::NET_ADMIN, transparent);
    set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )?;
    set_keep_capabilities(false)?;
    Ok(())
}

fn change_user(name: &CStr, uid: libc::uid_t, gid: libc::gid_t) -> io::Result<()> {
    let check = |status: libc::c_int| if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // Groups first: afterwards the right to change them is gone.
    // SAFETY: the name is a valid C string; none of these calls touches memory of ours.
    unsafe {
        check(libc::initgroups(name.as_ptr(), gid))?;
        check(libc::setresgid(gid, gid, gid))?;
        check(libc::setresuid(uid, uid, uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name() {
        assert_eq!(User::named("root").unwrap().uid, 0);
    }

    #[test]
    fn unknown_user_is_named() {
        let error = User::named("no-such-user-here").unwrap_err();
        assert_eq!(error.to_string(), "there is no user \"no-such-user-here\"");
    }
}
