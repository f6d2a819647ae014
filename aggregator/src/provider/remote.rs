use std::{
    collections::{HashMap, VecDeque},
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body, Incoming},
    client::conn::http1::{self, Connection, SendRequest},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use parking_lot::Mutex;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    net::TcpStream,
    runtime::{self, Handle},
};
use tower_service::Service;
use url::Url;

/// Idle connections that a runtime keeps: as many as there are places for questions.
const MAX_IDLE: usize = 1_024;
/// How long an idle connection is used again: servers close theirs after 5 s (Node) to 75 s (nginx);
/// one that was closed is noticed.
const IDLE: Duration = Duration::from_secs(30);

/// A service that is asked over HTTP/1.1, and connections to it for the next questions.
///
/// A connection is driven by the question that uses it, on the runtime that opened it: no task of its
/// own, nothing handed from thread to thread, which is what a quote would cost most otherwise. Redirects are not followed,
/// proxies not used.
#[derive(Debug)]
pub(super) struct Remote {
    connector: HttpsConnector<HttpConnector>,
    uri: Uri,
    path: Uri,
    headers: HeaderMap,
    idle: Mutex<HashMap<runtime::Id, Idle>>,
}

/// Idle connections, the one used last at the end.
type Idle = VecDeque<(Instant, Box<Link>)>;

/// Questions to a service of this URL cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The URL is not one of HTTP.
    #[error("the URL cannot be asked: {0}")]
    Url(String),
    /// The system has no usable certificates.
    #[error("no certificates: {0}")]
    Certificates(#[from] rustls::Error),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The connection cannot be opened.
    #[error("no connection: {0}")]
    Connect(Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke, or what came is not HTTP.
    #[error("{}", with_causes(.0))]
    Http(#[from] hyper::Error),
    /// The answer is longer than one reads.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Boxed where it is handed on: HTTP keeps much for a connection.
#[derive(Debug)]
struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<MaybeHttpsStream<TokioIo<TcpStream>>, Full<Bytes>>,
    ended: bool,
}

impl Remote {
    /// The service that answers at this URL.
    pub(super) fn new(url: &Url) -> Result<Self, RemoteError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let invalid = |error: &dyn std::fmt::Display| RemoteError::Url(error.to_string());
        let mut plain = url.clone();
        // Credentials go into a header, and nowhere else.
        if plain.set_username("").and_then(|()| plain.set_password(None)).is_err() {
            return Err(invalid(&"it has no host"));
        }
        let uri: Uri = plain.as_str().parse().map_err(|error| invalid(&error))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = path.parse().map_err(|error| invalid(&error))?;
        let authority = uri.authority().ok_or_else(|| invalid(&"it has no host"))?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| invalid(&error))?;
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !url.username().is_empty() || url.password().is_some() {
            let pair = format!("{}:{}", url.username(), url.password().unwrap_or_default());
            let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
            let mut value = HeaderValue::from_str(&value).map_err(|error| invalid(&error))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self { connector, uri, path, headers, idle: Mutex::default() })
    }

    /// Posts a question and reads an answer of at most `longest` bytes.
    pub(super) async fn post(
        &self,
        question: Bytes,
        longest: usize,
    ) -> Result<(StatusCode, Bytes), Fault> {
        if let Some(mut link) = self.take().await {
            match link.send(self.request(question.clone())).await {
                Ok(response) => return self.read(link, response, longest).await,
                // It had been closed while it lay idle, and nobody has read the question.
                Err(error) => tracing::debug!(%error, "asking again on another connection"),
            }
        }
        let mut link = self.connect().await?;
        let response = link.send(self.request(question)).await?;
        self.read(link, response, longest).await
    }

    fn request(&self, question: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(question));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// An idle connection that still stands.
    async fn take(&self) -> Option<Box<Link>> {
        loop {
            let (since, mut link) = self.idle.lock().get_mut(&here())?.pop_back()?;
            if since.elapsed() < IDLE && link.stands().await {
                return Some(link);
            }
        }
    }

    fn put_back(&self, link: Box<Link>) {
        let now = Instant::now();
        let mut all = self.idle.lock();
        let idle = all.entry(here()).or_default();
        while idle.front().is_some_and(|(since, _)| now.duration_since(*since) >= IDLE) {
            idle.pop_front();
        }
        if idle.len() < MAX_IDLE {
            idle.push_back((now, link));
        }
    }

    async fn connect(&self) -> Result<Box<Link>, Fault> {
        let mut connector = self.connector.clone();
        let ready = poll_fn(|cx| connector.poll_ready(cx)).await;
        ready.map_err(Fault::Connect)?;
        let stream = connector.call(self.uri.clone()).await.map_err(Fault::Connect)?;
        let (sender, connection) = http1::handshake(stream).await?;
        Ok(Box::new(Link { sender, connection, ended: false }))
    }

    async fn read(
        &self,
        mut link: Box<Link>,
        response: Response<Incoming>,
        longest: usize,
    ) -> Result<(StatusCode, Bytes), Fault> {
        let (head, mut body) = response.into_parts();
        let mut whole = BytesMut::new();
        while !body.is_end_stream() {
            let Some(frame) = link.drive(pin!(body.frame())).await?.transpose()? else { break };
            let Ok(part) = frame.into_data() else { continue };
            if whole.len() + part.len() > longest {
                return Err(Fault::TooLong(longest));
            }
            if whole.is_empty() && body.is_end_stream() {
                self.put_back(link);
                return Ok((head.status, part));
            }
            whole.extend_from_slice(&part);
        }
        self.put_back(link);
        Ok((head.status, whole.freeze()))
    }
}

impl Link {
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let sending = self.sender.send_request(request);
        self.drive(pin!(sending)).await?
    }

    /// Drives the connection until `wanted` is there.
    async fn drive<T>(
        &mut self,
        mut wanted: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, hyper::Error> {
        poll_fn(|cx| {
            if !self.ended
                && let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(cx)
            {
                self.ended = true;
                if let Err(error) = ended {
                    return Poll::Ready(Err(error));
                }
            }
            // What the connection heard before it ended is still told.
            wanted.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Whether the other side has not closed it, and takes another question.
    async fn stands(&mut self) -> bool {
        poll_fn(|cx| {
            self.ended |= Pin::new(&mut self.connection).poll(cx).is_ready();
            Poll::Ready(!self.ended && self.sender.is_ready())
        })
        .await
    }
}

/// The runtime that this is asked on, and on which a connection is woken.
fn here() -> runtime::Id {
    Handle::current().id()
}

/// An error with what lies beneath it: HTTP's own words say little.
fn with_causes(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Answers so many questions on each connection, then closes it without a word.
    async fn server(each: usize, answer: &'static str) -> (Url, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:word@{}/quotes?key=1", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                for _ in 0..each {
                    let mut heard = Vec::new();
                    while !heard.ends_with(b"{}") {
                        assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
                    }
                    let text = String::from_utf8(heard).unwrap();
                    assert!(text.starts_with("POST /quotes?key=1 HTTP/1.1\r\n"), "{text}");
                    assert!(text.contains("authorization: Basic dXNlcjp3b3Jk\r\n"), "{text}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (url.parse().unwrap(), serving)
    }

    async fn ask(remote: &Remote, longest: usize) -> Result<String, Fault> {
        let (status, body) = remote.post(Bytes::from_static(b"{}"), longest).await?;
        assert_eq!(status, StatusCode::OK);
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_connection_serves_many_questions_and_is_replaced_when_it_was_closed() {
        let (url, serving) = server(3, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
        let remote = Remote::new(&url).unwrap();
        for _ in 0..7 {
            assert_eq!(ask(&remote, 5).await.unwrap(), "hello");
            assert_eq!(remote.idle.lock()[&here()].len(), 1);
        }
        assert!(matches!(ask(&remote, 4).await, Err(Fault::TooLong(4))));
        serving.abort();
    }

    #[tokio::test]
    async fn answers_come_in_pieces_or_end_with_the_connection() {
        let pieces =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        for answer in [pieces, "HTTP/1.1 200 OK\r\n\r\nhello"] {
            let (url, serving) = server(1, answer).await;
            let remote = Remote::new(&url).unwrap();
            for _ in 0..2 {
                assert_eq!(ask(&remote, 5).await.unwrap(), "hello");
            }
            serving.abort();
        }
    }

    #[tokio::test]
    async fn what_is_not_http_is_said_so() {
        let (url, serving) = server(1, "I am no server\r\n\r\n").await;
        let remote = Remote::new(&url).unwrap();
        assert!(matches!(ask(&remote, 5).await, Err(Fault::Http(_))));
        serving.abort();
        assert!(Remote::new(&"data:,x".parse().unwrap()).is_err());
    }
}
