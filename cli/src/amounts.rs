use alloy::primitives::{
    U256,
    utils::{ParseUnits, format_units, parse_units},
};
use api::aggregator::Token;
use eyre::{WrapErr, bail, ensure};

/// An amount above zero that a person wrote in whole tokens.
pub(crate) fn parsed(text: &str, token: &Token) -> eyre::Result<U256> {
    let (symbol, most) = (&token.symbol, usize::from(token.decimals));
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    ensure!(decimals <= most, "{symbol} has {most} decimals, {text:?} has {decimals}");
    let amount = parse_units(text, token.decimals)
        .wrap_err_with(|| format!("{text:?} is no amount of {symbol}"))?;
    match amount {
        ParseUnits::U256(amount) if !amount.is_zero() => Ok(amount),
        ParseUnits::U256(_) | ParseUnits::I256(_) => {
            bail!("the amount must be above 0, given {text:?}")
        }
    }
}

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
    fn amounts_that_cannot_be_sent_are_refused() {
        let token = Token { chain_id: 1, address: Address::ZERO, symbol: "TT".into(), decimals: 6 };
        assert_eq!(parsed("1.5", &token).unwrap(), U256::from(1_500_000));
        for text in ["0", "-1", "1.1234567", "much", ""] {
            assert!(parsed(text, &token).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_are_whole_tokens_without_trailing_zeros() {
        let token = Token { chain_id: 1, address: Address::ZERO, symbol: "TT".into(), decimals: 6 };
        for (amount, text) in [(0, "0 TT"), (1_500_000, "1.5 TT"), (100_000_000, "100 TT")] {
            assert_eq!(shown(U256::from(amount), &token), text);
        }
    }
}
