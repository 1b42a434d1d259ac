//! The files in `deploy/`, held against the program that they are for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::Server;
use crate::tools::authority::Authority;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    let path = repository().join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML file.
pub(crate) fn yaml(name: &str) -> Vec<Value> {
    let documents = serde_saphyr::from_multiple(&read(name));
    documents.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn landfall(arguments: &[&str], environment: &BTreeMap<String, String>, folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(arguments).env_clear().envs(environment);
    command.current_dir(folder).output().unwrap()
}

/// The command line is one that the program has: wrong usage is exit code 2.
#[track_caller]
fn check_usage(arguments: &[&str]) {
    let folder = TempDir::new().unwrap();
    let mut elsewhere: Vec<_> = arguments.to_vec();
    for argument in &mut elsewhere {
        if argument.ends_with(".toml") {
            *argument = "missing.toml";
        }
    }
    let run = landfall(&elsewhere, &BTreeMap::new(), folder.path());
    assert_eq!(run.status.code(), Some(1), "{arguments:?}: {run:?}");
}

/// `check-config` takes this text, with the files that it names beside it.
#[track_caller]
fn check_configuration(text: &str, environment: &BTreeMap<String, String>) {
    let folder = TempDir::new().unwrap();
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost"]);
    fs::create_dir(folder.path().join("tls")).unwrap();
    fs::write(folder.path().join("tls/tls.crt"), &issued.chain).unwrap();
    fs::write(folder.path().join("tls/tls.key"), &issued.key).unwrap();
    fs::write(folder.path().join("landfall.toml"), text).unwrap();
    let run = landfall(
        &["check-config", "landfall.toml"],
        environment,
        folder.path(),
    );
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// The ports that a configuration binds.
fn bound_ports(text: &str) -> BTreeSet<u64> {
    let binds = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("bind = "));
    let ports = binds.map(|bind| bind.trim_matches('"').rsplit(':').next().unwrap().parse());
    ports.map(Result::unwrap).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    let values = value.as_array().unwrap();
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

#[test]
fn compose_starts_the_program_with_a_configuration_that_it_takes() {
    let compose = &yaml("compose/compose.yaml")[0];
    let service = &compose["services"]["landfall"];
    check_usage(&strings(&service["command"]));
    let environment: BTreeMap<String, String> =
        serde_json::from_value(service["environment"].clone()).unwrap();
    let text = read("compose/landfall.toml");
    check_configuration(&text, &environment);
    let ports: BTreeSet<u64> = strings(&service["ports"])
        .iter()
        .map(|port| port.rsplit(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ports, bound_ports(&text));
    // What it waits for is there, and is where the configuration looks.
    let services = compose["services"].as_object().unwrap();
    for name in service["depends_on"].as_object().unwrap().keys() {
        assert!(services[name]["healthcheck"].is_object(), "{name}");
    }
    assert!(environment["LANDFALL__REGISTRY__URL"].contains("@postgres:"));
    assert!(text.contains("\"kafka:9092\""));
    let dockerfile = service["build"]["dockerfile"].as_str().unwrap();
    assert!(repository().join(dockerfile).is_file());
    let volumes = compose["volumes"].as_object().unwrap();
    for service in services.values() {
        for volume in strings(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let file = repository().join("deploy/compose").join(source);
            assert!(volumes.contains_key(source) || file.is_file(), "{volume}");
        }
    }
}

#[test]
fn the_image_runs_the_program_as_nobody_and_knows_its_health() {
    let dockerfile = read("Dockerfile");
    // Continued lines are one.
    let text = dockerfile.replace("\\\n", " ");
    let instructions: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let last = |name: &str| {
        let mut found = instructions
            .iter()
            .rev()
            .filter(|(other, _)| *other == name);
        found.next().unwrap_or_else(|| panic!("no {name}")).1.trim()
    };
    let stages: Vec<_> = instructions
        .iter()
        .filter(|(name, _)| *name == "FROM")
        .collect();
    assert_eq!(stages.len(), 2, "built in one stage, run in another");
    assert_eq!(last("FROM"), "scratch");
    assert_ne!(last("USER").split(':').next(), Some("0"));
    let json = |text: &str| -> Vec<String> { serde_json::from_str(text).unwrap() };
    let program = json(last("ENTRYPOINT"));
    assert_eq!(program, ["/usr/bin/landfall"]);
    let arguments = json(last("CMD"));
    check_usage(&arguments.iter().map(String::as_str).collect::<Vec<_>>());

    // Its health check, against a server.
    let (_, check) = last("HEALTHCHECK").split_once("CMD").unwrap();
    let check = json(check.trim());
    assert_eq!(check[0], "/usr/bin/landfall");
    let server = Server::builder().start();
    let here = format!("http://127.0.0.1:{}", server.ops_port());
    let check: Vec<_> = check[1..]
        .iter()
        .map(|word| word.replace("http://127.0.0.1:9090", &here))
        .collect();
    let check: Vec<_> = check.iter().map(String::as_str).collect();
    let folder = TempDir::new().unwrap();
    let run = landfall(&check, &BTreeMap::new(), folder.path());
    assert!(run.status.success(), "{run:?}");
    assert_eq!(String::from_utf8_lossy(&run.stdout), "live\n");
}

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
    let documents = yaml("kubernetes/landfall.yaml");
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

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = read("systemd/landfall.service");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/bin/landfall"));
    check_usage(&words.collect::<Vec<_>>());
    assert!(unit.contains("\nType=notify\n") && unit.contains("\nDynamicUser=yes\n"));
    // systemd's own judgement, where it is installed; the program is not where the unit has it.
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("landfall.service");
    let here = unit.replace("/usr/bin/landfall", env!("CARGO_BIN_EXE_landfall"));
    fs::write(&file, here).unwrap();
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output();
    let Ok(verified) = verify else { return };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && !said.contains("landfall.service"),
        "{said}"
    );
}

#[test]
fn kernel_settings_are_names_and_numbers() {
    for line in read("sysctl.d/90-landfall.conf").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
        assert!(
            ["fs.", "net."].iter().any(|start| name.starts_with(start)),
            "{line}"
        );
        let numbers = value.split(' ').map(str::parse::<u64>);
        assert!(numbers.into_iter().all(|number| number.is_ok()), "{line}");
        // Modules bring some of them, and network namespaces hide others.
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        if let Ok(now) = fs::read_to_string(path) {
            let numbers = now.split_whitespace().count();
            assert_eq!(numbers, value.split(' ').count(), "{line}: now {now}");
        }
    }
}

#[test]
fn the_debian_package_takes_files_that_there_are() {
    let manifest = fs::read_to_string(repository().join("endpoint/Cargo.toml")).unwrap();
    let (_, package) = manifest.split_once("[package.metadata.deb]").unwrap();
    let (package, _) = package.split_once("\n[").unwrap();
    let quoted: Vec<_> = package.split('"').skip(1).step_by(2).collect();
    let sources: Vec<_> = quoted
        .iter()
        .filter(|text| text.starts_with("../"))
        .collect();
    assert!(sources.len() >= 5, "{sources:?}");
    for source in sources {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        assert!(path.exists(), "{source}");
    }
    assert!(package.contains("[\"target/release/landfall\", \"usr/bin/\", \"755\"]"));
    let unit = read("systemd/landfall.service");
    assert!(unit.contains("--config /etc/landfall/landfall.toml"));
    assert!(package.contains("\"etc/landfall/landfall.toml\""));
}
