use std::sync::Arc;

use alloy::primitives::{Address, U256};
use api::aggregator::{AmountRequest, Call, Preference, QuoteRequest, Security};
use prices::Price;
use protocol::ids::ChainId;
use sha2::{Digest, Sha256};

use crate::book::{Token, TokenBook};

/// Most destination calls in one request.
const MAX_CALLS: usize = 16;
/// Most bytes of calldata in one destination call.
const MAX_CALLDATA: usize = 8 * 1024;
/// Most slippage one may ask for, in hundredths of a percent.
const MAX_SLIPPAGE_BPS: u16 = 5_000;
/// Most provider names in one request.
const MAX_PROVIDERS: usize = 32;

/// A quote request that makes sense: known chains and tokens, a positive amount.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where the money leaves.
    pub origin: ChainId,
    /// Where it arrives.
    pub destination: ChainId,
    /// What leaves.
    pub token_in: Arc<Token>,
    /// What arrives.
    pub token_out: Arc<Token>,
    /// What one whole `token_in` was worth when the request came. The answer is made with these two
    /// prices throughout, so that all its values can be compared.
    pub price_in: Option<Price>,
    /// What one whole `token_out` was worth then.
    pub price_out: Option<Price>,
    /// The origin's native currency and its price then, when both are known: fees may be taken in it.
    pub native: Option<(Arc<Token>, Price)>,
    /// How much, and which side is exact.
    pub amount: AmountRequest,
    /// Who signs on the origin; without it nothing can be simulated.
    pub sender: Option<Address>,
    /// Who receives.
    pub recipient: Address,
    /// Who is refunded.
    pub refund_address: Address,
    /// What the ranking favours.
    pub preference: Preference,
    /// The wanted tier; every tier when `None`.
    pub security: Option<Security>,
    /// How much less than quoted may arrive, in hundredths of a percent.
    pub slippage_bps: u16,
    /// Sign an order instead of sending a transaction.
    pub gasless: bool,
    /// What runs after the payment.
    pub calls: Vec<Call>,
    /// Only these providers; all when empty.
    pub providers: Vec<String>,
    /// Who asks, by a name that no other caller has, where that is known. No offer depends on it.
    pub caller: Option<String>,
}

/// A field of a request is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: expected {expected}, given {given}")]
pub struct InvalidField {
    /// Path of the field in the request.
    pub field: &'static str,
    /// What would have been right.
    pub expected: String,
    /// What was given.
    pub given: String,
}

impl InvalidField {
    pub(crate) fn new(
        field: &'static str,
        expected: impl Into<String>,
        given: impl ToString,
    ) -> Self {
        Self { field, expected: expected.into(), given: given.to_string() }
    }
}

impl Route {
    /// Checks a request against the chains and tokens that are known.
    ///
    /// # Errors
    /// [`InvalidField`] with the first field that is wrong.
    pub fn new(request: QuoteRequest, book: &TokenBook) -> Result<Self, InvalidField> {
        let token_in = find_token(
            book,
            ("origin_chain_id", request.origin_chain_id),
            ("origin_token", request.origin_token),
        )?;
        let token_out = find_token(
            book,
            ("destination_chain_id", request.destination_chain_id),
            ("destination_token", request.destination_token),
        )?;
        let (AmountRequest::ExactInput(amount) | AmountRequest::ExactOutput(amount)) =
            request.amount;
        if amount.0.is_zero() {
            return Err(InvalidField::new("amount", "more than 0", amount));
        }
        if request.slippage_bps > MAX_SLIPPAGE_BPS {
            let expected = format!("at most {MAX_SLIPPAGE_BPS}");
            return Err(InvalidField::new("slippage_bps", expected, request.slippage_bps));
        }
        check_calls(&request.calls)?;
        if request.providers.len() > MAX_PROVIDERS {
            let expected = format!("at most {MAX_PROVIDERS} names");
            return Err(InvalidField::new("providers", expected, request.providers.len()));
        }
        if request.gasless && token_in.is_native() {
            let given = "the native currency";
            return Err(InvalidField::new("gasless", "a token as `origin_token`", given));
        }
        if request.gasless {
            present("sender", request.sender)?;
        }
        let native = book.token(request.origin_chain_id, Address::ZERO).cloned();
        let native = native.and_then(|token| token.price().map(|price| (token, price)));
        let recipient = present("recipient", request.recipient.or(request.sender))?;
        let refund_address = present("refund_address", request.refund_address.or(request.sender))?;
        if request.gasless && request.sender != Some(refund_address) {
            // The contract opens no other order (`InvalidCreatorBinding`).
            let expected = "`sender`, who signs the order";
            return Err(InvalidField::new("refund_address", expected, refund_address));
        }
        Ok(Self {
            origin: ChainId(request.origin_chain_id),
            destination: ChainId(request.destination_chain_id),
            price_in: token_in.price(),
            price_out: token_out.price(),
            token_in,
            token_out,
            native,
            amount: request.amount,
            sender: request.sender,
            recipient,
            refund_address,
            preference: request.preference,
            security: request.security,
            slippage_bps: request.slippage_bps,
            gasless: request.gasless,
            calls: request.calls,
            providers: request.providers,
            caller: None,
        })
    }

    /// Names everything that a provider's offer depends on: routes of one fingerprint get the same
    /// offers. The preference is none of it.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let (exact, amount) = match self.amount {
            AmountRequest::ExactInput(amount) => (0_u8, amount),
            AmountRequest::ExactOutput(amount) => (1, amount),
        };
        let security = match self.security {
            None => 0_u8,
            Some(Security::Instant) => 1,
            Some(Security::Finalized) => 2,
        };
        hash.update(self.origin.0.to_be_bytes());
        hash.update(self.destination.0.to_be_bytes());
        for address in [
            self.token_in.address,
            self.token_out.address,
            self.sender.unwrap_or_default(),
            self.recipient,
            self.refund_address,
        ] {
            hash.update(address);
        }
        hash.update([exact, security, u8::from(self.gasless), u8::from(self.sender.is_some())]);
        hash.update(amount.0.to_be_bytes::<32>());
        hash.update(self.slippage_bps.to_be_bytes());
        for call in &self.calls {
            hash.update(call.target);
            hash.update((call.data.len() as u64).to_be_bytes());
            hash.update(&call.data);
            hash.update(call.value.0.to_be_bytes::<32>());
        }
        hash.finalize().into()
    }

    /// Names everything that the whole answer depends on: what offers do, and what is favoured, and
    /// who is asked.
    pub(crate) fn identity(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.fingerprint());
        hash.update([self.preference as u8]);
        for provider in &self.providers {
            hash.update((provider.len() as u64).to_be_bytes());
            hash.update(provider);
        }
        hash.finalize().into()
    }

    /// What an amount of `token_in` is worth in US dollars, when its price was known.
    pub fn usd_in(&self, amount: U256) -> Option<f64> {
        self.price_in.map(|price| self.token_in.usd_at(price, amount))
    }

    /// What an amount of `token_out` is worth in US dollars, when its price was known.
    pub fn usd_out(&self, amount: U256) -> Option<f64> {
        self.price_out.map(|price| self.token_out.usd_at(price, amount))
    }

    /// What an amount of the origin's native currency is worth in US dollars, when its price was known.
    pub fn usd_native(&self, amount: U256) -> Option<f64> {
        self.native.as_ref().map(|(token, price)| token.usd_at(*price, amount))
    }

    /// Whether the same asset leaves and arrives, by name and scale: amounts compare as they are.
    pub(super) fn is_one_asset(&self) -> bool {
        self.token_in.symbol == self.token_out.symbol
            && self.token_in.decimals == self.token_out.decimals
    }

    /// What the sender spends, where the request says so.
    pub fn exact_input(&self) -> Option<U256> {
        match self.amount {
            AmountRequest::ExactInput(amount) => Some(amount.0),
            AmountRequest::ExactOutput(_) => None,
        }
    }

    /// The least that may arrive when `amount_out` was quoted. Exact outputs allow no less.
    pub fn min_amount_out(&self, amount_out: U256) -> U256 {
        match self.amount {
            AmountRequest::ExactOutput(exact) => exact.0,
            AmountRequest::ExactInput(_) => {
                let kept = U256::from(10_000 - u32::from(self.slippage_bps));
                // Divide first where the product would not fit: the error is below one part in 10^70.
                amount_out.checked_mul(kept).map_or_else(
                    || (amount_out / U256::from(10_000)).saturating_mul(kept),
                    |product| product / U256::from(10_000),
                )
            }
        }
    }
}

fn find_token(
    book: &TokenBook,
    (chain_field, chain_id): (&'static str, u64),
    (token_field, token): (&'static str, Address),
) -> Result<Arc<Token>, InvalidField> {
    if !book.has_chain(chain_id) {
        let expected = format!("one of {:?}", book.chain_ids());
        return Err(InvalidField::new(chain_field, expected, chain_id));
    }
    book.token(chain_id, token).cloned().ok_or_else(|| {
        InvalidField::new(token_field, "a token listed by GET /v1/tokens for this chain", token)
    })
}

fn check_calls(calls: &[Call]) -> Result<(), InvalidField> {
    if calls.len() > MAX_CALLS {
        return Err(InvalidField::new("calls", format!("at most {MAX_CALLS} calls"), calls.len()));
    }
    match calls.iter().find(|call| call.data.len() > MAX_CALLDATA) {
        Some(call) => {
            let expected = format!("at most {MAX_CALLDATA} bytes");
            Err(InvalidField::new("calls.data", expected, call.data.len()))
        }
        None => Ok(()),
    }
}

fn present(field: &'static str, address: Option<Address>) -> Result<Address, InvalidField> {
    match address {
        Some(address) if !address.is_zero() => Ok(address),
        Some(zero) => Err(InvalidField::new(field, "an address that is not zero", zero)),
        None => Err(InvalidField::new(field, "an address, here or as `sender`", "nothing")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use api::Amount;

    use super::*;
    use crate::book::tests::{CHAIN_A, CHAIN_B, USDX_A, USDX_B, book};

    fn request() -> QuoteRequest {
        QuoteRequest {
            origin_chain_id: CHAIN_A,
            origin_token: USDX_A,
            destination_chain_id: CHAIN_B,
            destination_token: USDX_B,
            amount: AmountRequest::ExactInput(Amount::from(1_000)),
            sender: Some(Address::repeat_byte(7)),
            recipient: None,
            refund_address: None,
            preference: Preference::default(),
            security: None,
            slippage_bps: 50,
            gasless: false,
            calls: Vec::new(),
            providers: Vec::new(),
        }
    }

    /// A route of a token that is worth a dollar.
    pub(crate) fn usdx() -> Route {
        Route::new(request(), &book()).unwrap()
    }

    fn field_of(change: impl FnOnce(&mut QuoteRequest)) -> &'static str {
        let mut request = request();
        change(&mut request);
        Route::new(request, &book()).unwrap_err().field
    }

    #[test]
    fn the_sender_receives_and_is_refunded_unless_others_are_named() {
        let route = Route::new(request(), &book()).unwrap();
        assert_eq!(route.recipient, Address::repeat_byte(7));
        assert_eq!(route.refund_address, Address::repeat_byte(7));
        let other = QuoteRequest { recipient: Some(Address::repeat_byte(8)), ..request() };
        assert_eq!(Route::new(other, &book()).unwrap().recipient, Address::repeat_byte(8));
    }

    #[test]
    fn every_wrong_field_is_named() {
        assert_eq!(field_of(|r| r.origin_chain_id = 5), "origin_chain_id");
        assert_eq!(field_of(|r| r.destination_token = USDX_A), "destination_token");
        assert_eq!(field_of(|r| r.amount = AmountRequest::ExactOutput(Amount::from(0))), "amount");
        assert_eq!(field_of(|r| r.slippage_bps = 5_001), "slippage_bps");
        assert_eq!(field_of(|r| r.sender = None), "recipient");
        assert_eq!(field_of(|r| r.refund_address = Some(Address::ZERO)), "refund_address");
        assert_eq!(field_of(|r| (r.gasless, r.origin_token) = (true, Address::ZERO)), "gasless");
        let refunding_another = |r: &mut QuoteRequest| {
            (r.gasless, r.refund_address) = (true, Some(Address::repeat_byte(8)));
        };
        assert_eq!(field_of(refunding_another), "refund_address");
        let nobody = |r: &mut QuoteRequest| {
            (r.gasless, r.sender, r.recipient) = (true, None, Some(Address::repeat_byte(8)));
        };
        assert_eq!(field_of(nobody), "sender");
        let call = Call { target: Address::ZERO, data: vec![0; 9_000].into(), value: 0.into() };
        assert_eq!(field_of(|r| r.calls = vec![call.clone()]), "calls.data");
        assert_eq!(field_of(|r| r.calls = vec![call; 17]), "calls");
    }

    #[test]
    fn a_fingerprint_tells_what_offers_depend_on() {
        let of = |change: fn(&mut QuoteRequest)| {
            let mut request = request();
            change(&mut request);
            Route::new(request, &book()).unwrap().fingerprint()
        };
        let plain = of(|_| ());
        assert_eq!(of(|r| r.preference = Preference::Fastest), plain);
        assert_ne!(of(|r| r.amount = AmountRequest::ExactOutput(Amount::from(1_000))), plain);
        assert_ne!(of(|r| r.refund_address = Some(Address::repeat_byte(9))), plain);
        let other = |r: &mut QuoteRequest| {
            let user = r.sender.replace(Address::repeat_byte(9));
            (r.recipient, r.refund_address) = (user, user);
        };
        assert_ne!(of(other), plain, "an answer may be made for its sender");
        assert_ne!(of(|r| r.security = Some(Security::Instant)), plain);
    }

    #[test]
    fn slippage_comes_off_exact_inputs_only() {
        let mut route = Route::new(request(), &book()).unwrap();
        assert_eq!(route.min_amount_out(U256::from(10_000)), U256::from(9_950));
        assert!(route.min_amount_out(U256::MAX) < U256::MAX);
        route.amount = AmountRequest::ExactOutput(Amount::from(9_000));
        assert_eq!(route.min_amount_out(U256::from(10_000)), U256::from(9_000));
    }
}
