//! The API over HTTP.

mod admission;
mod answers;
mod body;
mod caller;
mod catalog;
mod error;
mod kept_answers;
mod opening;
mod orders;
mod params;
mod quotes;
mod request_id;
mod streams;
mod threads;
mod webhooks;

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use api::aggregator::{ErrorBody, ErrorCode};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{
        HeaderValue,
        header::{RETRY_AFTER, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{from_fn_with_state, map_response},
    response::Response,
};
use chain::manifest::Manifest;
use service::{clock::Clock, health::Health, tasks::Spawner};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

pub use admission::{AdmissionConfig, ApiKey, Scope};
pub use error::ApiError;
pub use request_id::RequestId;
pub use streams::StreamLimits;
pub use threads::Threads;

use crate::{
    book::TokenBook,
    orders::{Changes, Orders},
    quoting::Engine,
    reputation::Reputations,
    webhooks::{Hooks, Secrets},
};
use admission::Admission;
use kept_answers::KeptAnswers;

/// What handlers work with.
#[derive(Clone, Debug)]
pub struct App(Arc<(AppParts, KeptAnswers)>);

impl App {
    /// An application of these parts.
    pub fn new(parts: AppParts) -> Self {
        Self(Arc::new((parts, KeptAnswers::default())))
    }

    /// Answers that are given again.
    fn kept(&self) -> &KeptAnswers {
        &self.0.1
    }
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0.0
    }
}

/// The parts of an [`App`].
#[derive(Debug)]
pub struct AppParts {
    /// Makes quotes.
    pub engine: Engine,
    /// Chains and tokens.
    pub book: Arc<TokenBook>,
    /// The deployment.
    pub manifest: Manifest,
    /// Orders and their states.
    pub orders: Orders,
    /// Tells of changed orders.
    pub changes: Changes,
    /// Who is told of them elsewhere.
    pub hooks: Hooks,
    /// Keys of what is told.
    pub secrets: Secrets,
    /// Whether orders may be signed instead of sent.
    pub gasless: bool,
    /// Whether webhooks may point into private networks.
    pub allow_private_webhooks: bool,
    /// What providers are worth.
    pub reputations: Arc<Reputations>,
    /// Whether every part works.
    pub health: Health,
    /// The time of day.
    pub clock: Clock,
}

/// How the API meets the world.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// Who may ask how much.
    pub admission: AdmissionConfig,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Origins of pages that may call the API; `*` for any.
    pub cors_origins: Vec<String>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Metalayer aggregator",
        description = "Quotes from every provider at once, ready to sign, and orders followed by \
                       the events of both chains.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "quotes", description = "Ask for routes"),
        (name = "orders", description = "Follow what became of them"),
        (name = "webhooks", description = "Be told of them"),
        (name = "catalog", description = "Chains, tokens, providers")
    ),
    components(schemas(ErrorBody))
)]
struct Description;

/// The OpenAPI 3.1 description of the API.
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().split_for_parts().1
}

/// All routes, behind admission, under a request id. What admission remembers of callers is kept
/// small by one of `tasks`.
pub fn router(app: App, config: &HttpConfig, tasks: &Spawner) -> Router {
    let (routes, description) = described().split_for_parts();
    let admission = Admission::new(config.admission.clone(), config.max_body);
    tasks.spawn("callers", admission.clone().forget(tasks.shutdown()));
    routes
        .merge(SwaggerUi::new("/docs").url("/openapi.json", description))
        .fallback(|| async { ApiError::new(ErrorCode::NotFound, "no such path; see /docs") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(ErrorCode::MethodNotAllowed, "the path exists, the method does not")
        })
        // Admission has read the body, and bounds it.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(admission, admission::enter))
        .layer(cors(&config.cors_origins))
        .layer(map_response(as_declared))
        .with_state(app)
}

/// Keeps browsers from taking an answer for something else than its content type says.
async fn as_declared(mut response: Response) -> Response {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(quotes::quote))
        .routes(routes!(quotes::stream))
        .routes(routes!(orders::submit, orders::list))
        .routes(routes!(orders::get))
        .routes(routes!(orders::stream))
        .routes(routes!(webhooks::register, webhooks::list))
        .routes(routes!(webhooks::remove))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
        .routes(routes!(catalog::chains))
        .routes(routes!(catalog::tokens))
        .routes(routes!(catalog::providers))
        .routes(routes!(catalog::health))
}

fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(Any)
        .allow_headers(Any)
        .expose_headers([RETRY_AFTER])
}

/// The state of each part by name, and of all of them under `status`.
type Parts = BTreeMap<String, String>;
