use landfall_registry::document::{
    Address, ApplicationDocument, DeviceDocument, DeviceResource, Document, Invalid, Resource,
    parse_documents,
};
use landfall_registry::{
    Cause, LogIn, LogInError, Options, Outcome, PasswordCost, Presented, Registry, Secrets,
    WriteError,
};
use serde_json::Value;

use crate::home::Home;

/// A registry in a store of its own, with application `app`.
pub(crate) struct Fixture {
    pub(crate) registry: Registry,
    pub(crate) home: Home,
}

/// Argon2id at its cheapest: the tests are about what is done with hashes, not about their cost.
pub(crate) const CHEAP: PasswordCost = PasswordCost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

pub(crate) fn options(home: &Home) -> Options {
    Options {
        store: home.store(),
        password_cost: CHEAP,
        ..Options::default()
    }
}

pub(crate) async fn fixture() -> Fixture {
    fixture_with(|_| {}).await
}

pub(crate) async fn fixture_with(change: impl FnOnce(&mut Options)) -> Fixture {
    fixture_at(Home::new().await, change).await
}

pub(crate) async fn fixture_at(home: Home, change: impl FnOnce(&mut Options)) -> Fixture {
    let mut options = options(&home);
    change(&mut options);
    let registry = Registry::open(options).await.unwrap();
    let fixture = Fixture { registry, home };
    fixture.apply("metadata: { name: app }").await.unwrap();
    fixture
}

impl Fixture {
    pub(crate) async fn apply(&self, yaml: &str) -> Result<Outcome, WriteError> {
        let mut outcome = Outcome::Unchanged;
        for (_, document) in parse_documents(yaml).unwrap() {
            outcome = self.registry.apply(document).await?.outcome;
        }
        Ok(outcome)
    }

    /// Writes device `name` of `app` with a spec in YAML flow style.
    pub(crate) async fn device(&self, name: &str, spec: &str) -> Outcome {
        self.apply(&device_yaml(name, spec)).await.unwrap()
    }

    pub(crate) async fn get(&self, name: &str) -> DeviceResource {
        self.registry
            .get_device("app", name, Secrets::Hidden)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn revealed(&self, name: &str) -> DeviceResource {
        self.registry
            .get_device("app", name, Secrets::Revealed)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn log_in(&self, device: &str, password: &str) -> Result<LogIn, LogInError> {
        self.registry
            .log_in("app", device, Presented::Password(password.as_bytes()))
            .await
    }

    pub(crate) async fn log_in_as(
        &self,
        device: &str,
        user: &str,
        password: &str,
    ) -> Result<LogIn, LogInError> {
        let password = password.as_bytes();
        self.registry
            .log_in("app", device, Presented::UserPassword { user, password })
            .await
    }
}

pub(crate) fn device_yaml(name: &str, spec: &str) -> String {
    format!("metadata: {{ name: '{name}', application: app }}\nspec: {spec}\n")
}

pub(crate) fn parse_device(spec: &str) -> Result<DeviceDocument, Invalid> {
    DeviceDocument::parse(&device_yaml("sensor01", spec), Address::default())
}

pub(crate) fn parse_application(spec: &str) -> Result<ApplicationDocument, Invalid> {
    ApplicationDocument::parse(&format!("metadata: {{ name: app }}\nspec: {spec}\n"), None)
}

/// The only document of a text.
pub(crate) fn document(text: &str) -> Document {
    let mut documents = parse_documents(text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0).1
}

pub(crate) fn json(resource: &impl serde::Serialize) -> Value {
    serde_json::to_value(resource).unwrap()
}

pub(crate) fn cause(result: Result<LogIn, LogInError>) -> Cause {
    match result {
        Err(LogInError::Refused(cause)) => cause,
        other => panic!("not refused: {other:?}"),
    }
}

/// A resource as a document to be written back.
pub(crate) fn written_back(resource: &DeviceResource) -> Document {
    let text = serde_json::to_string(&Resource::Device(resource.clone())).unwrap();
    document(&text)
}
