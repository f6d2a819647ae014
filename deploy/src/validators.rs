//! Who is behind a security module, as the module itself says.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes},
    sol_types::SolCall,
};
use chain::{ChainClient, client};
use protocol::abi::hyperlane::{AggregationIsm, InterchainSecurityModule, MultisigIsm};

/// Validators in the order of their set, and how many must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signers {
    pub(crate) validators: Vec<Address>,
    pub(crate) threshold: u8,
}

/// Why a module is not what it should be.
pub(crate) type Objection = String;

const AGGREGATION: u8 = 2;
const MERKLE_ROOT_MULTISIG: u8 = 4;
const MESSAGE_ID_MULTISIG: u8 = 5;

/// The signers of a multisig, or of the multisig in an aggregation that demands all of it and `read_ism`.
pub(crate) async fn signers_of(
    client: &ChainClient,
    module: Address,
    read_ism: Address,
) -> Result<Result<Signers, Objection>, client::Error> {
    let kind = objecting(ask(client, module, InterchainSecurityModule::moduleTypeCall {}).await)?;
    let kind = match kind {
        Ok(kind) => kind,
        Err(objection) => return Ok(Err(objection)),
    };
    match kind {
        MERKLE_ROOT_MULTISIG | MESSAGE_ID_MULTISIG => {
            let set = MultisigIsm::validatorsAndThresholdCall { _message: Bytes::new() };
            let set = objecting(ask(client, module, set).await)?;
            Ok(set.map(|set| Signers { validators: set.validators, threshold: set.threshold }))
        }
        AGGREGATION => {
            let parts = AggregationIsm::modulesAndThresholdCall { _message: Bytes::new() };
            let parts = match objecting(ask(client, module, parts).await)? {
                Ok(parts) => parts,
                Err(objection) => return Ok(Err(objection)),
            };
            let all = usize::from(parts.threshold) == parts.modules.len();
            let others: Vec<Address> =
                parts.modules.iter().copied().filter(|part| *part != read_ism).collect();
            match others.as_slice() {
                [multisig] if all && parts.modules.len() == 2 => {
                    Box::pin(signers_of(client, *multisig, read_ism)).await
                }
                _ => Ok(Err(format!("{} of {:?}", parts.threshold, parts.modules))),
            }
        }
        other => Ok(Err(format!("module type {other}"))),
    }
}

async fn ask<C: SolCall>(
    client: &ChainClient,
    to: Address,
    call: C,
) -> Result<C::Return, client::Error> {
    client.call(to, &call, BlockNumberOrTag::Latest).await
}

/// Keeps failures of the chain apart from answers that no module gives.
fn objecting<T>(answer: Result<T, client::Error>) -> Result<Result<T, Objection>, client::Error> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(error @ (client::Error::Reverted { .. } | client::Error::Decode { .. })) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error),
    }
}
