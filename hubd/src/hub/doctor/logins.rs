//! Whether people will be able to log in, and who.

use std::path::Path;

use spawner_core::{Finding, Verdict, error_chain};

use crate::auth::accounts::Account;
use crate::auth::authenticator::Pam;
use crate::auth::oidc::{CALLBACK, Provider};
use crate::config::{AuthKind, Config, PamTable};
use crate::proxy::IpRange;

/// Where Linux-PAM finds the rules of a service, one after the other.
const PAM_FOLDERS: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"];

/// One finding for each thing. `url` is where browsers find the hub, with a slash at the end; the
/// accounts are those of the books, if these could be read; `helper` is a hubd program.
pub(super) async fn look(
    config: &Config,
    url: &str,
    accounts: Option<&[Account]>,
    helper: Option<&Path>,
) -> Vec<Finding> {
    let auth = &config.auth;
    let mut findings = match auth.kind {
        Some(AuthKind::Pam) => pam(config, helper).await,
        Some(AuthKind::Oidc) => oidc(config, url).await,
        Some(AuthKind::Header) => vec![header(config)],
        Some(AuthKind::SharedPassword) => vec![shared_password(config)],
        Some(AuthKind::Password) => accounts
            .map(|accounts| password(config, accounts))
            .into_iter()
            .collect(),
        Some(AuthKind::Dummy) => vec![warning(
            "anybody who reaches the hub can log in under any name: `kind = \"dummy\"` is for \
             trying things out",
        )],
        // The configuration was refused before.
        None => Vec::new(),
    };
    findings.extend(allowed(config, accounts));
    findings
}

async fn pam(config: &Config, helper: Option<&Path>) -> Vec<Finding> {
    let table = &config.auth.pam;
    let Some(helper) = helper else {
        return vec![warning("PAM is not looked at: no hubd program is named")];
    };
    let mut findings = Vec::new();
    let pam = Pam::new(helper.to_owned(), table.clone(), false);
    findings.push(match pam.probe().await {
        Ok(()) => fine("PAM answers"),
        Err(error) => problem(format!("PAM cannot be used: {}", error_chain(&error))),
    });
    findings.extend(pam_rules(table));
    if !rustix::process::geteuid().is_root() {
        let message = "hubd does not run as root, so PAM may let nobody in but its own account";
        findings.push(warning(message));
    }
    findings
}

/// Whether the service has rules of its own.
fn pam_rules(table: &PamTable) -> Option<Finding> {
    let service = &table.service;
    let folders: Vec<&Path> = match &table.config_dir {
        Some(folder) => vec![folder],
        None => PAM_FOLDERS.iter().map(Path::new).collect(),
    };
    let is_there = folders.iter().any(|folder| folder.join(service).exists());
    (!is_there).then(|| {
        let folder = folders[0].display();
        warning(format!(
            "there is no file {folder}/{service}, so PAM takes the rules of `other`, which as a \
             rule let nobody in: write one, or set another `service` in [auth.pam]"
        ))
    })
}

async fn oidc(config: &Config, url: &str) -> Vec<Finding> {
    let Some(provider) = Provider::new(&config.auth.oidc) else {
        return Vec::new();
    };
    let issuer = config.auth.oidc.issuer.as_deref().unwrap_or_default();
    let mut findings = vec![match provider.probe().await {
        Ok(()) => fine(format!(
            "the login provider {issuer} answers, and is the one it should be"
        )),
        Err(trouble) => problem(format!(
            "people cannot log in at {issuer}: {}",
            error_chain(&*trouble)
        )),
    }];
    let redirect_uri = format!("{url}{CALLBACK}");
    let message = format!("the redirect URI to register at the provider is {redirect_uri}");
    findings.push(if config.hub.public_url.is_some() {
        fine(message)
    } else {
        warning(format!(
            "{message}, unless browsers find the hub at another address: then set `public_url` in \
             [hub]"
        ))
    });
    findings
}

fn header(config: &Config) -> Finding {
    let (name, proxies) = (&config.auth.header.name, &config.hub.trusted_proxies);
    if proxies.iter().any(IpRange::is_everything) {
        return problem(format!(
            "the header `{name}` is believed from everybody, so anybody can log in as anybody: list \
             your own proxies in `trusted_proxies` in [hub]"
        ));
    }
    fine(format!(
        "whoever a proxy in `trusted_proxies` names in `{name}` is logged in; it has to drop what its \
         clients send under that name"
    ))
}

fn shared_password(config: &Config) -> Finding {
    let shared = &config.auth.shared_password;
    match (&shared.user_password, &shared.admin_password) {
        (Some(_), Some(_)) => fine("users have a password to log in with, and admins another"),
        (Some(_), None) => warning("there is no password for admins, so none can log in"),
        (None, _) => warning("only admins can log in: there is no password for users"),
    }
}

fn password(config: &Config, accounts: &[Account]) -> Finding {
    let usable = |account: &&Account| account.has_password && !account.blocked;
    let usable = accounts.iter().filter(usable).count();
    let signup = config.auth.password.allow_signup;
    match usable {
        0 if signup => warning(
            "nobody has an account yet: people can ask for one, and an admin or `hubd user approve` \
             lets them in",
        ),
        0 => problem(
            "nobody can log in: there is no account with a password; `hubd user add NAME` makes one",
        ),
        1 => fine("1 account has a password and is not blocked"),
        many => fine(format!(
            "{many} accounts have a password and are not blocked"
        )),
    }
}

/// Whether anybody is let in who proves who they are.
fn allowed(config: &Config, accounts: Option<&[Account]>) -> Option<Finding> {
    if !config.auth.allows_nobody() {
        return None;
    }
    let what = "no user is allowed and none is an admin: set `allowed_users` or `allow_all = true` in \
                [auth]";
    // Those whom an admin has let in need not be named.
    let some_may_be_admitted = config.auth.kind == Some(AuthKind::Password)
        && accounts.is_some_and(|accounts| !accounts.is_empty());
    Some(if some_may_be_admitted {
        warning(format!("only who was approved may come in: {what}"))
    } else {
        problem(format!("nobody may come in: {what}"))
    })
}

fn fine(message: impl Into<String>) -> Finding {
    Finding::new(Verdict::Fine, message.into())
}

fn warning(message: impl Into<String>) -> Finding {
    Finding::new(Verdict::Warning, message.into())
}

fn problem(message: impl Into<String>) -> Finding {
    Finding::new(Verdict::Problem, message.into())
}
