//! Lists: ordered, in pages, by labels.

use landfall_registry::document::parse_documents;
use landfall_registry::{ListQuery, Secrets};

use crate::common::{Fixture, fixture};

fn from(after: &str, limit: usize) -> ListQuery {
    ListQuery {
        after: after.to_owned(),
        limit,
        ..ListQuery::default()
    }
}

impl Fixture {
    /// The names that all pages of a list together have, and how many pages that took.
    async fn listed(&self, labels: &str, limit: usize) -> (Vec<String>, usize) {
        let mut query = ListQuery {
            limit,
            labels: labels.parse().unwrap(),
            ..ListQuery::default()
        };
        let (mut names, mut pages) = (Vec::new(), 0);
        loop {
            let page = self
                .registry
                .list_devices("app", query.clone(), Secrets::Hidden);
            let page = page.await.unwrap().unwrap();
            assert!(page.items.len() <= limit);
            names.extend(page.items.into_iter().map(|device| device.metadata.name));
            pages += 1;
            match page.next {
                Some(next) => query.after = next,
                None => return (names, pages),
            }
        }
    }

    async fn labelled(&self, name: &str, labels: &str) {
        let yaml = format!("metadata: {{ name: {name}, application: app, labels: {labels} }}");
        self.apply(&yaml).await.unwrap();
    }
}

#[tokio::test]
async fn lists_are_ordered_by_name_and_come_in_pages() {
    let fixture = fixture().await;
    let mut names: Vec<String> = (0..25).map(|n| format!("d{n}")).collect();
    names.extend(["ä".to_owned(), "Z".to_owned(), "@".to_owned()]);
    for name in &names {
        fixture.device(name, "{}").await;
    }
    names.sort();
    let mut listed = Vec::new();
    let mut after = String::new();
    let mut pages = 0;
    loop {
        let page = fixture
            .registry
            .list_devices("app", from(&after, 9), Secrets::Hidden)
            .await;
        let page = page.unwrap().unwrap();
        assert!(page.items.len() <= 9);
        listed.extend(page.items.into_iter().map(|device| device.metadata.name));
        pages += 1;
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!((listed, pages), (names, 4));
}

#[tokio::test]
async fn a_page_that_ends_with_the_last_resource_is_the_last() {
    let fixture = fixture().await;
    fixture.device("a", "{}").await;
    fixture.device("b", "{}").await;
    let list = async |after, limit| {
        let page = fixture
            .registry
            .list_devices("app", from(after, limit), Secrets::Hidden)
            .await;
        let page = page.unwrap().unwrap();
        (page.items.len(), page.next)
    };
    assert_eq!(list("", 2).await, (2, None));
    assert_eq!(list("", 1).await, (1, Some("a".to_owned())));
    assert_eq!(list("b", 1).await, (0, None));
    assert_eq!(list("", 0).await, (1, Some("a".to_owned())), "at least one");
    let applications = fixture
        .registry
        .list_applications(ListQuery::default(), Secrets::Hidden)
        .await
        .unwrap();
    assert_eq!(applications.items[0].metadata.name, "app");
    assert_eq!(applications.items[0].metadata.application, None);
}

#[tokio::test]
async fn a_page_of_large_documents_is_cut_short() {
    let fixture = fixture().await;
    let long = "x".repeat(60 * 1024);
    for n in 0..80 {
        let yaml = format!(
            "{{ metadata: {{ name: d{n:02}, application: app }}, spec: {{ x-y: {long} }} }}"
        );
        fixture.apply(&yaml).await.unwrap();
    }
    let page = fixture
        .registry
        .list_devices("app", from("", 1000), Secrets::Hidden)
        .await;
    let page = page.unwrap().unwrap();
    assert!((60..80).contains(&page.items.len()), "{}", page.items.len());
    let next = page.next.unwrap();
    let rest = fixture
        .registry
        .list_devices("app", from(&next, 1000), Secrets::Hidden)
        .await;
    assert_eq!(page.items.len() + rest.unwrap().unwrap().items.len(), 80);
}

#[tokio::test]
async fn labels_select_across_pages() {
    let fixture = fixture().await;
    for n in 0..20 {
        let site = ["north", "south"][n % 2];
        fixture
            .labelled(
                &format!("d{n:02}"),
                &format!("{{ site: {site}, n: '{n}' }}"),
            )
            .await;
    }
    fixture.labelled("e", "{}").await;
    let (north, pages) = fixture.listed("site=north", 3).await;
    let expected: Vec<_> = (0..20).step_by(2).map(|n| format!("d{n:02}")).collect();
    assert_eq!((north, pages), (expected, 4));
    assert_eq!(
        fixture.listed("site=north,n in (3,4,5)", 1).await.0,
        ["d04"]
    );
    assert_eq!(fixture.listed("!site", 10).await.0, ["e"]);
    assert_eq!(
        fixture
            .listed("n notin (0,1),site!=north", 100)
            .await
            .0
            .len(),
        10
    );
    assert_eq!(fixture.listed("site=east", 10).await.0.len(), 0);
    assert_eq!(fixture.listed("", 100).await.0.len(), 21);

    fixture
        .apply("metadata: { name: other, labels: { tier: gold } }")
        .await
        .unwrap();
    let gold = ListQuery {
        labels: "tier=gold".parse().unwrap(),
        ..ListQuery::default()
    };
    let gold = fixture
        .registry
        .list_applications(gold, Secrets::Hidden)
        .await
        .unwrap();
    assert_eq!(gold.items.len(), 1);
    assert_eq!(gold.items[0].metadata.name, "other");
}

#[tokio::test]
async fn a_page_looks_at_a_bounded_number_of_devices() {
    let fixture = fixture().await;
    for batch in 0..11 {
        let names = (batch * 1000..(batch + 1) * 1000).map(|n| {
            format!("{{ \"metadata\": {{ \"name\": \"d{n:05}\", \"application\": \"app\" }} }}")
        });
        let text = format!("[{}]", names.collect::<Vec<_>>().join(","));
        let documents = parse_documents(&text).unwrap();
        let documents = documents
            .into_iter()
            .map(|(_, document)| document)
            .collect();
        fixture.registry.apply_batch(documents).await.unwrap();
    }
    fixture.labelled("z", "{ rare: very }").await;
    assert_eq!(fixture.listed("rare", 10).await, (vec!["z".to_owned()], 2));
}
