//! The configured sinks, opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use landfall_events::sink::blackhole::Blackhole;
use landfall_events::sink::file::{self, FileOptions};
use landfall_events::sink::http::{self, Endpoints, HttpAuthorization, HttpOptions, HttpTls};
#[cfg(feature = "kafka")]
use landfall_events::sink::kafka::{self, KafkaOptions};
use landfall_events::sink::log::{LogOptions, LogReader, LogSink, Retention};
use landfall_events::sink::mqtt::{self, MqttOptions, MqttTls};
use landfall_events::sink::nats::{self, NatsCredentials, NatsOptions, NatsTls};
use landfall_events::sink::stdout;
use landfall_events::sink::{Health, Sink, SpillOptions};
use landfall_registry::Registry;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::key_material::{self, read};
use super::start::StartError;
#[cfg(feature = "kafka")]
use crate::config::KafkaSinkConfig;
use crate::config::{
    Config, FileSinkConfig, HttpLogIn, HttpSinkConfig, LogSinkConfig, MqttSinkConfig, NatsLogIn,
    NatsSinkConfig, SinkConfig, SinkKind, TlsClientConfig,
};
use crate::endpoints::ApplicationEndpoints;
use crate::sinks::{Sinks, Target};

type Opened = Result<Arc<dyn Sink>, String>;

/// Opens all sinks. Remote systems need not be there; files need.
pub(super) fn open_sinks(config: &Config, registry: &Registry) -> Result<Sinks, StartError> {
    let mut reader = None;
    let endpoints: Arc<dyn Endpoints> = Arc::new(ApplicationEndpoints::new(registry.clone()));
    let mut sinks = Vec::with_capacity(config.sinks.len());
    for (index, sink) in config.sinks.iter().enumerate() {
        let opened = open_sink(sink, config, &endpoints, &mut reader);
        let opened = opened.map_err(|reason| StartError::Sink {
            name: sink.name.clone(),
            reason,
        })?;
        sinks.push(Target {
            sink: opened,
            kind: sink.kind.name(),
            index,
            required: sink.required,
        });
    }
    Ok(Sinks::new(sinks, reader))
}

/// Waits for the other systems of the sinks that are to fail fast.
pub(super) async fn reach(config: &Config, sinks: &Sinks) -> Result<(), StartError> {
    let sinks = config.sinks.iter().zip(sinks.all().iter());
    for (_, target) in sinks.filter(|(config, _)| config.fail_fast) {
        let sink = target.sink.as_ref();
        let reached = reach_one(sink).await;
        reached.map_err(|reason| StartError::Sink {
            name: sink.name().to_owned(),
            reason,
        })?;
    }
    Ok(())
}

async fn reach_one(sink: &dyn Sink) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(10);
    const PAUSE: Duration = Duration::from_millis(20);
    let end = Instant::now() + PATIENCE;
    loop {
        match sink.health() {
            Health::Up => return Ok(()),
            Health::Failing { reason, .. } if Instant::now() >= end => {
                return Err(format!("fail_fast: {reason}"));
            }
            Health::Failing { .. } => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn open_sink(
    sink: &SinkConfig,
    config: &Config,
    endpoints: &Arc<dyn Endpoints>,
    reader: &mut Option<LogReader>,
) -> Opened {
    let name = sink.name.as_str();
    let spill = spill(sink, config);
    Ok(match &sink.kind {
        SinkKind::Log(options) => {
            let log = open_log(name, options, config)?;
            reader.get_or_insert(log.reader());
            Arc::new(log)
        }
        SinkKind::Stdout(options) => Arc::new(said(stdout::start(name, options.queue_bytes))?),
        SinkKind::File(options) => Arc::new(said(file::start(name, file_options(options)))?),
        SinkKind::Mqtt(options) => {
            Arc::new(said(mqtt::start(name, mqtt_options(options, spill)?))?)
        }
        SinkKind::Http(options) => Arc::new(said(http::start(
            name,
            http_options(options, endpoints, spill)?,
        ))?),
        SinkKind::Nats(options) => {
            Arc::new(said(nats::start(name, nats_options(options, spill)?))?)
        }
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(options) => {
            Arc::new(said(kafka::start(name, kafka_options(options, spill)?))?)
        }
        SinkKind::Blackhole => Arc::new(Blackhole::new(name)),
    })
}

fn open_log(name: &str, options: &LogSinkConfig, config: &Config) -> Result<LogSink, String> {
    let log = LogOptions {
        queue_bytes: options.queue_bytes,
        retention: Retention {
            bytes: options.retention_bytes,
            age: options.retention_age,
        },
        ..LogOptions::new(config.events_file())
    };
    said(LogSink::open(name, log))
}

/// Where the sink spills to. What an earlier configuration has spilled is not forgotten in silence.
fn spill(sink: &SinkConfig, config: &Config) -> Option<SpillOptions> {
    let path = config.spill_file(&sink.name);
    if sink.spill.is_none() && path.exists() {
        tracing::warn!(
            sink = sink.name,
            file = %path.display(),
            "events that were spilled are not sent: the sink has no `spill` any more"
        );
    }
    sink.spill.map(|bytes| SpillOptions { path, bytes })
}

fn file_options(config: &FileSinkConfig) -> FileOptions {
    FileOptions {
        path: config.path.clone(),
        rotate_bytes: config.rotate_bytes,
        keep: config.keep,
        queue_bytes: config.queue_bytes,
    }
}

fn http_options(
    config: &HttpSinkConfig,
    endpoints: &Arc<dyn Endpoints>,
    spill: Option<SpillOptions>,
) -> Result<HttpOptions, String> {
    Ok(HttpOptions {
        mode: config.mode,
        headers: headers(&config.headers)?,
        authorization: match &config.authorization {
            HttpLogIn::None => HttpAuthorization::None,
            HttpLogIn::Bearer(token) => HttpAuthorization::Bearer(token.read()?),
            HttpLogIn::Basic(username, password) => HttpAuthorization::Basic {
                username: username.clone(),
                password: password.read()?,
            },
        },
        tls: http_tls(&config.tls)?,
        timeout: config.timeout,
        concurrency: config.concurrency.get(),
        batch_events: config.batch_events,
        batch_bytes: config.batch_bytes,
        queue_bytes: config.queue_bytes,
        endpoints: Some(Arc::clone(endpoints)),
        spill,
        ..HttpOptions::new(config.url.clone())
    })
}

/// Values are not shown: they may be keys.
fn headers(headers: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let parse = |(name, value): (&String, &String)| {
        let parsed = HeaderName::try_from(name).ok();
        let header = parsed.zip(HeaderValue::from_str(value).ok());
        header.ok_or_else(|| format!("`headers`: {name} or its value is no header"))
    };
    headers.iter().map(parse).collect()
}

fn http_tls(config: &TlsClientConfig) -> Result<HttpTls, String> {
    Ok(HttpTls {
        trust: key_material::trust(config)?,
        identity: key_material::identity(config)?,
        any_host_name: config.any_host_name,
    })
}

fn mqtt_options(
    config: &MqttSinkConfig,
    spill: Option<SpillOptions>,
) -> Result<MqttOptions, String> {
    let broker = &config.broker;
    let uuid = uuid::Uuid::new_v4().to_string();
    let part = uuid.split('-').next().unwrap_or_default();
    let client_id = format!("{}-{part}", config.client_id_prefix);
    let log_in = config.log_in.as_ref();
    let credentials = log_in.map(|(user, password)| Ok((user.clone(), password.read()?)));
    let tls = || {
        Ok::<_, String>(MqttTls {
            trust: key_material::trust(&config.tls)?,
            identity: key_material::identity(&config.tls)?,
            any_host_name: config.tls.any_host_name,
        })
    };
    let topic = config.topic.clone();
    Ok(MqttOptions {
        version: config.version,
        mode: config.mode,
        retain: config.retain,
        message_expiry: config.message_expiry,
        response_topic: config.response_topic.clone(),
        session_expiry: config.session_expiry,
        credentials: credentials.transpose().map_err(|error: String| error)?,
        tls: broker.tls.then(tls).transpose()?,
        timeout: config.timeout,
        reconnect_attempts: config.reconnect_attempts,
        maximum_packet_size: config.maximum_packet_size,
        window: config.window,
        queue_bytes: config.queue_bytes,
        spill,
        ..MqttOptions::new(broker.host.as_str(), broker.port, client_id, topic)
    })
}

fn nats_options(
    config: &NatsSinkConfig,
    spill: Option<SpillOptions>,
) -> Result<NatsOptions, String> {
    let options = said(NatsOptions::new(&config.servers, config.subject.clone()))?;
    // The client reads them when it connects; what is missing is to be named now.
    let identity = config.tls.identity.as_ref();
    let files = identity.into_iter().flat_map(|(chain, key)| [chain, key]);
    for path in files.chain(&config.tls.trust) {
        read(path)?;
    }
    Ok(NatsOptions {
        mode: config.mode,
        credentials: match &config.credentials {
            NatsLogIn::None => NatsCredentials::None,
            NatsLogIn::File(path) => {
                let text = String::from_utf8(read(path)?);
                let text = text.map_err(|_| format!("{}: not a text", path.display()))?;
                NatsCredentials::File(text)
            }
            NatsLogIn::Token(token) => NatsCredentials::Token(token.read()?),
            NatsLogIn::User(user, password) => NatsCredentials::User {
                user: user.clone(),
                password: password.read()?,
            },
        },
        tls: NatsTls {
            required: config.require_tls,
            trust: config.tls.trust.clone(),
            identity: identity.cloned(),
        },
        window: config.window,
        timeout: config.timeout,
        queue_bytes: config.queue_bytes,
        spill,
        ..options
    })
}

#[cfg(feature = "kafka")]
fn kafka_options(
    config: &KafkaSinkConfig,
    spill: Option<SpillOptions>,
) -> Result<KafkaOptions, String> {
    let mut properties = config.properties.clone();
    properties.insert("bootstrap.servers".to_owned(), config.brokers.clone());
    if let Some((username, password)) = &config.log_in {
        properties.insert("sasl.username".to_owned(), username.clone());
        properties.insert("sasl.password".to_owned(), password.read()?);
    }
    let mut options = said(KafkaOptions::new(config.topic.clone(), properties))?;
    options.mode = config.mode;
    options.window = config.window;
    options.queue_bytes = config.queue_bytes;
    options.spill = spill;
    Ok(options)
}

/// An error as the operator is to read it.
fn said<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
