//! What a mined transaction cost its wallet, and what it said, as its receipt has it.

use alloy::{
    primitives::{B256, U256},
    rpc::types::Log,
};
use chain::{ChainClient, client, sender::Inclusion};
use serde::Deserialize;
use serde_json::json;

/// What a receipt shows beside what the journal knows.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) logs: Vec<Log>,
    /// OP stack chains: wei for posting the data, paid beside the gas.
    l1_fee: Option<U256>,
}

impl Receipt {
    /// The receipt of a transaction that is mined.
    ///
    /// # Errors
    /// When the chain cannot be asked, or does not know the transaction (any more).
    pub(crate) async fn of(client: &ChainClient, transaction: B256) -> Result<Self, client::Error> {
        client.request("eth_getTransactionReceipt", &json!([transaction])).await
    }

    /// Wei that the transaction took from its wallet for gas and for posting its data.
    pub(crate) fn gas_paid(&self, inclusion: &Inclusion) -> U256 {
        let gas = U256::from(inclusion.gas_used).saturating_mul(U256::from(inclusion.gas_price));
        gas.saturating_add(self.l1_fee.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_fee_of_an_op_stack_chain_is_paid_beside_the_gas() {
        let inclusion = Inclusion {
            hash: B256::ZERO,
            block_number: 1,
            block_hash: B256::ZERO,
            gas_used: 21_000,
            gas_price: 10,
            success: true,
        };
        let paid = |receipt| {
            serde_json::from_value::<Receipt>(receipt).map(|receipt| receipt.gas_paid(&inclusion))
        };
        let plain = json!({ "status": "0x1", "logs": [] });
        assert_eq!(paid(plain).unwrap(), U256::from(210_000));
        let rollup = json!({ "status": "0x1", "logs": [], "l1Fee": "0x64", "l1GasUsed": "0x1" });
        assert_eq!(paid(rollup).unwrap(), U256::from(210_100));
        assert!(paid(json!(null)).is_err(), "no receipt is no receipt of nothing");
    }
}
