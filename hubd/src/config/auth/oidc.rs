//! `[auth.oidc]`: an OpenID Connect provider says who somebody is.

use std::time::Duration;

use spawner_core::Secret;
use toml::de::DeValue;
use url::{Host, Url};

use super::super::files::secret_from;
use super::super::reader::TableReader;
use super::super::seconds::timeout;
use super::super::spec::{KeySpec, TableSpec};
use super::super::value::{Fault, quote, some_text};

/// `[auth.oidc]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OidcTable {
    /// The provider, to the letter as it names itself.
    pub(crate) issuer: Option<String>,
    /// What the provider calls this hub.
    pub(crate) client_id: Option<String>,
    /// By which the hub proves to the provider that it is that client.
    pub(crate) client_secret: Option<Secret>,
    /// What is asked for.
    pub(crate) scope: Vec<String>,
    /// The claim that holds the name of the user.
    pub(crate) username_claim: String,
    /// The claim that holds their groups; none, and the hub's own count.
    pub(crate) claim_groups_key: Option<String>,
    /// The organisations, as the claim `hd` names them in lower case, whose members may log in; none
    /// means that everybody's may.
    pub(crate) hosted_domain: Vec<String>,
    /// What the button says people sign in with; none, and it is the provider's host.
    pub(crate) login_service: Option<String>,
    /// How long one answer of the provider may take.
    pub(crate) timeout: Duration,
}

impl Default for OidcTable {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret: None,
            scope: ["openid", "profile", "email"].map(str::to_owned).into(),
            username_claim: "preferred_username".to_owned(),
            claim_groups_key: None,
            hosted_domain: Vec::new(),
            login_service: None,
            timeout: Duration::from_secs(10),
        }
    }
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "auth.oidc",
    repeated: false,
    about: "For kind = \"oidc\": people sign in at an OpenID Connect provider. Register hubd there as a\n\
            confidential client for the authorization code flow; `hubd doctor` prints the redirect URI.\n\
            Whoever logs in first under a name keeps it: the provider's number for them is what counts.\n\
            So the provider has to give out names that nobody can choose for themselves.",
    keys: &[
        KeySpec::unset(
            "issuer",
            "\"https://login.example.org/realms/school\"",
            "The provider, exactly as it names itself, with or without a slash at the end. Its\n\
             discovery document is at /.well-known/openid-configuration below it.",
        ),
        KeySpec::unset("client_id", "\"hubd\"", "What the provider calls this hub."),
        KeySpec::unset(
            "client_secret_file",
            "\"oidc.secret\"",
            "File with the client's secret and nothing else, readable by its owner only.",
        ),
        KeySpec::unset(
            "client_secret",
            "\"from the provider\"",
            "That secret, if it has to stand in this file.",
        ),
        KeySpec::new(
            "scope",
            "[\"openid\", \"profile\", \"email\"]",
            "What the provider is asked for. Some want another one before they tell groups.",
        ),
        KeySpec::new(
            "username_claim",
            "\"preferred_username\"",
            "The claim that holds the name of the user. An \"email\" counts only if the provider says\n\
             that it is verified.",
        ),
        KeySpec::unset(
            "claim_groups_key",
            "\"groups\"",
            "The claim that holds the names of the user's groups, for allowed_groups. Left out,\n\
             allowed_groups are groups of the hub.",
        ),
        KeySpec::new(
            "hosted_domain",
            "[]",
            "Only members of these organisations may log in, as the signed claim `hd` says; whatever\n\
             else allows them. What stands behind the @ of a mail address proves nothing.",
        ),
        KeySpec::unset(
            "login_service",
            "\"Example University\"",
            "What the button on the login page says people sign in with. Left out, it is the name of\n\
             the provider's host.",
        ),
        KeySpec::new(
            "timeout",
            "10",
            "How long one answer of the provider may take.",
        ),
    ],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> OidcTable {
    let default = OidcTable::default();
    let secret = |text: String| match text.as_str() {
        "" => Err(Fault::new("the secret is empty")),
        _ => Ok(Secret::new(text)),
    };
    let read = OidcTable {
        issuer: table.get("issuer", issuer),
        client_id: table.get("client_id", some_text),
        client_secret: secret_from(&mut table, "client_secret", "client_secret_file", secret),
        scope: table.list("scope", scope).unwrap_or(default.scope),
        username_claim: table
            .get("username_claim", some_text)
            .unwrap_or(default.username_claim),
        claim_groups_key: table.get("claim_groups_key", some_text),
        hosted_domain: table.list("hosted_domain", domain).unwrap_or_default(),
        login_service: table.get("login_service", some_text),
        timeout: table.get("timeout", timeout).unwrap_or(default.timeout),
    };
    if table.has("scope") && !read.scope.iter().any(|scope| scope == "openid") {
        let fault = Fault::new("without \"openid\" the provider does not say who somebody is");
        table.fault("scope", fault.help("add \"openid\" to the list"));
    }
    table.finish();
    read
}

/// The provider. What it says is believed, so nobody may listen or speak in between; on this host
/// nobody can.
fn issuer(value: &DeValue<'_>) -> Result<String, Fault> {
    let written = some_text(value)?;
    let help = "it looks like \"https://login.example.org\"";
    let url = Url::parse(&written);
    let url = url.map_err(|error| Fault::new(format!("this is not an address: {error}")));
    let url = url.map_err(|fault| fault.help(help))?;
    let is_here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        return Err(Fault::new("the address must begin with https://").help(help));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new(
            "the address cannot hold a user name or password",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::new("the address cannot hold `?` or `#`"));
    }
    let path = url.path().trim_end_matches('/');
    if let Some(path) = path.strip_suffix("/.well-known/openid-configuration") {
        let issuer = url.join(&format!("{path}/"));
        let issuer = issuer.map_or_else(|_| String::new(), |url| url.to_string());
        let issuer = issuer.trim_end_matches('/');
        let fault = Fault::new("this is the address of the discovery document");
        return Err(fault.help(format!("write \"{issuer}\"")));
    }
    Ok(written)
}

/// One word of the list of scopes, which travels with blanks in between.
fn scope(value: &DeValue<'_>) -> Result<String, Fault> {
    let scope = some_text(value)?;
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    if !scope.chars().all(fits) {
        return Err(Fault::new(format!("{} is not a scope", quote(&scope)))
            .help("write each one as a text of its own"));
    }
    Ok(scope)
}

fn domain(value: &DeValue<'_>) -> Result<String, Fault> {
    let domain = some_text(value)?.to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if !domain.chars().all(fits) {
        return Err(Fault::new(format!("{} is not a domain", quote(&domain)))
            .help("it looks like \"example.org\""));
    }
    Ok(domain)
}
