//! Whether somebody answers where the systems are to be that the server needs: the registry's store,
//! those of sinks and command sources, the cluster's, the collector of traces.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};
use url::Url;

use crate::config::{CommandSourceConfig, Config, SinkConfig, SinkKind, SourceKind};

use super::Finding;

/// For a name to be resolved and a connection to be made.
const PATIENCE: Duration = Duration::from_secs(5);

const NATS_PORT: u16 = 4222;
const HTTP_PORT: u16 = 80;

/// Host and port.
type Address = (String, u16);

pub(super) async fn examine(config: &Config, findings: &mut Vec<Finding>) {
    if let Some(url) = &config.registry.url {
        one_of("registry", url.addresses(), findings).await;
    }
    for sink in &config.sinks {
        if let Some(addresses) = of_sink(sink) {
            one_of(&format!("sink {}", sink.name), addresses, findings).await;
        }
    }
    for source in &config.command_sources {
        let what = format!("command source {}", source.name);
        one_of(&what, of_source(source), findings).await;
    }
    if let Some(cluster) = &config.cluster {
        let servers = hosts(&cluster.access.servers, NATS_PORT);
        one_of("[cluster]", servers, findings).await;
    }
    if let Some(telemetry) = &config.telemetry {
        let collector = hosts(std::slice::from_ref(&telemetry.otlp_endpoint), HTTP_PORT);
        one_of("[telemetry]", collector, findings).await;
    }
}

/// One that answers is enough; those that do not are named.
async fn one_of(what: &str, addresses: Vec<Address>, findings: &mut Vec<Finding>) {
    let mut answering = 0;
    let mut silent = Vec::new();
    for (host, port) in addresses {
        let name = format!("{host}:{port}");
        match timeout(PATIENCE, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => answering += 1,
            Ok(Err(error)) => silent.push(format!("{name}: {error}")),
            Err(_) => silent.push(format!("{name}: no answer in time")),
        }
    }
    findings.push(match (answering, silent.is_empty()) {
        (0, true) => return,
        (0, false) => Finding::bad(what, silent.join("; ")),
        (_, true) => Finding::good(what, "its system can be reached"),
        (_, false) => Finding::warning(what, silent.join("; ")),
    });
}

/// Where a sink's system is; `None`: it needs none.
fn of_sink(sink: &SinkConfig) -> Option<Vec<Address>> {
    match &sink.kind {
        #[cfg(feature = "kafka")]
        SinkKind::Kafka(kafka) => Some(brokers(&kafka.brokers)),
        SinkKind::Nats(nats) => Some(hosts(&nats.servers, NATS_PORT)),
        SinkKind::Http(http) => Some(hosts(&[http.url.example()], HTTP_PORT)),
        SinkKind::Mqtt(mqtt) => Some(vec![(mqtt.broker.host.clone(), mqtt.broker.port)]),
        SinkKind::Log(_) | SinkKind::Stdout(_) | SinkKind::File(_) | SinkKind::Blackhole => None,
    }
}

/// Where a command source's system is.
fn of_source(source: &CommandSourceConfig) -> Vec<Address> {
    match &source.kind {
        #[cfg(feature = "kafka")]
        SourceKind::Kafka(kafka) => brokers(&kafka.brokers),
        SourceKind::Nats(nats) => hosts(&nats.access.servers, NATS_PORT),
        SourceKind::Mqtt(mqtt) => vec![(mqtt.broker.host.clone(), mqtt.broker.port)],
    }
}

/// Out of Kafka's list, joined by commas.
#[cfg(feature = "kafka")]
fn brokers(list: &str) -> Vec<Address> {
    let brokers = list.split(',').map(|broker| broker.trim().to_owned());
    hosts(&brokers.collect::<Vec<_>>(), 9092)
}

/// Out of URLs, or of `host` and `host:port`.
fn hosts(texts: &[String], default_port: u16) -> Vec<Address> {
    let address = |text: &String| {
        let url = match text.contains("://") {
            true => Url::parse(text),
            false => Url::parse(&format!("tcp://{text}")),
        };
        let url = url.ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(default_port);
        Some((host, port))
    };
    texts.iter().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn addresses_are_taken_out_of_every_notation() {
        for (text, host, port) in [
            ("broker", "broker", 9092),
            ("broker:9093", "broker", 9093),
            ("[::1]:9093", "::1", 9093),
            ("nats://user:secret@n1:4223", "n1", 4223),
            ("https://events.example/in", "events.example", 443),
        ] {
            assert_eq!(hosts(&[text.to_owned()], 9092), [(host.to_owned(), port)]);
        }
    }

    #[tokio::test]
    async fn one_that_answers_is_enough_and_the_silent_are_named() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = (
            "127.0.0.1".to_owned(),
            listener.local_addr().unwrap().port(),
        );
        let closed = ("127.0.0.1".to_owned(), 1);
        let mut findings = Vec::new();
        one_of("sink a", vec![closed.clone()], &mut findings).await;
        one_of("sink b", vec![closed, open.clone()], &mut findings).await;
        one_of("sink c", vec![open], &mut findings).await;
        drop(listener);
        let verdicts: Vec<_> = findings.iter().map(|finding| finding.verdict).collect();
        assert_eq!(
            verdicts,
            [Verdict::Bad, Verdict::Warning, Verdict::Good],
            "{findings:?}"
        );
        assert!(findings[1].text.contains("127.0.0.1:1"), "{findings:?}");
    }
}
