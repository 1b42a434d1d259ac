//! TLS, and SASL where asked, in front of a server that has neither.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::sasl::{self, Account};

/// Takes connections until it is dropped.
pub(crate) struct Front {
    _runtime: Runtime,
}

impl Front {
    /// Ends TLS on `port`, and passes on to the port `to` what comes; with an account, only what
    /// comes behind a Kafka client's log-in to it.
    pub(crate) fn start(port: u16, to: u16, tls: ServerConfig, account: Option<Account>) -> Self {
        let runtime = Runtime::new().unwrap();
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = runtime.block_on(listening).expect("a free port");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, account) = (acceptor.clone(), account.clone());
                tokio::spawn(async move {
                    let Ok(mut near) = acceptor.accept(stream).await else {
                        return;
                    };
                    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await else {
                        return;
                    };
                    if let Some(account) = &account
                        && sasl::log_in(account, &mut near, &mut far).await.is_err()
                    {
                        return;
                    }
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { _runtime: runtime }
    }
}
