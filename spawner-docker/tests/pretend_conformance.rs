//! The conformance kit against containers of the machine's own Docker Engine, which has become a bad
//! one: its event stream ends with each event, and instead of being away it hangs.

mod kit;
mod pretend;

use async_trait::async_trait;
use kit::{Front, Place};
use pretend::{Fault, Pretend, Verb};

/// The engine behind faults.
struct Bad(Pretend);

impl Bad {
    fn as_ever(&self) {
        self.0.fail(Verb::Events, Fault::Ends);
    }
}

#[async_trait]
impl Front for Bad {
    fn open() -> Option<Self> {
        let bad = Self(Pretend::before_the_real_one()?);
        bad.as_ever();
        Some(bad)
    }

    fn host(&self) -> String {
        self.0.host()
    }

    async fn sever(&self) {
        self.0.fail_all(&Fault::Hangs);
    }

    fn mend(&self) {
        self.0.heal();
        self.as_ever();
    }
}

spawner_core::conformance_tests!(Place<Bad>);
