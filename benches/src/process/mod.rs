//! What the measured process costs: CPU time and memory, read from outside.

mod cpu;
mod memory;
mod stolen;

pub(crate) use cpu::{CpuTime, process_cpu, thread_cpu};
pub(crate) use memory::{Memory, memory};
pub(crate) use stolen::Stolen;
