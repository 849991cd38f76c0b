//! PAM, in processes of its own.
//!
//! ```text
//! hub                                        hubd pam-helper, one process for each login
//! Workers::ask --spawn--> [process group] --> answer::main --dlopen--> libpam.so.0 --> modules
//!        |------ Ask, one line of JSON ------------>|
//!        |<----- Reply, one line of JSON -----------|
//!        '-- in the end, or after the timeout: SIGKILL to the group
//! ```
//!
//! - A module may hang, crash, fork, change the user of the process or print: nothing of that reaches
//!   the hub. What a module starts in a session of its own (as `pam_exec` does) is not ended with the
//!   group, and has to end by itself.
//! - libpam is loaded when it is needed, not when hubd starts: the one binary also runs on systems
//!   that have no PAM.
//! - The password travels in a pipe, never in an argument or a variable.
//! - No PAM session is opened. A server's process is the spawner's business.

mod answer;
mod library;
mod message;
mod workers;

pub(crate) use self::answer::main as answer;
pub(super) use self::message::{Answer, Ask};
pub(super) use self::workers::Workers;
pub(crate) use self::workers::{HELPER, PamError};
