//! Taking the reward of an expired intent back.

use alloy::{
    primitives::{Address, B256, TxHash, U256},
    rpc::types::{Log, TransactionReceipt},
    sol_types::{SolCall, SolEvent},
};
use chain::Manifest;
use eyre::OptionExt;
use protocol::{
    abi::{
        intent::Reward,
        intent_source::{self, IntentPublished},
    },
    intent::hash_route_bytes,
};

use crate::wallet::{Call, Wallet};

/// Takes the reward of the expired intent `id` back to its creator. Everything that the contract
/// needs is in the event of the publication.
///
/// # Errors
/// The transaction did not publish this intent on the wallet's chain, or the contract refuses.
pub async fn refund(
    wallet: &Wallet,
    manifest: &Manifest,
    published: &TransactionReceipt,
    id: B256,
) -> eyre::Result<TxHash> {
    let origin = manifest.by_chain_id(wallet.chain_id());
    let (_, chain) = origin.ok_or_eyre("the manifest lacks the origin")?;
    let intent_source = chain.contracts.intent_source;
    let event = publication(published.inner.logs(), intent_source, id)
        .ok_or_eyre("the transaction did not publish this intent")?;
    let call = intent_source::refundCall {
        destination: event.destination,
        routeHash: hash_route_bytes(&event.route).0,
        reward: Reward {
            deadline: event.rewardDeadline,
            creator: event.creator,
            prover: event.prover,
            nativeAmount: event.rewardNativeAmount,
            tokens: event.rewardTokens,
        },
    };
    let receipt = wallet
        .send(Call {
            to: intent_source,
            data: call.abi_encode().into(),
            value: U256::ZERO,
            gas_limit: None,
        })
        .await?;
    Ok(receipt.transaction_hash)
}

/// The event by which `intent_source` published the intent `id`: a transaction may publish several,
/// and other contracts may say what they like.
fn publication(logs: &[Log], intent_source: Address, id: B256) -> Option<IntentPublished> {
    logs.iter()
        .filter(|log| log.address() == intent_source)
        .filter_map(|log| IntentPublished::decode_log_validate(&log.inner).ok())
        .find_map(|event| (event.intentHash == id).then_some(event.data))
}

#[cfg(test)]
mod tests {
    use alloy::primitives;

    use super::*;

    const SOURCE: Address = Address::repeat_byte(1);
    const STRANGER: Address = Address::repeat_byte(2);

    fn log(contract: Address, id: u8, deadline: u64) -> Log {
        let event = IntentPublished {
            intentHash: B256::repeat_byte(id),
            destination: 2,
            route: [].into(),
            creator: Address::repeat_byte(3),
            prover: Address::repeat_byte(4),
            rewardDeadline: deadline,
            rewardNativeAmount: U256::from(5),
            rewardTokens: Vec::new(),
        };
        let inner = primitives::Log { address: contract, data: event.encode_log_data() };
        Log { inner, ..Log::default() }
    }

    #[test]
    fn the_publication_is_that_of_the_order_by_our_contract() {
        let logs = [log(SOURCE, 0xaa, 10), log(STRANGER, 0xbb, 20), log(SOURCE, 0xbb, 30)];
        let deadline = |id: u8| {
            let event = publication(&logs, SOURCE, B256::repeat_byte(id));
            event.map(|event| event.rewardDeadline)
        };
        assert_eq!(deadline(0xaa), Some(10));
        assert_eq!(deadline(0xbb), Some(30));
        assert_eq!(deadline(0xcc), None);
    }
}
