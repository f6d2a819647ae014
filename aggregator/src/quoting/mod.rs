//! From a request to ranked, ready-to-sign quotes.
//!
//! ask every provider at once (`fan_out`) → throw away what no honest provider says (`sanity`)
//! → rank (`ranking`) → turn into steps (`assembly`) → simulate → bind with an id (`token`).

mod assembly;
mod engine;
mod fan_out;
mod fees;
mod kept;
mod origin;
mod ranking;
mod route;
mod route_limits;
mod sanity;
mod signing;
mod simulation;
mod token;

pub use assembly::{Account, Assembly};
pub use engine::{Engine, EngineConfig, Quoted};
pub use fan_out::{Answer, Patience, ask};
pub use kept::{Keep, KeptAnswer};
pub use ranking::{Candidate, Weights, score, security_strength};
pub use route::{InvalidField, Route};
pub use route_limits::RouteLimits;
pub use sanity::{Limits, Sanity, Suspicion};
pub use signing::SignedOrder;
pub use simulation::Simulations;
pub use token::{QuoteIds, RefusedQuote};
