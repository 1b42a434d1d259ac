//! The demo's options and the configuration they make.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::Args;

use super::pki;
use crate::{
    cli::Failure,
    config::{
        ApiConfig, CertificateFiles, Config, LimitsConfig, ListenerConfig, LogConfig, OpsConfig,
        RegistryConfig, SinkConfig, TlsConfig, Transport, WebSocketConfig,
    },
    listener,
    server::StartError,
};

/// Needs no more file descriptors than any system gives.
const MOST_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(499);

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall demo
  landfall demo --data-dir /tmp/demo --mqtt-port 2883 --http-port 9080

It prints what to type next. Ctrl-C ends it; its files stay for the next time.")]
pub(crate) struct Options {
    /// Where the demo keeps its files
    #[arg(long, value_name = "DIR", default_value = "./landfall-demo")]
    pub(super) data_dir: PathBuf,
    /// Port of MQTT, on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 1883)]
    mqtt_port: u16,
    /// Port of MQTT over TLS, on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8883)]
    tls_port: u16,
    /// Port of MQTT in WebSocket, on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8083)]
    ws_port: u16,
    /// Port of MQTT in WebSocket over TLS, on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8084)]
    wss_port: u16,
    /// Port of the HTTP API, on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    http_port: u16,
    /// Port of metrics and health, on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    ops_port: u16,
    /// Least level of the log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log_level: String,
}

impl Options {
    /// The configuration: loopback only, everything else by default.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let data_dir = std::path::absolute(&self.data_dir)
            .map_err(|error| Failure::new(format_args!("{}: {error}", self.data_dir.display())))?;
        Ok(Config {
            instance: "landfall".to_owned(),
            session_records: true,
            listeners: self.listeners(&data_dir),
            limits: LimitsConfig {
                connections: MOST_CONNECTIONS,
                ..LimitsConfig::default()
            },
            api: ApiConfig {
                bind: loopback(self.http_port),
                tls: None,
                token_file: data_dir.join("server.token"),
                behind_proxy: false,
            },
            ops: Some(OpsConfig {
                bind: loopback(self.ops_port),
            }),
            registry: RegistryConfig::default(),
            sinks: vec![SinkConfig::default_log()],
            command_sources: Vec::new(),
            cluster: None,
            telemetry: None,
            log: LogConfig {
                level: self.log_level.clone(),
                ..LogConfig::default()
            },
            data_dir,
        })
    }

    /// MQTT; over TLS; in WebSocket; in WebSocket over TLS.
    fn listeners(&self, data_dir: &Path) -> Vec<ListenerConfig> {
        let tls = TlsConfig {
            certificates: vec![CertificateFiles {
                certificate: data_dir.join(pki::SERVER),
                key: data_dir.join(pki::SERVER_KEY),
            }],
            ..TlsConfig::default()
        };
        let for_devices = TlsConfig {
            client_certificates: true,
            psk: true,
            ..tls.clone()
        };
        let websocket = Transport::WebSocket(WebSocketConfig::default());
        let at = |port| ListenerConfig::at(loopback(port).into());
        vec![
            at(self.mqtt_port),
            ListenerConfig {
                tls: Some(for_devices),
                ..at(self.tls_port)
            },
            ListenerConfig {
                transport: websocket.clone(),
                ..at(self.ws_port)
            },
            ListenerConfig {
                transport: websocket,
                tls: Some(tls),
                ..at(self.wss_port)
            },
        ]
    }

    /// Tries all ports.
    pub(super) fn check_ports(&self, config: &Config) -> Result<(), Failure> {
        let listeners = config.listeners.iter();
        let listeners = listeners.filter_map(|listener| listener.bind.tcp());
        let others = [
            Some(config.api.bind),
            config.ops.as_ref().map(|ops| ops.bind),
        ];
        for address in listeners.chain(others.into_iter().flatten()) {
            listener::bind(address).map_err(|source| {
                self.explain(&StartError::Bind {
                    role: "demo",
                    address: address.into(),
                    source,
                })
            })?;
        }
        Ok(())
    }

    /// Says which option moves a port that is taken.
    pub(super) fn explain(&self, error: &StartError) -> Failure {
        let StartError::Bind { address, .. } = error else {
            return Failure::new(error);
        };
        let flag = match address.tcp().map_or(0, |address| address.port()) {
            port if port == self.mqtt_port => "--mqtt-port",
            port if port == self.tls_port => "--tls-port",
            port if port == self.ws_port => "--ws-port",
            port if port == self.wss_port => "--wss-port",
            port if port == self.http_port => "--http-port",
            port if port == self.ops_port => "--ops-port",
            _ => return Failure::new(error),
        };
        Failure::new(format_args!("{error}; {flag} chooses another port"))
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
