//! The `landfall` program; see the library's `cli`.

use std::process::ExitCode;

/// Keeps the memory of idle connections small and the cost of busy ones low.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    landfall::cli::main()
}
