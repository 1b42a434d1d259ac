//! The configured command sources and the line to other instances, ready to run.

use async_nats::{ConnectOptions, ServerAddr};

use super::StartError;
use super::key_material::read;
use crate::cluster::ClusterOptions;
use crate::command::nats::NatsSource;
use crate::config::{CommandSourceConfig, Config, NatsAccess, NatsLogIn};

/// Opens all sources. Remote systems need not be there; files need.
pub(super) fn open_sources(config: &Config) -> Result<Vec<NatsSource>, StartError> {
    let open = |source: &CommandSourceConfig| {
        open_nats(source, config).map_err(|reason| StartError::CommandSource {
            name: source.name.clone(),
            reason,
        })
    };
    config.command_sources.iter().map(open).collect()
}

fn open_nats(source: &CommandSourceConfig, config: &Config) -> Result<NatsSource, String> {
    let nats = source.nats.clone();
    // What is wrong with files is said at the start, where somebody reads it.
    connect_options(&nats.access)?;
    Ok(NatsSource {
        name: source.name.clone(),
        servers: servers(&nats.access)?,
        subjects: nats.subjects.clone(),
        group: nats.group.clone(),
        concurrency: nats.concurrency,
        most_bytes: usize::try_from(config.limits.maximum_packet_size.get()).unwrap_or(usize::MAX),
        options: Box::new(move || connect_options(&nats.access)),
    })
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
