//! What every test starts from: a real `landfall` process, its HTTP interfaces, and ways to wait.

pub(crate) mod api;
pub(crate) mod chance;
pub(crate) mod documents;
pub(crate) mod events;
pub(crate) mod log;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod recovery;
pub(crate) mod secrets;
pub(crate) mod server;
pub(crate) mod wait;

pub(crate) use server::Server;
