//! Shares and share codes: JupyterHub's paths for something that hubd does not do.

use super::caller::ApiCaller;
use super::error::ApiError;
use http::StatusCode;

/// Where JupyterHub has them. They are no part of the description: there is nothing to ask for.
pub(super) const PATHS: [&str; 6] = [
    "/shares/{*rest}",
    "/share-codes/{*rest}",
    "/users/{user}/shared",
    "/users/{user}/shared/{*rest}",
    "/groups/{group}/shared",
    "/groups/{group}/shared/{*rest}",
];

/// Says so, to whoever has shown who they are.
pub(super) async fn none(_: ApiCaller) -> ApiError {
    let message = "This hub does not share servers between users, so there are no shares.";
    ApiError::new(StatusCode::NOT_FOUND, message)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::api::testing::Hub;

    #[tokio::test]
    async fn there_are_none() {
        let hub = Hub::new().await;
        for path in [
            "/shares/alice",
            "/shares/alice/",
            "/shares/alice/proj",
            "/share-codes/alice/",
            "/users/alice/shared",
            "/users/alice/shared/bob/",
            "/groups/staff/shared",
            "/groups/staff/shared/bob/proj",
        ] {
            for method in ["GET", "POST", "DELETE"] {
                let reply = hub.request(method, path).admin().send().await;
                assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method} {path}");
                assert!(reply.message().contains("share"), "{}", reply.message());
            }
            let stranger = hub.get(path).send().await;
            assert_eq!(stranger.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
}
