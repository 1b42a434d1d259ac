//! What is said of the metrics (their page, the dashboard, the alert rules) against what a running
//! server shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::deploy::{repository, yaml};
use crate::harness::Server;
use crate::harness::wait;
use crate::wire::{Client, Version};

/// Labels of each metric; those of a histogram are its own and `le`.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// A server that has done a little of everything.
fn exercised() -> Metrics {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    sensor.subscribe("command/inbox//#", 1);
    sensor.publish_1("t", b"1");
    sensor.publish_1("a/b/c", b"1");
    server.command("nobody", "x", b"");
    wait::until("metrics of a publish", || {
        let text = server.ops().get("/metrics").expect_status(200).text();
        let none = "landfall_publish_acknowledge_seconds_count 0";
        (!text.contains(none)).then(|| shown(&text))
    })
}

/// The metrics of a text in Prometheus' format, by the names of their families.
fn shown(text: &str) -> Metrics {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families = types.map(|line| line.split(' ').next().unwrap());
    let mut metrics: Metrics = families
        .map(|name| (name.to_owned(), BTreeSet::new()))
        .collect();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = sample.split_once(['{', ' ']).unwrap();
        let family = family(name, &metrics).unwrap_or_else(|| panic!("{sample} has no type"));
        let labels = match sample.contains('{') {
            true => label_names(labels.split_once('}').unwrap().0),
            false => BTreeSet::new(),
        };
        metrics.get_mut(&family).unwrap().extend(labels);
    }
    metrics
}

/// The metric that a series belongs to.
fn family(series: &str, metrics: &Metrics) -> Option<String> {
    let of_histogram = ["_bucket", "_sum", "_count"];
    let stems = of_histogram
        .iter()
        .filter_map(|end| series.strip_suffix(end));
    [series]
        .into_iter()
        .chain(stems)
        .find(|name| metrics.contains_key(*name))
        .map(str::to_owned)
}

/// The names in `a="x",b=~"y"`.
fn label_names(labels: &str) -> BTreeSet<String> {
    let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split(['=', '!']).next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn the_page_names_every_metric_with_its_labels() {
    let shown = exercised();
    let page = fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let mut documented = Metrics::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row
            .split(" |")
            .map(|cell| cell.trim_matches(['|', ' ']))
            .collect();
        let labels = cells[2]
            .split(',')
            .map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        documented.insert(cells[0].trim_matches('`').to_owned(), labels.collect());
    }
    // Not there without a command source, of which this server has none.
    assert!(documented.remove("landfall_command_source_up").is_some());
    let shown: Metrics = shown
        .into_iter()
        .map(|(name, labels)| {
            let labels = labels.into_iter().filter(|label| label != "le");
            (name, labels.collect())
        })
        .collect();
    assert_eq!(documented, shown);
}

#[test]
fn the_number_of_series_is_bounded() {
    let server = Server::shared();
    for tag in 0..4 {
        let mut sensor = Client::device_as(&server, Version::V5, "sensor01", tag);
        sensor.publish_1(&format!("channel{tag}"), b"1");
    }
    let text = server.ops().get("/metrics").expect_status(200).text();
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series < 250, "{series} series:\n{text}");
}

/// Each metric and label in a query is one of the server's.
#[track_caller]
fn check_query(query: &str, metrics: &Metrics) {
    let names = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: Vec<_> = names
        .filter(|word| word.starts_with("landfall_") || word.starts_with("process_"))
        .collect();
    assert!(!named.is_empty(), "no metric in {query}");
    let mut labels = BTreeSet::from(["instance".to_owned(), "le".to_owned()]);
    for name in named
        .iter()
        .filter(|name| **name != "landfall_command_source_up")
    {
        let family = family(name, metrics).unwrap_or_else(|| panic!("no metric {name}: {query}"));
        labels.extend(metrics[&family].iter().cloned());
        let is_histogram = family != **name;
        assert_eq!(
            metrics[&family].contains("le"),
            is_histogram,
            "{name}: {query}"
        );
    }
    let selectors = query
        .split('{')
        .skip(1)
        .map(|rest| rest.split('}').next().unwrap());
    for label in selectors.flat_map(label_names) {
        assert!(labels.contains(&label), "no label {label}: {query}");
    }
    for grouped in query.split("by (").skip(1) {
        for label in grouped.split(')').next().unwrap().split(',') {
            assert!(labels.contains(label.trim()), "no label {label}: {query}");
        }
    }
}

#[test]
fn dashboard_and_alerts_ask_for_what_there_is() {
    let metrics = exercised();
    let dashboard = fs::read(repository().join("deploy/grafana/landfall.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut queries = 0;
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            check_query(target["expr"].as_str().unwrap(), &metrics);
            queries += 1;
        }
    }
    assert!(queries > 30, "{queries}");
    let rules = &yaml("prometheus/alerts.yaml")[0];
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 10);
    for rule in rules {
        check_query(rule["expr"].as_str().unwrap(), &metrics);
        for text in ["summary", "severity"] {
            let given = rule["annotations"].get(text).or(rule["labels"].get(text));
            assert!(
                given.is_some_and(serde_json::Value::is_string),
                "{text}: {rule}"
            );
        }
        let summary = rule["annotations"]["summary"].as_str().unwrap();
        for label in summary.split("$labels.").skip(1) {
            let label = label.split(' ').next().unwrap();
            let known = metrics.values().any(|labels| labels.contains(label));
            assert!(known || label == "source", "no label {label}: {summary}");
        }
    }
}
