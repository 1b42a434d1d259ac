//! `run-floor`: the least that a tokio server can do with an MQTT publish.
//!
//! It frames packets, answers CONNECT, QoS 1 and 2, SUBSCRIBE and PINGREQ, and drops the payload.
//! It checks nothing, decodes no topic and knows no session. What a real server costs above it is
//! the price of its work; what it costs itself is the price of the kernel and the runtime.
//! The shape is the one a fast server has: the read buffer belongs to the thread and not to the
//! connection, acknowledgements of one read leave in one write, and an idle connection keeps
//! nothing but its task.

mod answer;
mod count;
mod serve;

use std::net::SocketAddr;

use clap::Args;

pub(crate) use count::Counts;
pub(crate) use serve::run;

/// Where the floor server listens.
#[derive(Args, Clone)]
pub(crate) struct Spec {
    /// Address to listen on; port 0 takes a free one, which the first line of output names
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:1884")]
    pub bind: SocketAddr,
    /// Worker threads; as many as there are cores by default
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
}
