//! Near misses of names, so that a refusal can say what was meant.

/// The known name that was most likely meant: the same but for case, or, among names of five
/// letters and more, at most two edits away.
pub(crate) fn closest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if let Some(same) = known
        .iter()
        .copied()
        .find(|known| known.eq_ignore_ascii_case(name))
    {
        return Some(same);
    }
    let (distance, candidate) = known
        .iter()
        .filter(|candidate| candidate.len() >= 5 && name.len().abs_diff(candidate.len()) <= 2)
        .map(|candidate| (edits(name, candidate), *candidate))
        .min()?;
    (distance <= 2).then_some(candidate)
}

/// Levenshtein distance in characters; both names are short.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (cb, diagonal_and_above) in b.iter().zip(row.windows(2)) {
            let [diagonal, above] = diagonal_and_above else {
                continue;
            };
            let left = next.last().copied().unwrap_or_default();
            let substituted = diagonal + usize::from(ca != *cb);
            next.push(substituted.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::closest;

    const KNOWN: &[&str] = &["authentication", "gatewaySelector", "alias", "core", "mqtt"];

    #[test]
    fn finds_the_name_that_a_typo_meant() {
        assert_eq!(closest("authenication", KNOWN), Some("authentication"));
        assert_eq!(closest("gatewayselector", KNOWN), Some("gatewaySelector"));
        assert_eq!(closest("aliases", KNOWN), Some("alias"));
        assert_eq!(closest("MQTT", KNOWN), Some("mqtt"));
    }

    #[test]
    fn leaves_names_alone_that_mean_something_else() {
        for name in [
            "more",
            "ttn",
            "commands",
            "kafka",
            "knative",
            "downstream",
            "ditto",
            "",
        ] {
            assert_eq!(closest(name, KNOWN), None, "{name}");
        }
    }
}
