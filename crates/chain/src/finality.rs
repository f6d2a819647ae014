//! When a block is final: one rule and one pure function.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// When the blocks of a chain count as final.
///
/// Written as `finalized`, `safe`, `latest`, `instant` or `blocks(12)` in configurations and manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FinalityRule {
    /// What the node itself reports under this tag.
    Tag(Tag),
    /// A block with this many blocks on top of it. `Blocks(0)` is the newest block.
    Blocks(u64),
    /// Every block is final as soon as it is there: an explicit declaration, never a default.
    Instant,
}

/// A block tag that a node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// Final on the parent chain.
    Finalized,
    /// Posted to the parent chain.
    Safe,
    /// The newest block.
    Latest,
}

/// The heads that a node reports. `None`: the node has no block under that tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// Number of the newest block.
    pub latest: u64,
    /// Number of the newest block that is on the parent chain.
    pub safe: Option<u64>,
    /// Number of the newest block that is final on the parent chain.
    pub finalized: Option<u64>,
}

/// The newest block that is final by `rule`, or `None` while there is none.
pub const fn safe_head(rule: FinalityRule, heads: Heads) -> Option<u64> {
    match rule {
        FinalityRule::Tag(Tag::Finalized) => heads.finalized,
        FinalityRule::Tag(Tag::Safe) => heads.safe,
        FinalityRule::Tag(Tag::Latest) | FinalityRule::Instant => Some(heads.latest),
        FinalityRule::Blocks(depth) => heads.latest.checked_sub(depth),
    }
}

/// The text names no finality rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no finality rule: expected finalized, safe, latest, instant or blocks(N)")]
pub struct UnknownRule {
    /// The text.
    pub given: String,
}

impl FromStr for FinalityRule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, UnknownRule> {
        let depth = |text: &str| text.strip_prefix("blocks(")?.strip_suffix(')')?.parse().ok();
        match text {
            "finalized" => Ok(Self::Tag(Tag::Finalized)),
            "safe" => Ok(Self::Tag(Tag::Safe)),
            "latest" => Ok(Self::Tag(Tag::Latest)),
            "instant" => Ok(Self::Instant),
            other => depth(other)
                .map(Self::Blocks)
                .ok_or_else(|| UnknownRule { given: other.to_owned() }),
        }
    }
}

impl fmt::Display for FinalityRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(Tag::Finalized) => f.write_str("finalized"),
            Self::Tag(Tag::Safe) => f.write_str("safe"),
            Self::Tag(Tag::Latest) => f.write_str("latest"),
            Self::Instant => f.write_str("instant"),
            Self::Blocks(depth) => write!(f, "blocks({depth})"),
        }
    }
}

impl From<FinalityRule> for String {
    fn from(rule: FinalityRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for FinalityRule {
    type Error = UnknownRule;

    fn try_from(text: String) -> Result<Self, UnknownRule> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: Heads = Heads { latest: 100, safe: Some(90), finalized: Some(80) };

    #[test]
    fn the_safe_head_of_every_rule() {
        let young = Heads { latest: 3, safe: None, finalized: None };
        let cases = [
            ("finalized", HEADS, Some(80)),
            ("safe", HEADS, Some(90)),
            ("latest", HEADS, Some(100)),
            ("instant", HEADS, Some(100)),
            ("blocks(0)", HEADS, Some(100)),
            ("blocks(12)", HEADS, Some(88)),
            ("blocks(100)", HEADS, Some(0)),
            ("blocks(101)", HEADS, None),
            ("finalized", young, None),
            ("safe", young, None),
            ("blocks(4)", young, None),
        ];
        for (rule, heads, expected) in cases {
            assert_eq!(safe_head(rule.parse().unwrap(), heads), expected, "{rule} of {heads:?}");
        }
    }

    #[test]
    fn a_rule_survives_its_text_and_nothing_else_is_one() {
        for text in ["finalized", "safe", "latest", "instant", "blocks(7)"] {
            assert_eq!(text.parse::<FinalityRule>().unwrap().to_string(), text);
        }
        for text in ["", "Finalized", "blocks", "blocks()", "blocks(-1)", "blocks(1", "pending"] {
            assert!(text.parse::<FinalityRule>().is_err(), "{text}");
        }
    }
}
