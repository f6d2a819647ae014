//! What tests need of the machine beyond Rust and Node: a server, a tool.
//!
//! Uses nothing but `std`, so that test binaries of other packages can include this file.

use std::{
    env,
    io::{self, Write},
};

/// Names what must be there, such as `postgres,schemathesis`: a test that lacks it fails instead of skipping.
const REQUIRED: &str = "METALAYER_TEST_REQUIRE";
/// How the variables begin that say where something is.
const PREFIX: &str = "METALAYER_TEST_";

/// Where something is, by its variable, such as `METALAYER_TEST_POSTGRES`. `None`, and a line that says so, when
/// the machine has none.
///
/// # Panics
/// It has none and `METALAYER_TEST_REQUIRE` names it.
#[must_use]
pub fn given(variable: &str) -> Option<String> {
    let given = env::var(variable).ok().filter(|value| !value.is_empty());
    if given.is_none() {
        skipped(variable, "is not set");
    }
    given
}

/// Says that a test is skipped, and why.
///
/// # Panics
/// `METALAYER_TEST_REQUIRE` names what the variable stands for.
pub fn skipped(variable: &str, why: &str) {
    let required = env::var(REQUIRED).unwrap_or_default();
    assert!(!names(&required, variable), "{variable} {why}, and {REQUIRED} is {required}");
    // Whoever runs the tests reads stderr; a closed one changes nothing.
    let _ = writeln!(io::stderr(), "SKIPPED: {variable} {why}");
}

/// Whether a list of what is required has what a variable stands for.
fn names(required: &str, variable: &str) -> bool {
    let own = variable.strip_prefix(PREFIX).unwrap_or(variable);
    required.split(',').any(|name| name.trim().eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn what_is_required_is_found_by_its_name() {
        let required = "schemathesis, postgres";
        assert!(names(required, "METALAYER_TEST_POSTGRES"));
        assert!(names(required, "METALAYER_TEST_SCHEMATHESIS"));
        assert!(!names(required, "METALAYER_TEST_WRK"));
        assert!(!names("", "METALAYER_TEST_POSTGRES"));
    }
}
