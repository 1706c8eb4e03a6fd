use had_core::ids::NodeName;
use rcgen::date_time_ymd;

use super::{Files, Identity, TlsError};
use crate::testing::Authority;

fn load(files: &Files) -> Result<Identity, TlsError> {
    Identity::load(files, &NodeName::from("h1"))
}

fn sentence(files: &Files) -> String {
    load(files).unwrap_err().to_string()
}

#[test]
fn a_good_set_is_taken() {
    load(&Authority::new().files("h1")).unwrap();
}

#[test]
fn every_problem_is_one_clear_sentence() {
    let authority = Authority::new();
    let good = authority.files("h1");
    let dir = authority.path().display().to_string();

    let missing = Files {
        key: authority.path().join("none.key"),
        ..good.clone()
    };
    assert_eq!(
        sentence(&missing),
        format!(
            "cannot read the private key {dir}/none.key: No such file or directory (os error 2)"
        )
    );

    let empty = Files {
        cert: authority.write("empty.pem", ""),
        ..good.clone()
    };
    assert_eq!(
        sentence(&empty),
        format!("{dir}/empty.pem holds no certificate in PEM form: there is none in it")
    );

    let other = authority.files("h2");
    let mixed = Files {
        key: other.key.clone(),
        ..good.clone()
    };
    assert_eq!(
        sentence(&mixed),
        format!("the key {dir}/h2.key does not belong to the certificate {dir}/h1.pem")
    );

    assert_eq!(
        sentence(&other),
        format!("the certificate {dir}/h2.pem is for h2, not for the node h1")
    );

    let foreign = Authority::new();
    let stranger = Files {
        ca: foreign.files("h1").ca,
        ..good
    };
    assert!(matches!(
        load(&stranger),
        Err(TlsError::OtherAuthority { .. })
    ));
}

#[test]
fn time_is_checked_both_ways() {
    let authority = Authority::new();
    let old = authority.files_with("h1", |params| params.not_after = date_time_ymd(2020, 1, 1));
    assert!(sentence(&old).ends_with("has expired: issue a new one"));
    let early = authority.files_with("h1", |params| params.not_before = date_time_ymd(2999, 1, 1));
    assert!(sentence(&early).contains("is not valid yet"));
}
