//! A plain port in front of one that speaks TLS, for clients that do not.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use crate::wire::secure::Tls;

/// Takes connections until it is dropped.
pub(crate) struct Tunnel {
    pub(crate) port: u16,
    _runtime: Runtime,
}

impl Tunnel {
    /// Leads to the port `to` of this machine, whose certificate `tls` has to trust.
    pub(crate) fn start(to: u16, tls: &Tls) -> Self {
        let runtime = Runtime::new().unwrap();
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listening).expect("a free port");
        let port = listener.local_addr().unwrap().port();
        let connector = TlsConnector::from(Arc::clone(tls.config()));
        runtime.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let connector = connector.clone();
                tokio::spawn(async move {
                    let name = ServerName::try_from("localhost").unwrap();
                    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else {
                        return;
                    };
                    if let Ok(mut far) = connector.connect(name, far).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self {
            port,
            _runtime: runtime,
        }
    }
}
