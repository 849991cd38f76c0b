//! The kit against spawners that keep every rule, in memory.

mod memory;
mod unit;

mod honest {
    spawner_core::conformance_tests!(crate::memory::Memory);
}

mod documented {
    spawner_core::conformance_tests!(crate::unit::Documented);
}
