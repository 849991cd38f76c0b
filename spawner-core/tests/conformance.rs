//! The kit against a spawner that keeps every rule, in memory.

mod memory;

spawner_core::conformance_tests!(memory::Memory);
