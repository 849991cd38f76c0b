#![doc = include_str!("guide/first.md")]
#![doc = concat!(
    "\n```\n",
    include_str!("guide/engine.md"),
    include_str!("guide/unit.rs"),
    "\n",
    include_str!("guide/units.rs"),
    "```\n"
)]
#![doc = include_str!("guide/second.md")]
