//! Taking the reward of an expired intent back.

use alloy::{
    primitives::{TxHash, U256},
    rpc::types::TransactionReceipt,
    sol_types::{SolCall, SolEvent},
};
use chain::Manifest;
use eyre::OptionExt;
use protocol::{
    abi::{intent::Reward, intent_source},
    intent::hash_route_bytes,
};

use crate::wallet::{Call, Wallet};

/// Takes the reward of an expired intent back to its creator. Everything that the contract needs
/// is in the event of the publication.
///
/// # Errors
/// The transaction published no intent, or the contract refuses.
pub async fn refund(
    wallet: &Wallet,
    manifest: &Manifest,
    published: &TransactionReceipt,
) -> eyre::Result<TxHash> {
    let event = published
        .inner
        .logs()
        .iter()
        .filter(|log| {
            manifest.iter().any(|(_, chain)| chain.contracts.intent_source == log.address())
        })
        .find_map(|log| Some((log.address(), decode(log)?)));
    let (intent_source, event) = event.ok_or_eyre("the transaction published no intent")?;
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

fn decode(log: &alloy::rpc::types::Log) -> Option<intent_source::IntentPublished> {
    let decoded = intent_source::IntentPublished::decode_log_validate(&log.inner).ok()?;
    Some(decoded.data)
}
