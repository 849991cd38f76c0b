//! A backend's own table as JSON, which is what spawner factories take.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::reading::{Reading, Spot};
use super::source::join;
use super::value::{Fault, integer};

/// Converts a table. Dates become texts; what JSON cannot hold is noted as an error.
pub(super) fn from_table(
    reading: &mut Reading,
    path: &str,
    table: &DeTable<'_>,
) -> Map<String, Value> {
    table
        .iter()
        .map(|(name, value)| {
            let name = name.get_ref();
            let value = from_value(reading, &join(path, name), value.get_ref());
            (name.to_string(), value)
        })
        .collect()
}

fn from_value(reading: &mut Reading, path: &str, value: &DeValue<'_>) -> Value {
    let number = match value {
        DeValue::String(text) => return Value::from(text.as_ref()),
        DeValue::Boolean(flag) => return Value::from(*flag),
        DeValue::Datetime(time) => return Value::from(time.to_string()),
        DeValue::Array(elements) => {
            return elements
                .iter()
                .enumerate()
                .map(|(at, element)| {
                    from_value(reading, &format!("{path}[{at}]"), element.get_ref())
                })
                .collect();
        }
        DeValue::Table(table) => return Value::Object(from_table(reading, path, table)),
        DeValue::Integer(number) => integer(number).and_then(Number::from_i128),
        DeValue::Float(number) => number.as_str().parse().ok().and_then(Number::from_f64),
    };
    number.map_or_else(
        || {
            let fault = Fault::new("the number is out of range");
            reading.error(Spot::Value(path), fault);
            Value::Null
        },
        Value::Number,
    )
}
