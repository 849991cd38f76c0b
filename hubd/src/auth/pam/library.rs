//! The calls into libpam, which is loaded here and nowhere else.
//!
//! Why not link to it: a program that is linked to `libpam.so.0` does not start where there is none,
//! and hubd without `kind = "pam"` has to. Six functions and one callback are all there is to it.

#![allow(
    unsafe_code,
    reason = "a C library is called, in a process that ends afterwards"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::ptr;

use libloading::Library;
use nix::libc;

use super::message::Ask;

/// The library of Linux-PAM, by the name that programs are linked to.
const LIBRARY: &str = "libpam.so.0";
/// What hubd puts in the place of a terminal. Some modules refuse without one.
const TERMINAL: &CStr = c"hubd";

// The numbers of Linux-PAM (`security/_pam_types.h`).
const SUCCESS: c_int = 0;
const BUFFER_ERROR: c_int = 5;
const CONVERSATION_ERROR: c_int = 19;
const ITEM_USER: c_int = 2;
const ITEM_TERMINAL: c_int = 3;
const ITEM_REMOTE_HOST: c_int = 4;
const NO_EMPTY_PASSWORD: c_int = 0x1;
const SILENT: c_int = 0x8000;
const PROMPT_HIDDEN: c_int = 1;
const PROMPT_SHOWN: c_int = 2;
/// The most messages in one call (`PAM_MAX_NUM_MSG`).
const MESSAGES_MAX: c_int = 32;

/// What PAM has decided.
pub(super) enum Verdict {
    /// It is this user.
    Granted(String),
    Denied,
    Unusable,
}

type Handle = *mut c_void;
type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int;
type StartIn = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const Conversation,
    *const c_char,
    *mut Handle,
) -> c_int;
type Step = unsafe extern "C" fn(Handle, c_int) -> c_int;
type SetItem = unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int;
type GetItem = unsafe extern "C" fn(Handle, c_int, *mut *const c_void) -> c_int;

/// `struct pam_message`.
#[repr(C)]
struct Message {
    style: c_int,
    _text: *const c_char,
}

/// `struct pam_response`.
#[repr(C)]
struct Response {
    text: *mut c_char,
    _unused: c_int,
}

/// `struct pam_conv`.
#[repr(C)]
struct Conversation {
    converse: extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    speaker: *mut c_void,
}

/// Who answers the modules' questions.
struct Speaker {
    user: CString,
    /// Said once. A module that asks for more wants something that we do not have: a second factor
    /// typed in, a new password.
    password: Option<CString>,
}

/// Runs the rules of a service for one user. The error is a clause for the log.
pub(super) fn authenticate(ask: &Ask) -> Result<Verdict, String> {
    let text = |text: &str| CString::new(text).map_err(|_| "a text with NUL".to_owned());
    let (service, user) = (text(&ask.service)?, text(&ask.user)?);
    let Ok(password) = CString::new(ask.password.as_str()) else {
        // No password of the system holds NUL.
        return Ok(Verdict::Denied);
    };
    let from = ask.from.as_deref().map(text).transpose()?;
    let folder = ask.config_dir.as_ref();
    let folder = folder.map(|folder| CString::new(folder.as_os_str().as_bytes()));
    let folder = folder.transpose().map_err(|_| "a path with NUL")?;

    // SAFETY: loading runs the library's own initialisers, and it is the system's libpam.
    let library = unsafe { Library::new(LIBRARY) };
    let library = library.map_err(|error| format!("{LIBRARY} cannot be loaded: {error}"))?;
    let mut speaker = Speaker {
        user: user.clone(),
        password: Some(password),
    };
    let conversation = Conversation {
        converse,
        speaker: (&raw mut speaker).cast(),
    };
    let mut handle: Handle = ptr::null_mut();
    // SAFETY: the types are those of `security/pam_appl.h`; every pointer outlives the call, and the
    // conversation and its speaker outlive the transaction.
    let code = unsafe {
        match &folder {
            None => find::<Start>(&library, "pam_start")?(
                service.as_ptr(),
                user.as_ptr(),
                &raw const conversation,
                &raw mut handle,
            ),
            Some(folder) => find::<StartIn>(&library, "pam_start_confdir")?(
                service.as_ptr(),
                user.as_ptr(),
                &raw const conversation,
                folder.as_ptr(),
                &raw mut handle,
            ),
        }
    };
    if code != SUCCESS {
        return Err(failed("pam_start", code));
    }
    let mut transaction = Transaction {
        library: &library,
        handle,
        last: SUCCESS,
    };
    if ask.probe {
        return Ok(Verdict::Denied);
    }
    transaction.set(ITEM_TERMINAL, TERMINAL)?;
    if let Some(from) = &from {
        transaction.set(ITEM_REMOTE_HOST, from)?;
    }
    match transaction.step("pam_authenticate")? {
        SUCCESS => {}
        // Permission denied, wrong password, no such credentials, unknown user, too many tries,
        // account expired, no answer to a question.
        6..=8 | 10 | 11 | 13 | CONVERSATION_ERROR => return Ok(Verdict::Denied),
        code => return Err(failed("pam_authenticate", code)),
    }
    if ask.check_account {
        match transaction.step("pam_acct_mgmt")? {
            SUCCESS => {}
            // Permission denied, not this account, unknown user, new password wanted, account or
            // password expired.
            6 | 7 | 10 | 12 | 13 | 27 => return Ok(Verdict::Unusable),
            code => return Err(failed("pam_acct_mgmt", code)),
        }
    }
    transaction.user().map(Verdict::Granted)
}

/// From `pam_start` to `pam_end`, in which modules remove what they have made.
struct Transaction<'l> {
    library: &'l Library,
    handle: Handle,
    /// What the last step said, for the modules.
    last: c_int,
}

impl Transaction<'_> {
    fn set(&mut self, item: c_int, value: &CStr) -> Result<(), String> {
        // SAFETY: the type is that of `pam_appl.h`; the handle is open, and libpam copies the text.
        let code = unsafe {
            find::<SetItem>(self.library, "pam_set_item")?(self.handle, item, value.as_ptr().cast())
        };
        match code {
            SUCCESS => Ok(()),
            code => Err(failed("pam_set_item", code)),
        }
    }

    /// Runs `pam_authenticate` or `pam_acct_mgmt`.
    fn step(&mut self, name: &str) -> Result<c_int, String> {
        // SAFETY: both have this type, and the handle is open.
        self.last =
            unsafe { find::<Step>(self.library, name)?(self.handle, SILENT | NO_EMPTY_PASSWORD) };
        Ok(self.last)
    }

    /// Who it is after all rules have run.
    fn user(&self) -> Result<String, String> {
        let mut found: *const c_void = ptr::null();
        // SAFETY: the type is that of `pam_appl.h`; the text belongs to the handle and is copied
        // while that is open.
        let user = unsafe {
            let get_item = find::<GetItem>(self.library, "pam_get_item")?;
            match get_item(self.handle, ITEM_USER, &raw mut found) {
                SUCCESS if !found.is_null() => CStr::from_ptr(found.cast()),
                code => return Err(failed("pam_get_item", code)),
            }
        };
        let user = user.to_str();
        let user = user.map_err(|_| "PAM has a name for the user that is not UTF-8")?;
        Ok(user.to_owned())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody uses it after this.
        unsafe {
            if let Ok(end) = find::<Step>(self.library, "pam_end") {
                end(self.handle, self.last);
            }
        }
    }
}

/// A function of the library.
///
/// # Safety
/// `F` must be the type of that function.
unsafe fn find<F: Copy>(library: &Library, name: &str) -> Result<F, String> {
    // SAFETY: passed on to the caller.
    let found = unsafe { library.get::<F>(name.as_bytes()) };
    found
        .map(|function| *function)
        .map_err(|_| format!("{LIBRARY} of this system has no {name}; it may be too old"))
}

fn failed(step: &str, code: c_int) -> String {
    format!("{step} failed with code {code}; the system's log may say more")
}

/// Answers what modules ask. Both arrays are C's: what is returned is freed by libpam.
extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    speaker: *mut c_void,
) -> c_int {
    if !(1..=MESSAGES_MAX).contains(&count) {
        return CONVERSATION_ERROR;
    }
    let count = usize::try_from(count).unwrap_or_default();
    // SAFETY: `speaker` is the one that was handed to `pam_start`, and only one call is under way;
    // Linux-PAM passes `count` pointers to messages.
    unsafe {
        let speaker = &mut *speaker.cast::<Speaker>();
        let answers = libc::calloc(count, size_of::<Response>()).cast::<Response>();
        if answers.is_null() {
            return BUFFER_ERROR;
        }
        for at in 0..count {
            let message = &**messages.add(at);
            let answer = match message.style {
                PROMPT_HIDDEN => speaker.password.take(),
                PROMPT_SHOWN => Some(speaker.user.clone()),
                // Words for the user, who sees our own.
                _ => continue,
            };
            let copy = answer.map_or(ptr::null_mut(), |answer| libc::strdup(answer.as_ptr()));
            if copy.is_null() {
                for at in 0..at {
                    libc::free((*answers.add(at)).text.cast());
                }
                libc::free(answers.cast());
                return CONVERSATION_ERROR;
            }
            (*answers.add(at)).text = copy;
        }
        *responses = answers;
    }
    SUCCESS
}
