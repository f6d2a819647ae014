use std::collections::BTreeMap;

use alloy::hex;
use api::aggregator::{Quote, Step};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Makes and checks quote ids.
///
/// An id is `v2.<expires_at>.<hex of HMAC-SHA256(key, payload hash ‖ expires_at)>`: the aggregator
/// keeps nothing per quote, and yet nobody can change what a user signs or how long it stands. The
/// version names what the hash is taken of.
#[derive(Clone)]
pub struct QuoteIds {
    keyed: Hmac<Sha256>,
}

/// A quote that this aggregator did not give, or not like this, or no longer gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedQuote {
    /// The id is not one of ours, or the payload differs from what was quoted.
    #[error("the quote differs from what was given: ask for a new one")]
    Changed,
    /// The quote has expired.
    #[error("the quote expired at {expires_at}, it is {now} now: ask for a new one")]
    Expired {
        /// When it expired, unix seconds.
        expires_at: u64,
        /// The clock, unix seconds.
        now: u64,
    },
}

/// What [`payload_hash`] takes in, and how. Ids of another version are not ours.
const VERSION: &str = "v2";

impl std::fmt::Debug for QuoteIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuoteIds").finish_non_exhaustive()
    }
}

impl QuoteIds {
    /// Ids under this key. All instances behind one load balancer share it.
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        // HMAC takes keys of every length, so this cannot fail; an empty one would still be checked
        // by the configuration.
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let keyed = Hmac::new_from_slice(key.as_ref()).expect("any key length");
        Self { keyed }
    }

    /// The id of a quote; its own `id` field does not take part.
    pub fn sign(&self, quote: &Quote) -> String {
        let tag = hex::encode(self.mac(quote).finalize().into_bytes());
        format!("{VERSION}.{}.{tag}", quote.expires_at)
    }

    /// Checks that this quote was given exactly so, and that it still stands.
    ///
    /// # Errors
    /// [`RefusedQuote`].
    pub fn verify(&self, quote: &Quote, now: u64) -> Result<(), RefusedQuote> {
        let mut parts = quote.id.splitn(3, '.');
        let (version, expires_at, tag) = (parts.next(), parts.next(), parts.next());
        let tag = tag.and_then(|tag| hex::decode(tag).ok()).ok_or(RefusedQuote::Changed)?;
        let same_expiry = expires_at == Some(quote.expires_at.to_string().as_str());
        // `verify_slice` takes the same time wherever the difference is.
        if version != Some(VERSION) || !same_expiry || self.mac(quote).verify_slice(&tag).is_err() {
            return Err(RefusedQuote::Changed);
        }
        if now >= quote.expires_at {
            return Err(RefusedQuote::Expired { expires_at: quote.expires_at, now });
        }
        Ok(())
    }

    fn mac(&self, quote: &Quote) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(&payload_hash(quote));
        mac.update(&quote.expires_at.to_be_bytes());
        mac
    }
}

/// What the user signs or sends, and what he was promised for it: provider, order id, amounts and
/// the payload of every step. Descriptions, simulations and scores do not count.
fn payload_hash(quote: &Quote) -> [u8; 32] {
    let mut hash = Fields::default();
    hash.add(VERSION);
    hash.add(&quote.provider);
    hash.add_optional(quote.solver.as_deref());
    hash.add(quote.time.stated.to_be_bytes());
    hash.add_optional(quote.order_id);
    for amount in [quote.amount_in, quote.amount_out, quote.min_amount_out] {
        hash.add(amount.0.to_be_bytes::<32>());
    }
    hash.add_count(quote.legs.len());
    for leg in &quote.legs {
        hash.add(leg.origin_chain_id.to_be_bytes());
        hash.add(leg.destination_chain_id.to_be_bytes());
        hash.add(leg.token_in);
        hash.add(leg.token_out);
        hash.add(leg.amount_in.0.to_be_bytes::<32>());
        hash.add(leg.amount_out.0.to_be_bytes::<32>());
    }
    hash.add_count(quote.steps.len());
    for step in &quote.steps {
        match step {
            Step::Transaction(step) => {
                hash.add("transaction");
                hash.add(step.chain_id.to_be_bytes());
                hash.add(step.to);
                hash.add(&step.data);
                hash.add(step.value.0.to_be_bytes::<32>());
            }
            Step::Signature(step) => {
                hash.add("signature");
                hash.add(canonical(&step.typed_data));
                hash.add(canonical(&step.context));
                hash.add(&step.post);
            }
        }
    }
    hash.0.finalize().into()
}

/// A hash of fields: no two lists of them give the same bytes.
#[derive(Default)]
struct Fields(Sha256);

impl Fields {
    /// A field with its length.
    fn add(&mut self, bytes: impl AsRef<[u8]>) {
        self.add_count(bytes.as_ref().len());
        self.0.update(bytes);
    }

    /// A field that may be absent, which is another thing than empty or zero.
    fn add_optional(&mut self, bytes: Option<impl AsRef<[u8]>>) {
        self.0.update([u8::from(bytes.is_some())]);
        if let Some(bytes) = bytes {
            self.add(bytes);
        }
    }

    /// How many fields, or bytes, follow.
    fn add_count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }
}

/// JSON with sorted keys: what a client parses and writes again need not keep their order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            let members: Vec<_> = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alloy::primitives::{Address, B256, U256};
    use api::{
        Amount,
        aggregator::{
            Leg, Liquidity, Score, SecurityDescription, Simulation, TimeBasis, TimeEstimate,
            TransactionStep,
        },
    };

    use serde_json::json;

    use super::*;

    pub(crate) fn quote() -> Quote {
        signed(&QuoteIds::new(*b"key"))
    }

    fn signed(ids: &QuoteIds) -> Quote {
        let mut quote = Quote {
            id: String::new(),
            provider: "metalayer".into(),
            solver: Some("solver-1".into()),
            legs: Vec::new(),
            amount_in: Amount::from(100),
            amount_out: Amount::from(99),
            min_amount_out: Amount::from(99),
            fees: Vec::new(),
            time: TimeEstimate { seconds: 3, basis: TimeBasis::Provider, stated: 3 },
            security: SecurityDescription {
                tier: None,
                validators: None,
                threshold: None,
                trust: "nobody".into(),
            },
            liquidity: Liquidity { available: None },
            expires_at: 1_000,
            order_id: Some(B256::repeat_byte(1)),
            steps: vec![Step::Transaction(TransactionStep {
                id: "publish".into(),
                description: "Publish and fund the intent".into(),
                chain_id: 1,
                to: Address::repeat_byte(2),
                data: vec![1, 2, 3].into(),
                value: Amount::from(100),
                gas_limit: None,
                simulation: Simulation::Succeeded,
                check: None,
            })],
            score: Score {
                total: 1.0,
                output: 1.0,
                time: 1.0,
                security: 1.0,
                liquidity: 1.0,
                reputation: 1.0,
            },
            cached: Vec::new(),
        };
        quote.id = ids.sign(&quote);
        quote
    }

    const LEG: Leg = Leg {
        origin_chain_id: 0,
        destination_chain_id: 0,
        token_in: Address::ZERO,
        token_out: Address::ZERO,
        amount_in: Amount(U256::ZERO),
        amount_out: Amount(U256::ZERO),
    };

    fn changed(change: impl FnOnce(&mut Quote)) -> Result<(), RefusedQuote> {
        let ids = QuoteIds::new(*b"key");
        let mut quote = signed(&ids);
        change(&mut quote);
        ids.verify(&quote, 10)
    }

    #[test]
    fn what_was_given_is_accepted_until_it_expires() {
        let ids = QuoteIds::new(*b"key");
        let quote = signed(&ids);
        assert_eq!(ids.verify(&quote, 999), Ok(()));
        let expired = RefusedQuote::Expired { expires_at: 1_000, now: 1_000 };
        assert_eq!(ids.verify(&quote, 1_000), Err(expired));
        assert_eq!(QuoteIds::new(*b"other").verify(&quote, 999), Err(RefusedQuote::Changed));
    }

    #[test]
    fn no_part_of_the_payload_can_be_changed() {
        let refused = Err(RefusedQuote::Changed);
        assert_eq!(changed(|q| q.expires_at = 2_000), refused);
        assert_eq!(changed(|q| q.amount_out = Amount::from(98)), refused);
        assert_eq!(changed(|q| q.order_id = None), refused);
        assert_eq!(changed(|q| q.legs.push(LEG)), refused);
        assert_eq!(changed(|q| q.provider = "other".into()), refused);
        assert_eq!(changed(|q| q.solver = None), refused);
        assert_eq!(changed(|q| q.steps.clear()), refused);
        assert_eq!(changed(|q| q.id = "v2.1000.zz".into()), refused);
        assert_eq!(changed(|q| q.id = q.id.replacen("v2", "v1", 1)), refused);
        assert_eq!(changed(|q| q.id = String::new()), refused);
        assert_eq!(
            changed(|q| {
                let Some(Step::Transaction(step)) = q.steps.first_mut() else { return };
                step.to = Address::repeat_byte(3);
            }),
            refused
        );
    }

    #[test]
    fn what_is_absent_is_neither_zero_nor_empty() {
        let ids = QuoteIds::new(*b"key");
        let id = |order_id, solver: Option<&str>| {
            let solver = solver.map(str::to_owned);
            ids.sign(&Quote { order_id, solver, ..signed(&ids) })
        };
        assert_ne!(id(None, None), id(Some(B256::ZERO), None));
        assert_ne!(id(None, None), id(None, Some("")));
        assert_ne!(id(None, None), id(Some(B256::ZERO), Some("")));
    }

    #[test]
    fn the_order_of_members_does_not_count() {
        let (a, b) = (json!({ "a": [1, { "c": "x", "b": null }] }), json!({ "a": [1] }));
        let turned = json!({ "a": [1, { "b": null, "c": "x" }] });
        assert_eq!(canonical(&a), canonical(&turned));
        assert_ne!(canonical(&a), canonical(&b));
    }

    #[test]
    fn words_for_people_do_not_count() {
        assert_eq!(changed(|q| q.security.trust = "somebody".into()), Ok(()));
    }
}
