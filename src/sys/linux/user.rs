//! The user database.

use std::ffi::CStr;

/// This process's uid.
pub(in crate::sys) fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The name that belongs to the uid (getpwuid_r(3)); `None` when the database has no such user.
#[allow(unsafe_code)]
pub(in crate::sys) fn user_name() -> Option<String> {
    let mut buffer = vec![0; 1024];
    loop {
        let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
        let mut found = std::ptr::null_mut();
        // SAFETY: every pointer is valid for the call and `buffer` is as long as is said.
        let code =
            unsafe { libc::getpwuid_r(uid(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found) };
        if code == libc::ERANGE && buffer.len() < 1 << 20 {
            buffer.resize(buffer.len() * 4, 0);
            continue;
        }
        if code != 0 || found.is_null() {
            return None;
        }
        // SAFETY: `found` is not null, so `entry` was filled in, and its name is a C string inside `buffer`.
        let name = unsafe { CStr::from_ptr((*found).pw_name) };
        return name.to_str().ok().map(Into::into);
    }
}
