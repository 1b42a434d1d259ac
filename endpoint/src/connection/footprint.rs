//! What an idle connection takes: the sizes of what lives as long as it does.
//!
//! The allocator's classes are 8 bytes apart up to 64, then 80, 96, 112, 128, 160, 192, 224, 256, 320,
//! 384, 448, 512, 640 and so on: a byte too many costs the whole step, for every connection.

use std::mem::size_of;

use tokio::net::TcpStream;

use super::live::Live;
use super::{BoxStream, Link};

/// The two counts of an `Arc`.
const COUNTS: usize = 2 * size_of::<usize>();

#[test]
fn an_idle_connection_is_small() {
    let state = size_of::<Live<TcpStream>>();
    assert!(
        state <= 448,
        "the state of a TCP connection is {state} bytes and gets more than 448: what few connections \
         have, or only busy ones, belongs into a box"
    );
    let state = size_of::<Live<BoxStream>>();
    assert!(
        state <= 448,
        "the state of any other connection is {state} bytes"
    );
    let link = size_of::<Link>() + COUNTS;
    assert!(
        link <= 256,
        "the half that others hold is {link} bytes and gets more than 256"
    );
}
