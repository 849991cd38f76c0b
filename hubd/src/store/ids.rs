//! Row numbers as types. The number of a deleted row is never used again.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) i64);

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self)
            }
        }
    };
}

row_id! {
    /// A user. Grants point here and not at the name, so a later user of that name inherits nothing.
    UserId
}
row_id! {
    /// The row of a server, which stays while the server comes and goes.
    ServerRowId
}
row_id! {
    /// A token, as the API names it: `a9`.
    TokenId
}
row_id! {
    /// A group that was made through the API. Members point here, so a later group of that name
    /// begins empty.
    GroupId
}
row_id! {
    /// One login of one browser.
    SessionRowId
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}", self.0)
    }
}

impl FromStr for TokenId {
    /// Not the name of a token; whoever sent it gets a 404.
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = text.strip_prefix('a').ok_or(())?;
        // `parse` alone would also take a sign, which gives one token several names.
        if number.starts_with('0') || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(());
        }
        number.parse().map(Self).map_err(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_name() {
        assert_eq!(TokenId(9).to_string(), "a9");
        assert_eq!("a9".parse(), Ok(TokenId(9)));
        for bad in [
            "",
            "a",
            "9",
            "b9",
            "a+9",
            "a-9",
            "a09",
            "a0",
            "a9 ",
            "a9223372036854775808",
        ] {
            assert_eq!(bad.parse::<TokenId>(), Err(()), "{bad:?}");
        }
    }
}
