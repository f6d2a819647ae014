//! Keeping the deployment's programs alive: on Arbitrum chains a program expires a year after its
//! activation and with every new Stylus version, and an expired IntentSource freezes refunds. Anyone may
//! extend or re-activate one.

use std::{sync::Arc, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, TxHash, U256},
    rpc::types::TransactionRequest,
    sol_types::SolCall as _,
};
use chain::{Sender, client, sender::Request};
use protocol::abi::arbos::{ARB_WASM, ArbWasm};
use service::{clock::Clock, retry::Backoff};
use tokio_util::sync::CancellationToken;

use super::origin::Origin;

/// How often the programs are looked at.
const EVERY: Duration = Duration::from_secs(3600);
/// When they are looked at again after something failed, at first.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A program with less left is extended.
const EXTEND_BELOW: u64 = 90 * DAY;
const DAY: u64 = 86_400;

/// What a program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    Extension,
    Activation,
}

/// Looks after the programs of one chain.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) chain: Arc<Origin>,
    pub(super) sender: Sender,
}

impl Keeper {
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let fresh = || Backoff::new(RETRY_AFTER, EVERY);
        let (mut backoff, mut failures) = (fresh(), 0);
        loop {
            let pause = if self.look(failures).await {
                (backoff, failures) = (fresh(), 0);
                EVERY
            } else {
                failures += 1;
                backoff.wait()
            };
            if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Looks at every program once. Whether all of them live on.
    async fn look(&self, failures: u32) -> bool {
        let mut all_well = true;
        for (name, program) in &self.chain.manifest.programs {
            // Programs live and die by their code hash: one address stands for all.
            let Some(address) = program.addresses.first() else { continue };
            if let Err(error) = self.keep(name, *address, program.code_hash, failures).await {
                all_well = false;
                metrics::counter!(
                    "metalayer_keep_alive_failures_total",
                    "chain" => self.chain.name.clone(), "program" => name.to_owned()
                )
                .increment(1);
                tracing::warn!(
                    chain = self.chain.name, program = name, %error,
                    "a program's life could not be looked after, will try again"
                );
            }
        }
        all_well
    }

    /// `failures` tells a new attempt from one that the sender's journal has already.
    async fn keep(
        &self,
        name: &str,
        program: Address,
        code_hash: B256,
        failures: u32,
    ) -> Result<(), KeepError> {
        let left = self.time_left(program).await?;
        metrics::gauge!(
            "metalayer_program_seconds_left",
            "chain" => self.chain.name.clone(), "program" => name.to_owned()
        )
        .set(left.map_or(0.0, |left| left as f64));
        let need = match left {
            None => Need::Activation,
            Some(left) if left < EXTEND_BELOW => Need::Extension,
            Some(_) => Need::Nothing,
        };
        let data = match need {
            Need::Nothing => return Ok(()),
            Need::Extension => ArbWasm::codehashKeepaliveCall { codehash: code_hash }.abi_encode(),
            Need::Activation => ArbWasm::activateProgramCall { program }.abi_encode(),
        };
        let fee = self.fee(&data).await?;
        let today = Clock::system().unix() / DAY;
        let key = format!("keep-alive:{need:?}:{code_hash}:{today}:{failures}");
        let request = Request::call(key, ARB_WASM, data).with_value(fee);
        let inclusion = self.sender.submit(request).await?.included().await?;
        if !inclusion.success {
            return Err(KeepError::Reverted { need, hash: inclusion.hash });
        }
        tracing::info!(
            chain = self.chain.name, program = name, ?need, transaction = %inclusion.hash,
            "program kept alive"
        );
        Ok(())
    }

    /// Seconds until the program expires; `None` when it has, or has to be activated again after a change
    /// of the Stylus version.
    async fn time_left(&self, program: Address) -> Result<Option<u64>, KeepError> {
        let call = ArbWasm::programTimeLeftCall { program };
        match self.chain.chain.call(ARB_WASM, &call, BlockNumberOrTag::Latest).await {
            Ok(left) => Ok(Some(left)),
            Err(error) => match error.revert().and_then(client::Revert::decode) {
                Some(
                    ArbWasm::ArbWasmErrors::ProgramExpired(_)
                    | ArbWasm::ArbWasmErrors::ProgramNeedsUpgrade(_)
                    | ArbWasm::ArbWasmErrors::ProgramNotActivated(_),
                ) => Ok(None),
                _ => Err(error.into()),
            },
        }
    }

    /// What the precompile asks for, with a tenth more: the rest comes back.
    async fn fee(&self, data: &[u8]) -> Result<U256, KeepError> {
        let request = TransactionRequest::default()
            .from(self.sender.address())
            .to(ARB_WASM)
            .input(data.to_vec().into());
        match self.chain.chain.simulate(&request, BlockNumberOrTag::Latest).await {
            Ok(_) => Ok(U256::ZERO),
            Err(error) => match error.revert().and_then(client::Revert::decode) {
                Some(ArbWasm::ArbWasmErrors::ProgramInsufficientValue(asked)) => {
                    Ok(asked.want.saturating_add(asked.want / U256::from(10)))
                }
                _ => Err(error.into()),
            },
        }
    }
}

/// Why a program was not kept alive this time.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Chain(#[from] client::Error),
    #[error(transparent)]
    Send(#[from] chain::sender::Error),
    #[error("{need:?}: transaction {hash} reverted")]
    Reverted { need: Need, hash: TxHash },
}
