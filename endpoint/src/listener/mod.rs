//! Where clients come in: accept loops that yield byte streams.

mod tcp;

pub use tcp::{bind, serve};
