//! Amounts of what servers share: memory in bytes, processors in cores, parts of a whole.

use toml::de::DeValue;

use super::value::{Fault, expected, integer, quote};

/// What the letter behind a number stands for (JupyterHub's `ByteSpecification`).
const UNITS: [(char, u64); 4] = [
    ('K', 1 << 10),
    ('M', 1 << 20),
    ('G', 1 << 30),
    ('T', 1 << 40),
];
/// Larger numbers than this fit neither a control group nor the API of an engine.
const SIZE_MAX: u64 = i64::MAX as u64;
/// More cores than any machine has.
const CORES_MAX: f64 = 65_536.0;

/// A number of bytes: a whole number, or a text such as `"512M"` or `"1.5G"`. Never 0.
pub(super) fn size(value: &DeValue<'_>) -> Result<u64, Fault> {
    let bytes = match value {
        DeValue::Integer(number) => match integer(number) {
            Some(number) if number < 0 => return Err(Fault::new("a size cannot be negative")),
            number => number.and_then(|number| u64::try_from(number).ok()),
        },
        DeValue::String(text) => match text.parse::<u64>() {
            Ok(_) => {
                let message = format!("the text {} has no unit", quote(text));
                let help = format!("write `{text}` for bytes, or \"{text}M\"");
                return Err(Fault::new(message).help(help));
            }
            Err(_) => Some(scaled(text).ok_or_else(|| not_a_size(text))?),
        },
        _ => return Err(expected("a size such as \"512M\"", value)),
    };
    match bytes {
        Some(0) => {
            Err(Fault::new("a size of 0 would let nothing run")
                .help("leave the key out for no limit"))
        }
        Some(bytes) if bytes <= SIZE_MAX => Ok(bytes),
        _ => Err(Fault::new("no machine has that much memory")),
    }
}

/// A number of cores, whole or decimal. Never 0.
pub(super) fn cores(value: &DeValue<'_>) -> Result<f64, Fault> {
    let text = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        DeValue::String(text) => {
            let fault = expected("a number of cores", value);
            return Err(match in_cores(text) {
                Some(cores) => fault.help(format!("write `{cores}`, without quotes")),
                None => fault,
            });
        }
        _ => return Err(expected("a number of cores", value)),
    };
    match text.parse::<f64>() {
        Ok(cores) if cores > 0.0 && cores <= CORES_MAX => Ok(cores),
        Ok(0.0) => {
            Err(Fault::new("0 cores would let nothing run").help("leave the key out for no limit"))
        }
        _ => Err(Fault::new(format!(
            "expected a number of cores above 0 and up to {CORES_MAX}"
        ))),
    }
}

/// A part of something, from 0 to 1.
pub(super) fn part(value: &DeValue<'_>) -> Result<f64, Fault> {
    let text = match value {
        DeValue::Integer(number) => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return Err(expected("a number from 0 to 1", value)),
    };
    match text.parse::<f64>() {
        Ok(part) if (0.0..=1.0).contains(&part) => Ok(part),
        _ => Err(Fault::new("expected a number from 0 to 1")),
    }
}

/// The bytes that `text` means; the most that can be counted if they are more.
fn scaled(text: &str) -> Option<u64> {
    let (_, unit) = UNITS.iter().find(|(letter, _)| text.ends_with(*letter))?;
    let number = &text[..text.len() - 1];
    if !number.starts_with(|c: char| c.is_ascii_digit())
        || !number.chars().all(|c| c.is_ascii_digit() || c == '.')
    {
        return None;
    }
    if let Ok(whole) = number.parse::<u64>() {
        return Some(whole.saturating_mul(*unit));
    }
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a unit is rounded to bytes; numbers beyond the range saturate"
    )]
    let bytes = (number.parse::<f64>().ok()? * *unit as f64) as u64;
    Some(bytes)
}

fn not_a_size(text: &str) -> Fault {
    let fault = Fault::new(format!("{} is not a size", quote(text)));
    // What somebody meant who wrote `"512MB"`, `"2 GiB"` or `"512m"`.
    let meant: String = text.split_whitespace().collect::<String>().to_uppercase();
    let meant = meant.trim_end_matches('B').trim_end_matches('I');
    match scaled(meant) {
        Some(_) => fault.help(format!("write \"{meant}\"")),
        None => fault.help("write a number and one of K, M, G or T, as in \"512M\""),
    }
}

/// What somebody meant who wrote `"0.5"`, `"50%"` or `"500m"`.
fn in_cores(text: &str) -> Option<f64> {
    let (number, per_core) = match text.trim() {
        text if text.ends_with('%') => (text.trim_end_matches('%'), 100.0),
        text if text.ends_with('m') => (text.trim_end_matches('m'), 1000.0),
        text => (text, 1.0),
    };
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number > 0.0).then_some(number / per_core)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with<T>(
        read: fn(&DeValue<'_>) -> Result<T, Fault>,
        text: &str,
    ) -> Result<T, (String, Option<String>)> {
        let value = DeValue::parse(text).unwrap();
        read(value.get_ref()).map_err(|fault| (fault.message, fault.help))
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, bytes) in [
            ("1", 1),
            ("1_000_000", 1_000_000),
            ("0x10", 16),
            ("\"1K\"", 1024),
            ("\"512M\"", 512 << 20),
            ("\"2G\"", 2 << 30),
            ("\"1.5G\"", 3 << 29),
            ("\"0.5T\"", 1 << 39),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(read_with(size, text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_and_what_was_meant_is_said() {
        for (text, help) in [
            ("\"512MB\"", Some("write \"512M\"")),
            ("\"2 GiB\"", Some("write \"2G\"")),
            ("\"512m\"", Some("write \"512M\"")),
            ("\"512\"", Some("write `512` for bytes, or \"512M\"")),
            ("0", Some("leave the key out for no limit")),
            ("\"0G\"", Some("leave the key out for no limit")),
            ("\"0.0000001K\"", Some("leave the key out for no limit")),
            ("-1", None),
            ("1.5", None),
            ("true", None),
            ("[1]", None),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("\"99999999T\"", None),
            ("\"99999999999999999999T\"", None),
        ] {
            assert_eq!(
                read_with(size, text).unwrap_err().1.as_deref(),
                help,
                "{text}"
            );
        }
        for text in [
            "", "G", "-1G", "+1G", ".5G", "1.2.3G", "1e3G", "nanG", "infG", "1P", "é", "1é",
        ] {
            let refused = read_with(size, &format!("{text:?}")).unwrap_err();
            assert!(refused.1.unwrap().starts_with("write a number"), "{text}");
        }
    }

    #[test]
    fn a_part_is_from_nothing_to_all() {
        for (text, part_) in [("0", 0.0), ("1", 1.0), ("0.1", 0.1)] {
            assert_eq!(read_with(part, text), Ok(part_), "{text}");
        }
        for text in ["-0.1", "1.1", "2", "nan", "inf", "\"0.1\"", "true"] {
            assert!(read_with(part, text).is_err(), "{text}");
        }
    }

    #[test]
    fn cores_may_be_parts_of_one() {
        for (text, cores_) in [("1", 1.0), ("0.5", 0.5), ("1e1", 10.0), ("1_0", 10.0)] {
            assert_eq!(read_with(cores, text), Ok(cores_), "{text}");
        }
        for (text, help) in [
            ("\"0.5\"", Some("write `0.5`, without quotes")),
            ("\"50%\"", Some("write `0.5`, without quotes")),
            ("\"500m\"", Some("write `0.5`, without quotes")),
            ("\"half\"", None),
            ("\"inf\"", None),
            ("0", Some("leave the key out for no limit")),
            ("-0.0", Some("leave the key out for no limit")),
            ("-1", None),
            ("nan", None),
            ("inf", None),
            ("1e9", None),
            ("99999999999999999999", None),
            ("0x10", None),
            ("[]", None),
        ] {
            assert_eq!(
                read_with(cores, text).unwrap_err().1.as_deref(),
                help,
                "{text}"
            );
        }
    }
}
