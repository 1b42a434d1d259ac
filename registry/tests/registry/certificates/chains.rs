//! Which chains an application's anchors vouch for.

use landfall_registry::CertificateFault;
use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};

use super::{at, fault, trusting};
use crate::authority::{Authority, anchors};

const CN: DnType = DnType::CommonName;

#[tokio::test]
async fn an_anchor_vouches_for_the_certificates_it_issued() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let log_in = fixture.present(&[&root.device("sensor01")]).await.unwrap();
    assert_eq!(log_in.application.name(), "app");
    assert_eq!(log_in.device.name(), "sensor01");
}

#[tokio::test]
async fn intermediates_may_come_in_any_order_and_with_the_root() {
    let root = Authority::root("root");
    let upper = root.intermediate("upper");
    let lower = upper.intermediate("lower");
    let device = lower.device("sensor01");
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let (device, upper, lower, root) = (&*device, &*upper.der, &*lower.der, &*root.der);
    for chain in [
        &[device, lower, upper][..],
        &[device, upper, lower],
        &[device, root, upper, lower],
        &[device, lower, lower, upper],
        // What cannot be read and what has nothing to do with it is no hindrance.
        &[device, b"junk", lower, upper],
    ] {
        assert_eq!(fixture.present_ok(chain).await, "sensor01");
    }
    for chain in [&[device][..], &[device, lower], &[device, upper]] {
        assert_eq!(
            fixture.present_fault(chain).await,
            CertificateFault::UnknownIssuer
        );
    }
}

#[tokio::test]
async fn an_intermediate_can_be_the_anchor() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let fixture = trusting(&[&intermediate]).await;
    fixture.device("sensor01", "{}").await;
    let device = intermediate.device("sensor01");
    assert_eq!(fixture.present_ok(&[&device]).await, "sensor01");
    assert_eq!(
        fixture.present_ok(&[&device, &intermediate.der]).await,
        "sensor01"
    );
    assert_eq!(
        fixture.present_fault(&[&root.device("sensor01")]).await,
        CertificateFault::UnknownIssuer
    );
}

#[tokio::test]
async fn every_supported_kind_of_key_can_sign() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let root = Authority::root_with("root", algorithm, |_| {});
        let fixture = trusting(&[&root]).await;
        fixture.device("sensor01", "{}").await;
        let device = root.device("sensor01");
        assert_eq!(fixture.present_ok(&[&device]).await, "sensor01");
    }
}

#[tokio::test]
async fn each_fault_has_its_cause_for_the_log() {
    let root = Authority::root("root");
    let impostor = Authority::root("root");
    let stranger = Authority::root("stranger");
    let limited = root.intermediate_with("limited", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let beyond = limited.intermediate("beyond");
    let leaf = root.intermediate_with("leaf", |params| params.is_ca = IsCa::ExplicitNoCa);
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;

    let expired = root.device_with(&[(CN, "sensor01")], |params| {
        params.not_after = date_time_ymd(2029, 12, 31);
    });
    let premature = root.device_with(&[(CN, "sensor01")], |params| {
        params.not_before = date_time_ymd(2030, 1, 2);
    });
    let for_servers = root.device_with(&[(CN, "sensor01")], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let mut broken = root.device("sensor01");
    broken.truncate(100);
    let mut forged = root.device("sensor01");
    *forged.last_mut().unwrap() ^= 1;
    let nameless = root.device_with(&[(DnType::OrganizationName, "Example")], |_| {});
    let good = root.device("sensor01");
    let device = |authority: &Authority| authority.device("sensor01");

    for (chain, expected) in [
        (vec![], CertificateFault::Absent),
        (vec![&*expired], CertificateFault::Expired),
        (vec![&premature], CertificateFault::NotYetValid),
        (vec![&for_servers], CertificateFault::WrongUsage),
        (vec![&broken], CertificateFault::Malformed),
        (vec![b""], CertificateFault::Malformed),
        (vec![&forged], CertificateFault::BadSignature),
        (vec![&device(&impostor)], CertificateFault::BadSignature),
        (vec![&device(&stranger)], CertificateFault::UnknownIssuer),
        (vec![&stranger.der], CertificateFault::SelfSigned),
        (vec![&root.der], CertificateFault::Authority),
        (vec![&nameless], CertificateFault::AttributeMissing),
        (
            vec![&device(&beyond), &beyond.der, &limited.der],
            CertificateFault::IssuerConstraint,
        ),
        (
            vec![&device(&leaf), &leaf.der],
            CertificateFault::IssuerConstraint,
        ),
        (vec![&*good; 9], CertificateFault::ChainTooLong),
        (
            vec![&*good, &[0; 64 * 1024]],
            CertificateFault::ChainTooLong,
        ),
    ] {
        assert_eq!(fixture.present_fault(&chain).await, expected);
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_say_what_it_is_for_is_good() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let device = root.device_with(&[(CN, "sensor01")], |params| {
        params.extended_key_usages.clear();
    });
    assert_eq!(fixture.present_ok(&[&device]).await, "sensor01");
}

#[tokio::test]
async fn an_intermediate_must_be_valid_too() {
    let root = Authority::root("root");
    let expired = root.intermediate_with("intermediate", |params| {
        params.not_after = date_time_ymd(2029, 1, 1);
    });
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let device = expired.device("sensor01");
    assert_eq!(
        fixture.present_fault(&[&device, &expired.der]).await,
        CertificateFault::Expired
    );
}

#[tokio::test]
async fn an_anchor_vouches_for_nobody_outside_its_own_validity() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let device = root.device_with(&[(CN, "sensor01")], |params| {
        params.not_before = date_time_ymd(1990, 1, 1);
        params.not_after = date_time_ymd(2049, 1, 1);
    });
    let at = async |seconds| {
        fixture
            .registry
            .log_in_by_certificate(&[&device], at(seconds))
            .await
    };
    at(2_208_988_800)
        .await
        .expect("2040-01-01, the last second");
    assert_eq!(
        fault(at(2_208_988_801).await),
        CertificateFault::AnchorExpired
    );
    at(1_577_836_800)
        .await
        .expect("2020-01-01, the first second");
    assert_eq!(
        fault(at(1_577_836_799).await),
        CertificateFault::AnchorNotYetValid
    );
}

#[tokio::test]
async fn an_anchors_path_length_counts() {
    let root = Authority::root_with("root", &rcgen::PKCS_ECDSA_P256_SHA256, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    });
    let upper = root.intermediate("upper");
    let lower = upper.intermediate("lower");
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let device = upper.device("sensor01");
    assert_eq!(fixture.present_ok(&[&device, &upper.der]).await, "sensor01");
    let device = lower.device("sensor01");
    assert_eq!(
        fixture
            .present_fault(&[&device, &lower.der, &upper.der])
            .await,
        CertificateFault::IssuerConstraint
    );
}

#[tokio::test]
async fn authorities_of_one_name_are_told_apart_by_their_keys() {
    let (ours, theirs, nobodys) = (
        Authority::root("root"),
        Authority::root("root"),
        Authority::root("root"),
    );
    let fixture = trusting(&[&ours]).await;
    fixture
        .apply(&format!(
            "metadata: {{ name: other }}\nspec: {}\n---\nmetadata: {{ name: sensor01, application: other }}",
            anchors(&[&theirs])
        ))
        .await
        .unwrap();
    fixture.device("sensor01", "{}").await;
    for (authority, application) in [(&ours, "app"), (&theirs, "other")] {
        let device = authority.device("sensor01");
        let log_in = fixture.present(&[&device]).await.unwrap();
        assert_eq!(log_in.application.name(), application);
    }
    assert_eq!(
        fixture.present_fault(&[&nobodys.device("sensor01")]).await,
        CertificateFault::BadSignature
    );
}

#[tokio::test]
async fn an_application_can_take_no_device_by_anchoring_an_intermediate_of_anothers_root() {
    let root = Authority::root("root");
    let intermediate = root.intermediate("intermediate");
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let device = intermediate.device("sensor01");
    let chain = [&*device, &intermediate.der];
    assert_eq!(fixture.present_ok(&chain).await, "sensor01");
    fixture
        .apply(&format!(
            "metadata: {{ name: thief }}\nspec: {}\n---\nmetadata: {{ name: sensor01, application: thief }}",
            anchors(&[&intermediate])
        ))
        .await
        .unwrap();
    assert_eq!(
        fixture.present_fault(&chain).await,
        CertificateFault::SeveralApplications
    );
}

#[tokio::test]
async fn a_renewed_authority_vouches_for_what_it_issued_before() {
    let key = KeyPair::generate().unwrap();
    let again = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let old = Authority::renewed("root", key, |params| {
        params.not_after = date_time_ymd(2029, 1, 1);
    });
    let new = Authority::renewed("root", again, |_| {});
    let fixture = trusting(&[&old]).await;
    fixture.device("sensor01", "{}").await;
    let device = old.device("sensor01");
    assert_eq!(
        fixture.present_fault(&[&device]).await,
        CertificateFault::AnchorExpired
    );
    fixture.application(&anchors(&[&old, &new])).await;
    assert_eq!(fixture.present_ok(&[&device]).await, "sensor01");

    let other = format!("metadata: {{ name: other }}\nspec: {}", anchors(&[&new]));
    fixture
        .apply(&other)
        .await
        .expect_err("it is the same authority");
}

#[tokio::test]
async fn the_work_for_a_chain_is_bounded() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    // Every one of these issuers may have issued every other and the device, as far as names go.
    let maze: Vec<_> = (0..7).map(|_| Authority::root("maze")).collect();
    let mut chain = vec![maze[0].device("sensor01")];
    chain.push(root.intermediate("maze").der);
    chain.extend(maze.iter().skip(1).map(|authority| authority.der.clone()));
    let chain: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    assert_eq!(
        fixture.present_fault(&chain).await,
        CertificateFault::TooComplex
    );
}
