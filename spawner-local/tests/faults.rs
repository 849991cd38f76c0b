//! Steps between fork and exec that fail: each refuses the start, is named, and leaves no process.
//!
//! A test cannot make `setgroups` fail, but the kernel can: each row runs this binary again under a
//! seccomp filter that answers one system call with EPERM. The filter is inherited by the child.

mod common;

use std::process::{Command, Stdio};

use common::{Place, launch_as, server, skipped, within};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde_json::json;
use spawner_core::{SpawnErrorKind, Spawner};

/// Which row of [`FAULTS`] the second process is to play.
const ROW: &str = "FAULT";
const REFUSED: &str = "refused: ";
/// Numbers of <linux/prctl.h>.
const PR_SET_PDEATHSIG: u64 = 1;
const PR_SET_NO_NEW_PRIVS: u64 = 38;

/// What fails, and what the message says then.
struct Fault {
    call: libc::c_long,
    /// If it is not every such call: which argument, and what it is.
    only: Option<(u8, SeccompCmpOp, u64)>,
    says: &'static str,
}

const fn every(call: libc::c_long, says: &'static str) -> Fault {
    Fault {
        call,
        only: None,
        says,
    }
}

const FAULTS: [Fault; 9] = [
    every(libc::SYS_setsid, "(Session)"),
    Fault {
        call: libc::SYS_prctl,
        only: Some((0, SeccompCmpOp::Eq, PR_SET_PDEATHSIG)),
        says: "(Parent)",
    },
    Fault {
        call: libc::SYS_prlimit64,
        // Only where a limit is set, and not where it is read.
        only: Some((2, SeccompCmpOp::Ne, 0)),
        says: "`rlimits`",
    },
    every(libc::SYS_setgroups, "(setgroups)"),
    every(libc::SYS_setresgid, "(setresgid)"),
    every(libc::SYS_setresuid, "(setresuid)"),
    every(libc::SYS_getgroups, "other rights than those of daemon"),
    Fault {
        call: libc::SYS_prctl,
        only: Some((0, SeccompCmpOp::Eq, PR_SET_NO_NEW_PRIVS)),
        says: "kept from gaining rights",
    },
    every(libc::SYS_chdir, "daemon cannot enter the home directory /"),
];

impl Fault {
    fn filter(&self) -> BpfProgram {
        let rules = self.only.iter().map(|(argument, operator, value)| {
            let condition =
                SeccompCondition::new(*argument, SeccompCmpArgLen::Qword, operator.clone(), *value);
            SeccompRule::new(vec![condition.unwrap()]).unwrap()
        });
        let filter = SeccompFilter::new(
            [(self.call, rules.collect())].into(),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        filter.unwrap().try_into().unwrap()
    }
}

#[test]
#[ignore = "run by every_step_that_fails_refuses_the_start"]
fn hub_under_a_filter() {
    let row: usize = std::env::var(ROW).unwrap().parse().unwrap();
    let place = Place::local(json!({"rlimits": {"core": 0}}));
    seccompiler::apply_filter(&FAULTS[row].filter()).unwrap();
    // Its threads are made after the filter, and so inherit it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut launch = launch_as("daemon", &["sh", "-c", "exit 0"]);
        launch.env.set("HOME", "/");
        let group_of = launch.ctx.launch_id.clone();
        let mut spawner = place.factory.spawner(&server("daemon"));
        let error = within(spawner.start(launch)).await.unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::Other);
        println!("\n{REFUSED}{error}");
        assert!(spawner.get_state().is_empty());
        for entry in std::fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let environment = std::fs::read_to_string(path.join("environ")).unwrap_or_default();
            assert!(!environment.contains(group_of.as_str()), "{path:?}");
        }
    });
    let children = nix::sys::wait::waitpid(None, None);
    assert_eq!(children, Err(nix::errno::Errno::ECHILD), "a child was left");
}

#[test]
fn every_step_that_fails_refuses_the_start() {
    if !nix::unistd::geteuid().is_root() {
        skipped("every_step_that_fails_refuses_the_start takes root");
        return;
    }
    for (row, fault) in FAULTS.iter().enumerate() {
        let played = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hub_under_a_filter", "--ignored", "--nocapture"])
            .env(ROW, row.to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&played.stdout);
        assert!(
            played.status.success(),
            "{}: {printed}{}",
            fault.says,
            String::from_utf8_lossy(&played.stderr)
        );
        let refused = printed.lines().find_map(|line| line.strip_prefix(REFUSED));
        assert!(refused.unwrap().contains(fault.says), "{refused:?}");
    }
}
