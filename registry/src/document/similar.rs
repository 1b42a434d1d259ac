//! Near misses of names, so that a refusal can say what was meant.

/// The known name that was most likely meant: the same but for case, or at most two edits away, or
/// one where the known name has four letters or fewer.
pub(crate) fn closest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if let Some(same) = known
        .iter()
        .copied()
        .find(|known| known.eq_ignore_ascii_case(name))
    {
        return Some(same);
    }
    let near = known
        .iter()
        .filter(|known| name.len().abs_diff(known.len()) <= 2);
    let distances = near.map(|known| (edits(name, known), *known));
    let (_, meant) = distances
        .filter(|(edits, known)| *edits <= tolerance(known))
        .min()?;
    Some(meant)
}

/// As [`closest`], where other names are allowed too and a short one is no near miss.
pub(crate) fn closest_section(name: &str, known: &[&'static str]) -> Option<&'static str> {
    closest(name, known).filter(|meant| meant.len() >= LONG || meant.eq_ignore_ascii_case(name))
}

const LONG: usize = 5;

fn tolerance(known: &str) -> usize {
    match known.len() {
        0..=2 => 0,
        3..LONG => 1,
        _ => 2,
    }
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
    use super::{closest, closest_section};

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
            assert_eq!(closest_section(name, KNOWN), None, "{name}");
        }
        assert_eq!(
            closest("more", KNOWN),
            Some("core"),
            "where nothing else is allowed"
        );
        assert_eq!(closest("sure", KNOWN), None);
    }
}
