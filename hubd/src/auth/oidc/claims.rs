//! What a provider says of somebody, as one pure function.

use serde_json::{Map, Value};

use crate::config::OidcTable;

/// What a provider says: names and their values.
pub(super) type Claims = Map<String, Value>;

/// The most groups of one person.
const GROUPS_MAX: usize = 10_000;

/// Somebody who has signed in at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// The provider, and what it calls them for ever.
    pub(crate) identity: crate::store::Identity,
    /// What it calls them now.
    pub(crate) name: String,
    /// Their groups, if the provider is asked for them.
    pub(crate) groups: Option<Vec<String>>,
}

/// What is missing in what a provider says of somebody. The sentence is for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimFault {
    #[error("the provider does not say what your name is (`{0}`): ask the administrator")]
    NoName(String),
    #[error("the provider has not verified your mail address: verify it there, then try again")]
    NotVerified,
    #[error("your organisation may not use this hub: sign in with another account")]
    NotHosted,
}

/// Whether what is signed leaves something out that the provider may tell when it is asked.
pub(super) fn wants_more(table: &OidcTable, signed: &Claims) -> bool {
    let groups = table.claim_groups_key.as_ref();
    signed.get(&table.username_claim).is_none()
        || groups.is_some_and(|claim| signed.get(claim).is_none())
}

/// The name and groups of somebody: by what is `signed`, and where that says nothing, by what the
/// provider has `told` when asked. The organisation is believed only if it is signed, and that is
/// looked at first.
pub(super) fn read(
    table: &OidcTable,
    signed: &Claims,
    told: &Claims,
) -> Result<(String, Option<Vec<String>>), ClaimFault> {
    if !table.hosted_domain.is_empty() {
        let domain = signed.get("hd").and_then(Value::as_str).unwrap_or_default();
        let domain = domain.to_ascii_lowercase();
        if !table.hosted_domain.contains(&domain) {
            return Err(ClaimFault::NotHosted);
        }
    }
    let claim = &table.username_claim;
    // Whoever says the name also says whether it is verified.
    let source = if signed.contains_key(claim) {
        signed
    } else {
        told
    };
    let name = source.get(claim).and_then(Value::as_str);
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ClaimFault::NoName(claim.clone()))?;
    if claim == "email" && source.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(ClaimFault::NotVerified);
    }
    let groups = table.claim_groups_key.as_ref().map(|claim| {
        let groups = signed.get(claim).or_else(|| told.get(claim));
        groups.map(texts).unwrap_or_default()
    });
    Ok((name.to_owned(), groups))
}

/// A list of texts, or one text; what else there may be is no group.
fn texts(value: &Value) -> Vec<String> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let texts = values.iter().filter_map(Value::as_str).take(GROUPS_MAX);
    texts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(claims) => claims,
            other => panic!("{other}"),
        }
    }

    fn name(table: &OidcTable, signed: Value, told: Value) -> Result<String, ClaimFault> {
        let person = super::read(table, &claims(signed), &claims(told));
        person.map(|(name, _)| name)
    }

    #[test]
    fn the_name_is_a_text_that_the_provider_gives() {
        let table = OidcTable::default();
        let missing = Err(ClaimFault::NoName("preferred_username".into()));
        for (signed, told, expected) in [
            (
                json!({"preferred_username": "ann"}),
                json!({}),
                Ok("ann".into()),
            ),
            (
                json!({}),
                json!({"preferred_username": "ann"}),
                Ok("ann".into()),
            ),
            (
                json!({"preferred_username": "ann"}),
                json!({"preferred_username": "eve"}),
                Ok("ann".into()),
            ),
            (json!({"name": "ann"}), json!({}), missing.clone()),
            (
                json!({"preferred_username": ""}),
                json!({}),
                missing.clone(),
            ),
            (
                json!({"preferred_username": ["ann"]}),
                json!({}),
                missing.clone(),
            ),
            (json!({"preferred_username": 7}), json!({}), missing.clone()),
            // Signed to be nothing is signed.
            (
                json!({"preferred_username": null}),
                json!({"preferred_username": "eve"}),
                missing,
            ),
        ] {
            assert_eq!(name(&table, signed.clone(), told), expected, "{signed}");
        }
    }

    #[test]
    fn a_mail_address_counts_only_if_it_is_verified() {
        let table = OidcTable {
            username_claim: "email".into(),
            ..OidcTable::default()
        };
        let ann = "ann@example.org";
        let with = |verified: Value| json!({"email": ann, "email_verified": verified});
        assert_eq!(name(&table, with(json!(true)), json!({})), Ok(ann.into()));
        assert_eq!(name(&table, json!({}), with(json!(true))), Ok(ann.into()));
        for verified in [
            json!(false),
            json!("true"),
            json!(1),
            json!(null),
            json!([true]),
        ] {
            let refused = name(&table, with(verified.clone()), json!({}));
            assert_eq!(refused, Err(ClaimFault::NotVerified), "{verified}");
        }
        for (signed, told) in [
            (json!({"email": ann}), json!({})),
            // Verified is another address.
            (
                json!({"email": ann}),
                json!({"email": "e@e", "email_verified": true}),
            ),
            (json!({"email_verified": true}), json!({"email": ann})),
        ] {
            let refused = name(&table, signed.clone(), told);
            assert_eq!(refused, Err(ClaimFault::NotVerified), "{signed}");
        }
    }

    #[test]
    fn an_organisation_is_signed_or_none() {
        let table = OidcTable {
            hosted_domain: vec!["allowed.edu".into()],
            ..OidcTable::default()
        };
        let ann = |more: Value| {
            let mut signed = claims(json!({"preferred_username": "x@allowed.edu"}));
            signed.extend(claims(more));
            Value::Object(signed)
        };
        for hd in ["allowed.edu", "Allowed.EDU"] {
            assert!(name(&table, ann(json!({"hd": hd})), json!({})).is_ok());
        }
        for (signed, told) in [
            (json!({}), json!({})),
            (json!({}), json!({"hd": "allowed.edu"})),
            (json!({"hd": "evil.allowed.edu"}), json!({})),
            (json!({"hd": "allowed.edu.evil"}), json!({})),
            (json!({"hd": ""}), json!({})),
            (json!({"hd": ["allowed.edu"]}), json!({})),
            (
                json!({"email": "x@allowed.edu", "email_verified": true}),
                json!({}),
            ),
        ] {
            let refused = name(&table, ann(signed.clone()), told);
            assert_eq!(refused, Err(ClaimFault::NotHosted), "{signed}");
        }
    }

    #[test]
    fn groups_are_asked_for_or_the_hubs_own() {
        let ann = json!({"preferred_username": "ann", "groups": ["a", 7, "b"]});
        let groups = |table: &OidcTable, signed: &Value, told: Value| {
            let (signed, told) = (claims(signed.clone()), claims(told));
            super::read(table, &signed, &told).unwrap().1
        };
        assert_eq!(groups(&OidcTable::default(), &ann, json!({})), None);
        let asks = |claim: &str| OidcTable {
            claim_groups_key: Some(claim.into()),
            ..OidcTable::default()
        };
        let some = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        for (claim, told, expected) in [
            ("groups", json!({"groups": ["c"]}), some(&["a", "b"])),
            ("roles", json!({"roles": ["c"]}), some(&["c"])),
            ("roles", json!({"roles": "c"}), some(&["c"])),
            ("roles", json!({"roles": {"c": 1}}), some(&[])),
            ("roles", json!({}), some(&[])),
        ] {
            assert_eq!(groups(&asks(claim), &ann, told), expected, "{claim}");
        }
        let ann = claims(ann);
        assert!(!wants_more(&asks("groups"), &ann));
        assert!(wants_more(&asks("roles"), &ann));
        assert!(!wants_more(&OidcTable::default(), &ann));
        assert!(wants_more(&OidcTable::default(), &Claims::new()));
    }
}
