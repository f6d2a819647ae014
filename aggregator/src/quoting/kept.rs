use std::time::Duration;

use api::aggregator::{Cached, Quote, QuoteResponse};

/// How long a whole answer may be given again: until the first part of it is out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Everything that each quote was made from, as old as it was then.
    parts: Vec<Vec<Cached>>,
    life: Duration,
}

impl Keep {
    /// `None` when a part may not be kept or the answer is empty.
    pub(super) fn of(quotes: &[Quote], parts: Vec<Vec<Cached>>, now: u64) -> Option<Self> {
        let left = |part: &Cached| part.lifetime_ms.saturating_sub(part.age_ms);
        let life = parts.iter().flatten().map(left).min()?;
        let expires = quotes.iter().map(|quote| quote.expires_at).min()?;
        let life =
            Duration::from_millis(life).min(Duration::from_secs(expires.saturating_sub(now)));
        (!life.is_zero()).then_some(Self { parts, life })
    }

    /// How long from now on.
    pub const fn life(&self) -> Duration {
        self.life
    }
}

/// An answer that is given again: ready JSON, in which ages are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    json: Vec<u8>,
    ages: Vec<Age>,
}

/// Where an age stands in the text, and what it was when the answer was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Age {
    at: usize,
    then: u64,
}

/// Stands where an age will be: as long as the longest.
const BLANK: u64 = u64::MAX;
/// The member that holds an age. Within a string its quotation marks would be escaped.
const MEMBER: &[u8] = b"\"age_ms\":18446744073709551615";
/// Digits of [`BLANK`].
const DIGITS: usize = 20;

impl KeptAnswer {
    /// Every quote says of all its parts that they were kept.
    ///
    /// # Errors
    /// The answer cannot be written as JSON.
    pub fn new(mut answer: QuoteResponse, keep: Keep) -> Result<Self, serde_json::Error> {
        answer.elapsed_ms = 0;
        let mut then = Vec::new();
        for (quote, parts) in answer.quotes.iter_mut().zip(keep.parts) {
            then.extend(parts.iter().map(|part| part.age_ms));
            quote.cached = parts.into_iter().map(|part| Cached { age_ms: BLANK, ..part }).collect();
        }
        let json = serde_json::to_vec(&answer)?;
        let members = json.windows(MEMBER.len()).enumerate();
        let members = members.filter(|(_, window)| *window == MEMBER);
        let ages = members
            .zip(then)
            .map(|((at, _), then)| Age { at: at + MEMBER.len() - DIGITS, then })
            .collect();
        Ok(Self { json, ages })
    }

    /// The JSON of the answer, so long after it was made.
    pub fn after(&self, time: Duration) -> Vec<u8> {
        let mut json = self.json.clone();
        let passed = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        for age in &self.ages {
            // What is left of the space is white, as JSON allows.
            let text = format!("{:<DIGITS$}", age.then.saturating_add(passed));
            if let Some(space) = json.get_mut(age.at..age.at + DIGITS) {
                space.copy_from_slice(text.as_bytes());
            }
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use api::aggregator::CachedPart;

    use super::*;
    use crate::quoting::token::tests::quote;

    fn part(part: CachedPart, age_ms: u64, lifetime_ms: u64) -> Cached {
        Cached { part, age_ms, lifetime_ms }
    }

    #[test]
    fn an_answer_is_given_again_with_the_ages_of_its_parts() {
        let parts =
            vec![vec![part(CachedPart::Offer, 5, 2_000), part(CachedPart::Account, 0, 1_000)]];
        let mut quote = quote();
        // What looks like an age, in a provider's words.
        quote.security.trust = String::from_utf8(MEMBER.to_vec()).unwrap();
        let quotes = vec![quote];
        let keep = Keep::of(&quotes, parts, 0).unwrap();
        assert_eq!(keep.life(), Duration::from_secs(1));
        let answer = QuoteResponse { quotes, unavailable: Vec::new(), elapsed_ms: 20 };
        let kept = KeptAnswer::new(answer.clone(), keep).unwrap();
        let again: QuoteResponse =
            serde_json::from_slice(&kept.after(Duration::from_millis(300))).unwrap();
        let mut expected = answer;
        expected.elapsed_ms = 0;
        expected.quotes[0].cached =
            vec![part(CachedPart::Offer, 305, 2_000), part(CachedPart::Account, 300, 1_000)];
        assert_eq!(again, expected);
    }

    #[test]
    fn what_is_out_of_date_or_expires_is_not_kept() {
        let quotes = [quote()];
        let expires = quotes[0].expires_at;
        let of = |parts, now| Keep::of(&quotes, parts, now).map(|keep| keep.life());
        let fresh = || vec![vec![part(CachedPart::Offer, 0, 9_000)]];
        assert_eq!(of(fresh(), 0), Some(Duration::from_secs(9)));
        assert_eq!(of(fresh(), expires - 2), Some(Duration::from_secs(2)));
        assert_eq!(of(fresh(), expires), None);
        assert_eq!(of(vec![vec![part(CachedPart::Offer, 9_000, 9_000)]], 0), None);
        assert_eq!(Keep::of(&[], Vec::new(), 0), None);
    }
}
