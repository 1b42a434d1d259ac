//! What is refused: each problem with its path, its reason and, where it helps, an example.

mod application;
mod device;
mod metadata;
mod text;

use landfall_registry::document::Invalid;

/// Each spec is refused with exactly these problems, each given by its path and part of its text.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Invalid>, problems: &[(&str, &str)]) {
    let invalid = result.unwrap_err();
    let found: Vec<_> = invalid
        .problems()
        .iter()
        .map(|problem| (&*problem.path, problem.to_string()))
        .collect();
    assert_eq!(found.len(), problems.len(), "{found:#?}");
    for ((found_path, told), (path, reason)) in found.iter().zip(problems) {
        assert_eq!(found_path, path, "{told}");
        assert!(told.contains(reason), "{told}");
    }
}
