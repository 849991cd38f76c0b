//! The conformance kit against containers of the machine's own Docker Engine, with connections that
//! are cut.

#[path = "world/forward.rs"]
mod forward;
mod kit;

use async_trait::async_trait;
use forward::Forwarder;
use kit::{Front, Place};

#[async_trait]
impl Front for Forwarder {
    fn open() -> Option<Self> {
        Self::open()
    }

    fn host(&self) -> String {
        self.host()
    }

    async fn sever(&self) {
        self.sever().await;
    }

    fn mend(&self) {
        self.mend();
    }
}

spawner_core::conformance_tests!(Place<Forwarder>);
