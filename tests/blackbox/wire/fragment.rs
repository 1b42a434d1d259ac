//! A relay that cuts a TLS client's handshake into records of one byte.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Where clients connect to reach `server` that way; any number of them, one after the other.
pub(crate) fn fragmenting(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(server) else {
                return;
            };
            let (mut back, mut near) = (far.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut back, &mut near);
                let _ = near.shutdown(Shutdown::Both);
            });
            thread::spawn(move || {
                let _ = pass_on(&client, &far);
                let _ = far.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

/// Record by record: those of the handshake in pieces, as long as they are in the clear.
fn pass_on(mut client: &TcpStream, mut far: &TcpStream) -> io::Result<()> {
    let mut clear = true;
    loop {
        let mut head = [0; 5];
        client.read_exact(&mut head)?;
        let mut fragment = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        client.read_exact(&mut fragment)?;
        clear &= !matches!(head[0], CHANGE_CIPHER_SPEC | APPLICATION_DATA);
        if clear && head[0] == HANDSHAKE {
            let bytes = fragment.iter();
            let pieces = bytes.flat_map(|byte| [HANDSHAKE, head[1], head[2], 0, 1, *byte]);
            far.write_all(&pieces.collect::<Vec<u8>>())?;
        } else {
            far.write_all(&[&head[..], &fragment].concat())?;
        }
    }
}
