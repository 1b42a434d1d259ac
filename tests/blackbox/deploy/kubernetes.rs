//! The Kubernetes manifests: against the schemas of Kubernetes, each other, and the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{bound_ports, check_configuration, check_usage, strings, yaml};
use crate::harness::Server;
use crate::tools::paho;

const MANIFESTS: &str = "kubernetes/landfall.yaml";

/// The oldest Kubernetes that knows all that the manifests say (`preStop.sleep`), and a newer one.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// The only document of its kind and name.
fn resource<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |document: &&Value| document["kind"] == kind && document["metadata"]["name"] == name;
    let mut found = documents.iter().filter(is);
    let first = found.next().unwrap_or_else(|| panic!("no {kind} {name}"));
    assert!(found.next().is_none(), "two of {kind} {name}");
    first
}

#[test]
fn kubernetes_manifests_fit_together_and_the_program() {
    let documents = yaml(MANIFESTS);
    let kinds = [
        ("ServiceAccount", "v1"),
        ("ConfigMap", "v1"),
        ("Deployment", "apps/v1"),
        ("Service", "v1"),
        ("HorizontalPodAutoscaler", "autoscaling/v2"),
        ("PodDisruptionBudget", "policy/v1"),
        ("NetworkPolicy", "networking.k8s.io/v1"),
    ];
    for document in &documents {
        let kind = document["kind"].as_str().unwrap();
        let version = kinds.iter().find(|(name, _)| *name == kind);
        let (_, version) = version.unwrap_or_else(|| panic!("unexpected {kind}"));
        assert_eq!(document["apiVersion"], *version, "{kind}");
        assert!(document["metadata"]["name"].is_string(), "{kind}");
    }
    let of = |kind: &str| resource(&documents, kind, "landfall");
    let deployment = &of("Deployment")["spec"];
    let pod = &deployment["template"]["spec"];
    let container = &pod["containers"][0];
    check_usage(&strings(&container["args"]));

    let text = of("ConfigMap")["data"]["landfall.toml"].as_str().unwrap();
    let mut environment = BTreeMap::new();
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap().to_owned();
        let value = match name.as_str() {
            "LANDFALL__REGISTRY__URL" => "postgres://u:p@postgres:5432/landfall",
            _ => "landfall-7d4b9",
        };
        environment.insert(name, value.to_owned());
    }
    check_configuration(text, &environment);

    // Ports: configured, opened, served.
    let ports: BTreeMap<&str, u64> = container["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| {
            (
                port["name"].as_str().unwrap(),
                port["containerPort"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        ports.values().copied().collect::<BTreeSet<_>>(),
        bound_ports(text)
    );
    for service in ["landfall", "landfall-api"] {
        let spec = &resource(&documents, "Service", service)["spec"];
        assert_eq!(spec["selector"], deployment["selector"]["matchLabels"]);
        for port in spec["ports"].as_array().unwrap() {
            assert!(
                ports.contains_key(port["targetPort"].as_str().unwrap()),
                "{port}"
            );
        }
    }
    assert!(
        text.contains("proxy_protocol = [\""),
        "the balancer speaks it"
    );
    let server = Server::builder().start();
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], "ops");
        server
            .ops()
            .get(get["path"].as_str().unwrap())
            .expect_status(200);
    }

    // Who is selected, scaled, and kept.
    let labels = &deployment["template"]["metadata"]["labels"];
    assert_eq!(deployment["selector"]["matchLabels"], *labels);
    let selector = &of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"];
    assert_eq!(selector, labels);
    let policy = &of("NetworkPolicy")["spec"];
    assert_eq!(policy["podSelector"]["matchLabels"], *labels);
    for rule in policy["ingress"].as_array().unwrap() {
        for port in rule["ports"].as_array().unwrap() {
            assert!(ports.contains_key(port["port"].as_str().unwrap()), "{port}");
        }
    }
    let scaler = &of("HorizontalPodAutoscaler")["spec"];
    assert_eq!(scaler["scaleTargetRef"]["name"], "landfall");
    let metric = scaler["metrics"][0]["pods"]["metric"]["name"]
        .as_str()
        .unwrap();
    let metrics = server.ops().get("/metrics").expect_status(200).text();
    assert!(
        metrics.contains(&format!("# TYPE {metric} gauge")),
        "{metric}"
    );

    // Nobody's rights, and time enough to say goodbye.
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(
        container["securityContext"]["allowPrivilegeEscalation"],
        false
    );
    let volumes = pod["volumes"].as_array().unwrap();
    for mount in container["volumeMounts"].as_array().unwrap() {
        let named = volumes.iter().any(|volume| volume["name"] == mount["name"]);
        assert!(named, "no volume for {mount}");
    }
    let seconds = |key: &str| -> u64 {
        let (_, rest) = text.split_once(&format!("{key} = \"")).unwrap();
        rest.split('s').next().unwrap().parse().unwrap()
    };
    let slept = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        .as_u64()
        .unwrap();
    let needed = slept + seconds("drain_spread") + 2 * seconds("drain_timeout");
    let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(given > needed, "{given} s for {needed} s");
}

/// The folder of Kubernetes' schemas, one for each version, in which unknown fields are errors.
fn schemas() -> PathBuf {
    let find = "import importlib.util as u; print(u.find_spec('kubernetes_validate').submodule_search_locations[0])";
    let found = Command::new(paho::python()).args(["-c", find]).output();
    let found = found.expect("the Python of ./tests/run");
    assert!(found.status.success(), "{found:?}");
    let package = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    package.join("kubernetes-json-schema")
}

/// The schema of a kind in a version of Kubernetes.
fn validator(version: &str, document: &Value) -> jsonschema::Validator {
    let folder = schemas().join(format!("v{version}.0-local-strict"));
    let load = |name: &str| -> Value {
        let file = folder.join(name);
        let text = fs::read_to_string(&file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        // All in one document.
        serde_json::from_str(&text.replace("/api/_definitions.json#", "#")).unwrap()
    };
    let kind = document["kind"].as_str().unwrap().to_lowercase();
    let group = document["apiVersion"].as_str().unwrap();
    let group = match group.split_once('/') {
        Some((name, version)) => format!("{}-{version}", name.split('.').next().unwrap()),
        None => group.to_owned(),
    };
    let mut schema = load(&format!("{kind}-{group}.json"));
    let whole = schema.as_object_mut().unwrap();
    whole.remove("$id");
    whole.insert(
        "$defs".to_owned(),
        load("_definitions.json")["$defs"].take(),
    );
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn kubernetes_manifests_fit_the_schemas_of_kubernetes() {
    let documents = yaml(MANIFESTS);
    for version in VERSIONS {
        for document in &documents {
            let (kind, name) = (&document["kind"], &document["metadata"]["name"]);
            let schema = validator(version, document);
            let errors: Vec<_> = schema.iter_errors(document).collect();
            assert!(errors.is_empty(), "{version}: {kind} {name}: {errors:#?}");
            // A word that Kubernetes does not know would not pass.
            let mut wrong = document.clone();
            wrong["metadata"]["labelz"] = json!({});
            assert!(!schema.is_valid(&wrong), "{version}: {kind} {name}");
        }
    }
}
