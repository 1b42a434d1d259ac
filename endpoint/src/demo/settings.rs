//! The demo's options and the configuration they make.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
};

use clap::Args;

use crate::{
    cli::Failure,
    config::{
        ApiConfig, Config, LimitsConfig, ListenerConfig, LogConfig, OpsConfig, RegistryConfig,
        SinkConfig, Transport,
    },
    server::StartError,
};

/// Needs no more file descriptors than any system gives.
const MOST_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(499);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where the demo keeps its files
    #[arg(long, value_name = "DIR", default_value = "./landfall-demo")]
    pub(super) data_dir: PathBuf,
    /// Port of MQTT, on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 1883)]
    mqtt_port: u16,
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
            listeners: vec![ListenerConfig {
                bind: loopback(self.mqtt_port),
                transport: Transport::Mqtt,
                anonymous_device: None,
            }],
            limits: LimitsConfig {
                connections: MOST_CONNECTIONS,
                ..LimitsConfig::default()
            },
            api: ApiConfig {
                bind: loopback(self.http_port),
                token_file: data_dir.join("token"),
                behind_proxy: false,
            },
            ops: Some(OpsConfig {
                bind: loopback(self.ops_port),
            }),
            registry: RegistryConfig::default(),
            sinks: vec![SinkConfig::default_log()],
            log: LogConfig {
                level: self.log_level.clone(),
                ..LogConfig::default()
            },
            data_dir,
        })
    }

    /// Says which option moves a port that is taken.
    pub(super) fn explain(&self, error: &StartError) -> Failure {
        let StartError::Bind { address, .. } = error else {
            return Failure::new(error);
        };
        let flag = match address.port() {
            port if port == self.mqtt_port => "--mqtt-port",
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
