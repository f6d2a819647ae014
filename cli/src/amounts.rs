use alloy::primitives::{U256, utils::format_units};
use api::aggregator::Token;

/// An amount in whole tokens with its symbol, without trailing zeros.
pub(crate) fn shown(amount: U256, token: &Token) -> String {
    let text = format_units(amount, token.decimals).unwrap_or_else(|_| amount.to_string());
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text.as_str(),
    };
    format!("{text} {}", token.symbol)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;

    use super::*;

    #[test]
    fn amounts_are_whole_tokens_without_trailing_zeros() {
        let token = Token { chain_id: 1, address: Address::ZERO, symbol: "TT".into(), decimals: 6 };
        for (amount, text) in [(0, "0 TT"), (1_500_000, "1.5 TT"), (100_000_000, "100 TT")] {
            assert_eq!(shown(U256::from(amount), &token), text);
        }
    }
}
