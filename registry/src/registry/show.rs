//! What applications and devices have in common when resources are read.

use crate::document::{Invalid, ShownMetadata, Spec, read_stored};
use crate::error::Unavailable;
use crate::secret::{Held, Shown};
use crate::selector::LabelSelector;
use crate::store::{Labels, Listed, Row, Select};

/// Most resources of one page.
const MAX_PAGE: usize = 1000;

/// Which resources are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Only those whose names are after this one, by their bytes; all: an empty string.
    pub after: String,
    /// Most resources of the page; taken as 1 to 1,000. Default: 100.
    pub limit: usize,
    /// What their labels must be like.
    pub labels: LabelSelector,
}

impl Default for ListQuery {
    fn default() -> ListQuery {
        ListQuery {
            after: String::new(),
            limit: 100,
            labels: LabelSelector::default(),
        }
    }
}

impl ListQuery {
    pub(super) fn into_select(self) -> Select {
        Select {
            after: self.after,
            limit: self.limit.clamp(1, MAX_PAGE),
            labels: self.labels,
        }
    }
}

/// Some of the resources, ordered by the bytes of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<R> {
    /// At most as many as asked for, fewer where they are large. With a label selector the page
    /// may be empty although there is a next one: a page looks at 10,000 resources at most.
    pub items: Vec<R>,
    /// The name to continue after, if there may be more.
    pub next: Option<String>,
}

/// What a read shows of secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// `{ secretRef: ID }`.
    #[default]
    Hidden,
    /// Hashes, keys and tokens as they are stored. For a backup; guard it like the store.
    Revealed,
}

impl Secrets {
    pub(super) fn show(self) -> fn(Held) -> Shown {
        match self {
            Secrets::Hidden => Held::reference,
            Secrets::Revealed => Held::reveal,
        }
    }
}

/// What a read shows of a row.
pub(super) fn show<K: Spec>(
    row: &Row,
    application: Option<&str>,
    secrets: Secrets,
) -> Result<(ShownMetadata, K::Shown), Unavailable> {
    let spec: K = read_stored(&row.spec).map_err(|invalid| damaged(row, &invalid))?;
    let labels = |json: &str| Labels::parse(json).map_err(|invalid| damaged(row, &invalid));
    let metadata = ShownMetadata {
        name: row.name.clone(),
        application: application.map(str::to_owned),
        uid: row.uid.clone(),
        creation_timestamp: rfc3339(row.created),
        generation: row.generation,
        resource_version: row.revision.to_string(),
        labels: labels(&row.labels)?,
        annotations: labels(&row.annotations)?,
    };
    let spec = spec.show(secrets.show());
    Ok((
        metadata,
        spec.ok_or_else(|| Unavailable("a secret cannot be shown".to_owned()))?,
    ))
}

/// Turns rows into a page.
pub(super) fn page<R>(
    listed: Listed,
    show: impl Fn(&Row) -> Result<R, Unavailable>,
) -> Result<Page<R>, Unavailable> {
    let items = listed.rows.iter().map(show).collect::<Result<_, _>>()?;
    Ok(Page {
        items,
        next: listed.next,
    })
}

pub(super) fn damaged(row: &Row, invalid: &Invalid) -> Unavailable {
    Unavailable(format!(
        "the stored document of {} is damaged: {invalid}",
        row.name
    ))
}

fn rfc3339(milliseconds: i64) -> String {
    use time::format_description::well_known::Rfc3339;
    let instant =
        time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000);
    instant
        .ok()
        .and_then(|instant| instant.format(&Rfc3339).ok())
        .unwrap_or_default()
}
