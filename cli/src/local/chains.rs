use std::time::Duration;

use alloy::{
    primitives::{Address, U256},
    rpc::types::BlockId,
    signers::local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English},
    sol_types::SolCall,
};
use chain::{ChainClient, Manifest, client::ClientOptions, manifest::ChainManifest};
use devnet::genesis::DEV_ADDRESSES;
use eyre::bail;
use futures::future::try_join_all;
use protocol::{abi::erc20, ids::ChainId};
use tokio::time::{Instant, sleep};

use super::{
    layout::{Layout, MNEMONIC, Role, TEST_TOKEN_DECIMALS},
    supervisor::{Supervisor, tail},
};
use crate::wallet::{Call, Wallet};

/// Pause between two looks at a chain.
const LOOK: Duration = Duration::from_millis(20);
/// Accounts that are given test tokens: solvers and users, not the agents.
const TOKEN_HOLDERS: std::ops::Range<usize> = 8..20;
/// Whole test tokens for each of them.
const TOKENS_EACH: u64 = 10_000_000;
/// A mint costs less; a fixed limit spares an estimate each.
const MINT_GAS: u64 = 500_000;

/// Waits until every chain answers with its id.
pub(crate) async fn wait_for_chains(
    layout: &Layout,
    supervisor: &Supervisor,
    bound: Duration,
) -> eyre::Result<()> {
    let deadline = Instant::now() + bound;
    let options = ClientOptions { retries: 0, ..ClientOptions::default() };
    for (chain_id, url) in layout.rpcs()? {
        let client = ChainClient::new(ChainId(chain_id), &[url], options.clone())?;
        while let Err(error) = client.check_chain_id().await {
            let name = Role::Devnet.to_string();
            let is_dead = supervisor.states().get(&name).is_some_and(|state| state.ends > 2);
            if is_dead || Instant::now() > deadline {
                let log = supervisor.log(&name);
                bail!("chain {chain_id} does not answer: {error}\n{}", tail(&log, 15));
            }
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// Gives solvers and users of the development mnemonic test tokens, on every chain, unless they
/// have some.
///
/// # Errors
/// A chain cannot be asked, or a mint fails.
pub async fn mint_test_tokens(manifest: &Manifest) -> eyre::Result<()> {
    let holders = DEV_ADDRESSES.get(TOKEN_HOLDERS).unwrap_or_default();
    give_test_tokens(manifest, &account(0)?, holders).await
}

/// Gives every one of `holders` test tokens at the cost of `payer`, on every chain, unless they have
/// some.
///
/// # Errors
/// A chain cannot be asked, or a mint fails.
pub async fn give_test_tokens(
    manifest: &Manifest,
    payer: &PrivateKeySigner,
    holders: &[Address],
) -> eyre::Result<()> {
    let amount = U256::from(TOKENS_EACH) * U256::from(10).pow(U256::from(TEST_TOKEN_DECIMALS));
    let on_chain = async |chain: &ChainManifest| -> eyre::Result<()> {
        let Some(token) = chain.contracts.test_token else { return Ok(()) };
        let client = client(chain)?;
        let mut calls = Vec::new();
        for account in holders {
            let balance = erc20::balanceOfCall { account: *account };
            if client.call(token, &balance, BlockId::latest()).await?.is_zero() {
                calls.push(mint(token, *account, amount));
            }
        }
        Wallet::new(payer.clone(), client).send_all(calls).await
    };
    try_join_all(manifest.chains.values().map(on_chain)).await?;
    Ok(())
}

/// A client for a chain of the manifest.
///
/// # Errors
/// The chain has no RPC URL.
pub fn client(chain: &ChainManifest) -> eyre::Result<ChainClient> {
    Ok(ChainClient::new(chain.chain_id, &chain.rpc, ClientOptions::default())?)
}

/// An account of the development mnemonic.
///
/// # Errors
/// The index is out of range.
pub fn account(index: u32) -> eyre::Result<PrivateKeySigner> {
    Ok(MnemonicBuilder::<English>::default().phrase(MNEMONIC).index(index)?.build()?)
}

fn mint(token: Address, to: Address, value: U256) -> Call {
    Call {
        to: token,
        data: erc20::mintCall { to, value }.abi_encode().into(),
        value: U256::ZERO,
        gas_limit: Some(MINT_GAS),
    }
}
