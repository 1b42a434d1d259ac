//! Where a test's registry is kept: a schema of a database.

use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_registry::{PostgresOptions, StoreOptions};
use tokio_postgres::{Client, NoTls};

use crate::server::{Server, shared};

/// A schema of the test's own, and two roles that see it.
pub(crate) struct Home {
    schema: String,
    database: String,
    own_server: Option<Server>,
}

impl Home {
    pub(crate) async fn new() -> Home {
        Home::created(None).await
    }

    /// On a server that the test may stop.
    pub(crate) async fn with_own_server() -> Home {
        Home::created(Some(Server::own())).await
    }

    async fn created(own_server: Option<Server>) -> Home {
        static SCHEMAS: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), SCHEMAS.fetch_add(1, Ordering::Relaxed));
        let home = Home {
            schema: format!("registry_{process}_{number}"),
            database: "postgres".to_owned(),
            own_server,
        };
        let client = home.client().await;
        let create = format!("CREATE SCHEMA {}", home.schema);
        client.batch_execute(&create).await.unwrap();
        for instance in ["one", "two"] {
            let user = home.user(instance);
            let create = format!(
                "CREATE ROLE {user} SUPERUSER LOGIN; ALTER ROLE {user} SET search_path = {}",
                home.schema
            );
            client.batch_execute(&create).await.unwrap();
        }
        home
    }

    /// In a database of its own, made with a clause of `CREATE DATABASE`.
    pub(crate) async fn in_database(how: &str) -> Home {
        let home = Home::new().await;
        let create = format!("CREATE DATABASE {} {how}", home.schema);
        home.client().await.batch_execute(&create).await.unwrap();
        Home {
            database: home.schema.clone(),
            ..home
        }
    }

    pub(crate) fn server(&self) -> &Server {
        self.own_server.as_ref().unwrap_or_else(|| shared())
    }

    fn user(&self, instance: &str) -> String {
        format!("{}_{instance}", self.schema)
    }

    pub(crate) fn store(&self) -> StoreOptions {
        self.store_of("one")
    }

    /// The database as it is for one of two instances.
    pub(crate) fn store_of(&self, instance: &str) -> StoreOptions {
        let url = self
            .server()
            .connection(&self.user(instance), &self.database);
        StoreOptions::Postgres(PostgresOptions::new(url.parse().unwrap()))
    }

    /// Everything that is stored.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        let client = self.client().await;
        let mut bytes = Vec::new();
        for table in ["resource", "claim", "change", "doomed", "state"] {
            let all = format!("SELECT t::text FROM landfall_{table} t");
            for row in client.query(&all, &[]).await.unwrap() {
                bytes.extend_from_slice(row.get::<_, &str>(0).as_bytes());
            }
        }
        bytes
    }

    /// A connection beside those of the registries.
    pub(crate) async fn client(&self) -> Client {
        let how = self.server().connection("postgres", "postgres");
        let (client, connection) = tokio_postgres::connect(&how, NoTls).await.unwrap();
        tokio::spawn(connection);
        let path = format!("SET search_path = {}", self.schema);
        client.batch_execute(&path).await.unwrap();
        client
    }

    /// Cuts all connections of an instance.
    pub(crate) async fn cut(&self, instance: &str) {
        let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1";
        let user = self.user(instance);
        self.client().await.query(cut, &[&user]).await.unwrap();
    }

    /// Cuts an instance off until [`Home::join`].
    pub(crate) async fn part(&self, instance: &str) {
        self.alter(instance, "NOLOGIN").await;
        self.cut(instance).await;
    }

    pub(crate) async fn join(&self, instance: &str) {
        self.alter(instance, "LOGIN").await;
    }

    async fn alter(&self, instance: &str, how: &str) {
        let alter = format!("ALTER ROLE {} {how}", self.user(instance));
        self.client().await.batch_execute(&alter).await.unwrap();
    }
}
