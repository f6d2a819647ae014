//! Named places where a test may kill the process.
//!
//! A service marks the moments between its durable steps with [`crash_point!`](crate::crash_point).
//! Built with the feature `crash-points` and started with `METALAYER_CRASH_AT=<point>[:n]`, the
//! process aborts when it reaches that point for the n-th time (the first, by default). Without
//! the feature a point compiles to nothing.

/// Environment variable that names the point to die at.
pub const CRASH_VARIABLE: &str = "METALAYER_CRASH_AT";

/// Marks a point in the flow; see [`crash`](crate::crash).
#[macro_export]
macro_rules! crash_point {
    ($name:expr) => {
        $crate::crash::reach($name)
    };
}

/// Reached point `name`. Use [`crash_point!`](crate::crash_point).
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub const fn reach(_name: &str) {}

/// Reached point `name`. Use [`crash_point!`](crate::crash_point).
#[cfg(feature = "crash-points")]
pub fn reach(name: &str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    static VISITS: AtomicU64 = AtomicU64::new(0);

    let plan = PLAN.get_or_init(|| std::env::var(CRASH_VARIABLE).ok().map(|text| Plan::new(&text)));
    let Some(plan) = plan else { return };
    if plan.point == name && VISITS.fetch_add(1, Ordering::SeqCst) + 1 == plan.visit {
        tracing::error!(point = name, visit = plan.visit, "crash point reached, aborting");
        std::process::abort();
    }
}

/// Where to die, and at which visit.
#[cfg(any(feature = "crash-points", test))]
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    point: String,
    visit: u64,
}

#[cfg(any(feature = "crash-points", test))]
impl Plan {
    fn new(text: &str) -> Self {
        match text.rsplit_once(':').and_then(|(point, n)| Some((point, n.parse().ok()?))) {
            Some((point, visit)) => Self { point: point.to_owned(), visit },
            None => Self { point: text.to_owned(), visit: 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_a_point_and_a_visit() {
        assert_eq!(Plan::new("solver.sent"), Plan { point: "solver.sent".into(), visit: 1 });
        assert_eq!(Plan::new("solver.sent:3"), Plan { point: "solver.sent".into(), visit: 3 });
    }
}
