//! Durations as the file spells them: a whole number with `ms`, `s`, `m` or `h`.

use std::time::Duration;

use crate::values::Problem;

/// The longest duration anywhere in the file. Nothing in a cluster waits for more than a week, and sums stay far from
/// overflow.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

const HELP: &str = r#"write a whole number with its unit, such as "100ms", "30s" or "1m""#;

/// Reads "100ms", "30s", "1m", "2h".
pub(crate) fn read(text: &str) -> Result<Duration, Problem> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(Problem::new(format!("`{text}` is no duration"), HELP)),
    };
    if number.is_empty() {
        return Err(Problem::new(format!("`{text}` is no duration"), HELP));
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_ms))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| Problem::new(format!("`{text}` is too long"), "a week is the longest"))
}

/// As the file would spell it, in the largest unit that divides it.
pub(crate) fn spell(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_spells() {
        for (text, ms) in [("100ms", 100), ("30s", 30_000), ("1m", 60_000), ("0s", 0)] {
            assert_eq!(read(text).unwrap().as_millis(), ms, "{text}");
            assert_eq!(spell(read(text).unwrap()), text);
        }
        assert_eq!(read("2h").unwrap(), Duration::from_secs(7_200));
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "100",
            "ms",
            "1.5s",
            "-1s",
            "1 s",
            "1d",
            "99999999999999999999s",
            "169h",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
