//! What breaks under a server: power, disk, clock, processor, memory. For each: what a device sees,
//! what the log says, that it becomes well, and that nothing acknowledged is lost.

mod clock;
mod disk;
mod machine;
mod memory;
mod power;
mod starving;
