//! The configured command sources and the line to other instances, ready to run.

use std::sync::Arc;

use async_nats::{ConnectOptions, ServerAddr};
use landfall_events::sink::mqtt::MqttTls;
use prometheus::IntGauge;

use super::StartError;
use super::key_material::{self, read};
use crate::cluster::ClusterOptions;
#[cfg(feature = "kafka")]
use crate::command::kafka::{KafkaAccess, KafkaSource};
use crate::command::mqtt::MqttSource;
use crate::command::nats::NatsSource;
use crate::command::{self, CommandHub};
#[cfg(feature = "kafka")]
use crate::config::KafkaSourceConfig;
use crate::config::{
    Config, MqttSourceConfig, NatsAccess, NatsLogIn, NatsSourceConfig, SourceKind,
};

/// A command source, ready to run.
pub(super) enum Source {
    Nats(NatsSource),
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaSource>),
    Mqtt(Box<MqttSource>),
}

impl Source {
    /// Its configured name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Nats(source) => &source.name,
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => &source.name,
            Self::Mqtt(source) => &source.name,
        }
    }

    /// Takes commands until it is dropped.
    pub(super) async fn run(self, hub: Arc<CommandHub>, up: IntGauge) {
        match self {
            Self::Nats(source) => command::nats::run(source, hub, up).await,
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => command::kafka::run(*source, hub, up).await,
            Self::Mqtt(source) => command::mqtt::run(*source, hub, up).await,
        }
    }
}

/// Opens all sources. Remote systems need not be there; files need.
pub(super) fn open_sources(config: &Config) -> Result<Vec<Source>, StartError> {
    let mut sources = Vec::with_capacity(config.command_sources.len());
    for source in &config.command_sources {
        let name = &source.name;
        let opened = match &source.kind {
            SourceKind::Nats(nats) => open_nats(name, nats.as_ref().clone(), config),
            #[cfg(feature = "kafka")]
            SourceKind::Kafka(kafka) => open_kafka(name, kafka, config),
            SourceKind::Mqtt(mqtt) => open_mqtt(name, mqtt, config),
        };
        sources.push(opened.map_err(|reason| StartError::CommandSource {
            name: name.clone(),
            reason,
        })?);
    }
    Ok(sources)
}

/// Largest payload of a command.
fn most_bytes(config: &Config) -> usize {
    usize::try_from(config.limits.maximum_packet_size.get()).unwrap_or(usize::MAX)
}

#[cfg(feature = "kafka")]
fn open_kafka(name: &str, kafka: &KafkaSourceConfig, config: &Config) -> Result<Source, String> {
    let mut properties = kafka.properties.clone();
    if let Some((username, password)) = &kafka.log_in {
        properties.insert("sasl.username".to_owned(), username.clone());
        properties.insert("sasl.password".to_owned(), password.read()?);
    }
    let access = KafkaAccess {
        brokers: kafka.brokers.clone(),
        group: kafka.group.clone(),
        properties,
    };
    let instance = config.instance.as_str().into();
    let mut source = KafkaSource::new(name, &access, &kafka.topic, instance)?;
    source.reply_topic.clone_from(&kafka.reply_topic);
    source.concurrency = kafka.concurrency;
    source.most_bytes = most_bytes(config);
    Ok(Source::Kafka(Box::new(source)))
}

fn open_mqtt(name: &str, mqtt: &MqttSourceConfig, config: &Config) -> Result<Source, String> {
    let MqttSourceConfig {
        broker,
        client_id,
        topic,
        ..
    } = mqtt;
    let filter = match mqtt.shared {
        true => format!("$share/{client_id}/{topic}"),
        false => topic.clone(),
    };
    let own_id = format!("{client_id}-{}", config.instance);
    let tls = || {
        Ok::<_, String>(MqttTls {
            trust: key_material::trust(&mqtt.tls)?,
            identity: key_material::identity(&mqtt.tls)?,
            any_host_name: mqtt.tls.any_host_name,
        })
    };
    let tls = broker.tls.then(tls).transpose()?;
    let at = (broker.host.as_str(), broker.port);
    let mut source = MqttSource::new(name, at, (own_id, filter), tls.as_ref())?;
    let log_in = mqtt.log_in.as_ref();
    let credentials = log_in.map(|(user, password)| Ok((user.clone(), password.read()?)));
    source.credentials = credentials.transpose().map_err(|error: String| error)?;
    source.version = mqtt.version;
    source.session_expiry = mqtt.session_expiry;
    source.concurrency = u16::try_from(mqtt.concurrency).unwrap_or(u16::MAX);
    source.most_bytes = most_bytes(config);
    source.instance = config.instance.as_str().into();
    Ok(Source::Mqtt(Box::new(source)))
}

fn open_nats(name: &str, nats: NatsSourceConfig, config: &Config) -> Result<Source, String> {
    // What is wrong with files is said at the start, where somebody reads it.
    connect_options(&nats.access)?;
    Ok(Source::Nats(NatsSource {
        name: name.to_owned(),
        servers: servers(&nats.access)?,
        subjects: nats.subjects.clone(),
        group: nats.group.clone(),
        concurrency: nats.concurrency,
        most_bytes: most_bytes(config),
        options: Box::new(move || connect_options(&nats.access)),
    }))
}

/// Opens the line to the other instances, if there may be any.
pub(super) fn open_cluster(config: &Config) -> Result<Option<ClusterOptions>, StartError> {
    let Some(cluster) = config.cluster.clone() else {
        return Ok(None);
    };
    let open = || {
        connect_options(&cluster.access)?;
        Ok(ClusterOptions {
            servers: servers(&cluster.access)?,
            prefix: cluster.prefix.clone(),
            connect: Box::new(move || connect_options(&cluster.access)),
        })
    };
    open().map(Some).map_err(StartError::Cluster)
}

fn servers(access: &NatsAccess) -> Result<Vec<ServerAddr>, String> {
    let parse = |server: &String| {
        let parsed = server.parse::<ServerAddr>();
        parsed.map_err(|_| "a server is not an address".to_owned())
    };
    access.servers.iter().map(parse).collect()
}

fn connect_options(nats: &NatsAccess) -> Result<ConnectOptions, String> {
    let options = ConnectOptions::new().require_tls(nats.require_tls);
    let options = match &nats.credentials {
        NatsLogIn::None => options,
        NatsLogIn::File(path) => {
            let text = String::from_utf8(read(path)?);
            let text = text.map_err(|_| format!("{}: not a text", path.display()))?;
            let with = options.credentials(&text);
            with.map_err(|error| format!("the credentials file is none: {error}"))?
        }
        NatsLogIn::Token(token) => options.token(token.read()?),
        NatsLogIn::User(user, password) => {
            options.user_and_password(user.clone(), password.read()?)
        }
    };
    let identity = nats.tls.identity.as_ref();
    let files = identity.into_iter().flat_map(|(chain, key)| [chain, key]);
    for path in files.chain(&nats.tls.trust) {
        read(path)?;
    }
    let options = match &nats.tls.trust {
        Some(path) => options.add_root_certificates(path.clone()),
        None => options,
    };
    Ok(match identity {
        Some((chain, key)) => options.add_client_certificate(chain.clone(), key.clone()),
        None => options,
    })
}
