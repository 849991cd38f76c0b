//! `/hub/logout`: ends the session with all that was granted in it.

use axum::response::Response;
use http::StatusCode;

use super::instead::{Instead, redirect};
use super::visit::{Visit, set_cookie};

/// A plain GET, as JupyterLab's menu and the servers' own logout lead here. Without a login there
/// is nothing to end, but the cookies go all the same.
pub(super) async fn log_out(visit: Visit) -> Result<Response, Instead> {
    visit.expect_intent()?;
    if let Some(member) = visit.member()
        && let Some(session) = member.caller.session_id()
    {
        let by = visit.actor(member);
        visit.app().gate.log_out(by, member.user, session).await?;
    }
    let mut reply = redirect(StatusCode::FOUND, &visit.links().login(None));
    for cookie in visit.app().cookies.clear(visit.is_secure()) {
        set_cookie(&mut reply, &cookie);
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Site;

    #[tokio::test]
    async fn logging_out_ends_the_session_and_clears_the_cookies() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let old = alice.jar.clone();
        let reply = alice.get("/hub/logout").await;
        assert_eq!(reply.leads(), (302, "/hub/login"));
        let mut cookies: Vec<String> = reply
            .cookies()
            .iter()
            .map(|cookie| cookie.split("; Expires=").next().unwrap().to_owned())
            .collect();
        cookies.sort();
        assert_eq!(
            cookies,
            [
                "_xsrf=; SameSite=Lax; Path=/hub/; Max-Age=0",
                "jupyterhub-hub-login=; HttpOnly; SameSite=Lax; Path=/hub/; Max-Age=0",
                "jupyterhub-session-id=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0",
            ]
        );
        assert!(alice.jar.is_empty());

        // Whoever kept the cookies has nothing, and gets nothing back that logs in.
        let mut thief = site.browser();
        thief.jar = old;
        let reply = thief.get("/hub/home").await;
        let login = "/hub/login?next=%2Fhub%2Fhome";
        assert_eq!((reply.leads(), reply.cookies().len()), ((302, login), 0));
    }

    #[tokio::test]
    async fn a_tab_that_was_left_open_brings_no_cookie_back() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        let tab = || alice.request("GET", "/hub/login");
        let mut script = tab();
        let headers = script.headers_mut().unwrap();
        headers.insert("sec-fetch-mode", "cors".parse().unwrap());
        alice.get("/hub/logout").await;
        let reply = site.send(script, "").await;
        assert_eq!((reply.status, reply.cookies().len()), (200, 0));
    }

    #[tokio::test]
    async fn other_sessions_stay() {
        let site = Site::new().await;
        let mut here = site.logged_in("alice").await;
        let mut there = site.logged_in("alice").await;
        // Not with the right session id alone, and not by looking ahead.
        let mut nobody = site.browser();
        let id = here.jar["jupyterhub-session-id"].clone();
        nobody.jar.insert("jupyterhub-session-id".into(), id);
        assert_eq!(nobody.get("/hub/logout").await.leads(), (302, "/hub/login"));
        let head = here.request("HEAD", "/hub/logout");
        assert_eq!(site.send(head, "").await.status, 403);
        assert_eq!(here.get("/hub/home").await.status, 200);

        here.get("/hub/logout").await;
        assert_eq!(here.get("/hub/home").await.status, 302);
        assert_eq!(there.get("/hub/home").await.status, 200);
    }
}
