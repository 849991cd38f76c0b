//! How the hub speaks to a provider: one bounded request, one bounded answer. Redirections are not
//! followed, as they could lead anywhere.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use spawner_core::BoxError;
use tokio::sync::OnceCell;

use crate::tasks::{NoAnswer, bounded};

/// The longest answer. Keys and tokens have some kilobytes.
const ANSWER_MAX: usize = 1 << 20;

/// A client for one provider.
#[derive(Debug)]
pub(super) struct Web {
    client: OnceCell<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>,
    timeout: Duration,
    /// Whether the provider itself is reached by plain HTTP, on this host.
    plain: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    #[error("cannot read the certificates of this system")]
    Certificates(#[source] io::Error),
    #[error("{0} is not reached by https")]
    NotSecure(http::Uri),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the request failed")]
    Failed(#[source] hyper_util::client::legacy::Error),
    #[error("the answer cannot be read")]
    Answer(#[source] BoxError),
}

impl Web {
    /// For a provider that is reached by plain HTTP or by https only.
    pub(super) fn new(timeout: Duration, plain: bool) -> Self {
        Self {
            client: OnceCell::new(),
            timeout,
            plain,
        }
    }

    /// Asks and waits for the whole answer.
    pub(super) async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, WebError> {
        if !self.plain && request.uri().scheme_str() != Some("https") {
            return Err(WebError::NotSecure(request.uri().clone()));
        }
        let client = self.client.get_or_try_init(client).await?;
        let request = request.map(|body| Full::from(Bytes::from(body)));
        let exchange = async {
            let answer = client.request(request).await.map_err(WebError::Failed)?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            let body = body.map_err(WebError::Answer)?.to_bytes();
            Ok(HttpResponse::from_parts(head, body.into()))
        };
        bounded(self.timeout, exchange).await?
    }
}

/// Reads the system's certificates, off the async threads.
async fn client() -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, WebError> {
    let read = tokio::task::spawn_blocking(|| HttpsConnectorBuilder::new().with_native_roots());
    let read = read.await.map_err(io::Error::other);
    let builder = read.flatten().map_err(WebError::Certificates)?;
    let connector = builder.https_or_http().enable_http1().build();
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new());
    client.pool_idle_timeout(Duration::from_secs(30));
    Ok(client.build(connector))
}

impl<'c> AsyncHttpClient<'c> for Web {
    type Error = WebError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, WebError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
