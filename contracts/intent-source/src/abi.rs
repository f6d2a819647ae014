//! The table of functions: `protocol::abi::intent_source`, selector by selector.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolCall;
use parts::{Frame, Lock, Program, Revert, Writer, program::refuse_value};
use protocol::{
    abi::{
        intent::{GaslessCrossChainOrder, OnchainCrossChainOrder, OrderData},
        intent_source::*,
    },
    erc7683,
    intent::{IntentHashes, Reward},
};
use stylus_sdk::prelude::*;
use vault::Vault;

use crate::{IntentSource, escrow::Escrow, orders};

impl Program for IntentSource {
    /// Creates the vault implementation, and takes the ERC-20 that mirrors the native balance.
    fn construct(&mut self, arguments: Frame<'_>) -> Result<(), Revert> {
        let native_erc20 = arguments.address(0)?;
        Vault::create_implementation(self.vm())?;
        self.native_erc20.set(native_erc20);
        Ok(())
    }

    fn call(&mut self, selector: [u8; 4], arguments: Frame<'_>) -> Result<Vec<u8>, Revert> {
        if !is_payable(selector) {
            refuse_value(self.vm())?;
        }
        if let Some(answer) = self.view(selector, arguments)? {
            return Ok(answer);
        }
        let _lock = Lock::enter()?;
        if let Some(answer) = self.publish_or_fund(selector, arguments)? {
            return Ok(answer);
        }
        self.settle(selector, arguments).map(|()| Vec::new())
    }
}

/// The functions that take value.
const fn is_payable(selector: [u8; 4]) -> bool {
    matches!(
        selector,
        publishAndFund_0Call::SELECTOR
            | publishAndFund_1Call::SELECTOR
            | publishAndFundFor_0Call::SELECTOR
            | publishAndFundFor_1Call::SELECTOR
            | fundCall::SELECTOR
            | fundForCall::SELECTOR
            | openCall::SELECTOR
            | openForCall::SELECTOR
    )
}

impl IntentSource {
    /// The functions that change nothing. They take no lock, so that wallets and recipients can read on the way.
    fn view(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Option<Vec<u8>>, Revert> {
        let vm = self.vm();
        Ok(Some(match selector {
            versionCall::SELECTOR => text(env!("CARGO_PKG_VERSION")),
            GASLESS_CROSSCHAIN_ORDER_TYPEHASHCall::SELECTOR => {
                word(erc7683::GASLESS_CROSSCHAIN_ORDER_TYPEHASH)
            }
            domainSeparatorV4Call::SELECTOR => {
                word(erc7683::domain_separator(vm.chain_id(), vm.contract_address()))
            }
            eip712DomainCall::SELECTOR => eip712_domain(vm.chain_id(), vm.contract_address()),
            getRewardStatusCall::SELECTOR => {
                Writer::new(1).uint64(self.status(a.word(0)?).into()).finish()
            }
            getIntentHash_0Call::SELECTOR => hashes(Escrow::read_intent(vm, a)?.0.hashes()),
            getIntentHash_1Call::SELECTOR => hashes(Escrow::read_bytes(vm, a)?.0.hashes()),
            getIntentHash_2Call::SELECTOR => hashes(Escrow::read_hash(vm, a)?.hashes()),
            intentVaultAddress_0Call::SELECTOR => address(Escrow::read_intent(vm, a)?.0.id().1),
            intentVaultAddress_1Call::SELECTOR => address(Escrow::read_bytes(vm, a)?.0.id().1),
            isIntentFunded_0Call::SELECTOR => {
                boolean(self.is_funded(&Escrow::read_intent(vm, a)?.0)?)
            }
            isIntentFunded_1Call::SELECTOR => {
                boolean(self.is_funded(&Escrow::read_bytes(vm, a)?.0)?)
            }
            resolveCall::SELECTOR => {
                let order = OnchainCrossChainOrder::read(a.tuple(0)?)?;
                orders::resolve(vm, &OrderData::decode(&order.orderData)?, orders::now(vm))
            }
            resolveForCall::SELECTOR => {
                let order = GaslessCrossChainOrder::read(a.tuple(0)?)?;
                a.bytes(1)?;
                orders::resolve(vm, &OrderData::decode(&order.orderData)?, order.openDeadline)
            }
            _resolveCall::SELECTOR => {
                let open_deadline = a.uint32(0)?;
                orders::resolve(vm, &OrderData::read(a.tuple(1)?)?, open_deadline)
            }
            _ => return Ok(None),
        }))
    }

    /// The functions that put money in.
    fn publish_or_fund(
        &mut self,
        selector: [u8; 4],
        a: Frame<'_>,
    ) -> Result<Option<Vec<u8>>, Revert> {
        let vm = self.vm();
        Ok(Some(match selector {
            publish_0Call::SELECTOR => {
                let (escrow, route) = Escrow::read_intent(vm, a)?;
                self.announce(&escrow, &route)?;
                identity(escrow.id())
            }
            publish_1Call::SELECTOR => {
                let (escrow, route) = Escrow::read_bytes(vm, a)?;
                self.announce(&escrow, route)?;
                identity(escrow.id())
            }
            publishAndFund_0Call::SELECTOR => {
                let (escrow, route) = Escrow::read_intent(vm, a)?;
                self.publish_and_fund(&escrow, &route, a.boolean(1)?)?
            }
            publishAndFund_1Call::SELECTOR => {
                let (escrow, route) = Escrow::read_bytes(vm, a)?;
                self.publish_and_fund(&escrow, route, a.boolean(3)?)?
            }
            publishAndFundFor_0Call::SELECTOR => {
                let (escrow, route) = Escrow::read_intent(vm, a)?;
                self.publish_and_fund_for(&escrow, &route, Terms::read(a, 1)?)?
            }
            publishAndFundFor_1Call::SELECTOR => {
                let (escrow, route) = Escrow::read_bytes(vm, a)?;
                self.publish_and_fund_for(&escrow, route, Terms::read(a, 3)?)?
            }
            fundCall::SELECTOR => {
                let escrow = Escrow::read_hash(vm, a)?;
                self.fund_from_caller(&escrow, a.boolean(3)?)?;
                word(escrow.hash.0)
            }
            fundForCall::SELECTOR => {
                let (escrow, terms) = (Escrow::read_hash(vm, a)?, Terms::read(a, 3)?);
                self.fund_from(&escrow, terms.allow_partial, terms.funder, terms.permit)?;
                word(escrow.hash.0)
            }
            _ => return Ok(None),
        }))
    }

    /// The functions that pay out, and those of ERC-7683.
    fn settle(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<(), Revert> {
        match selector {
            withdrawCall::SELECTOR => self.pay(&Escrow::read_hash(self.vm(), a)?),
            batchWithdrawCall::SELECTOR => {
                let (count, elements) = a.array(2, 1)?;
                let rewards = (0..count)
                    .map(|index| Reward::read(elements.tuple(index)?))
                    .collect::<Result<Vec<_>, _>>()?;
                self.pay_all(uint64s(a, 0)?, a.words(1)?, rewards)
            }
            refundCall::SELECTOR => {
                let escrow = Escrow::read_hash(self.vm(), a)?;
                self.give_back(&escrow, escrow.reward.creator)
            }
            refundToCall::SELECTOR => {
                let (escrow, refundee) = (Escrow::read_hash(self.vm(), a)?, a.address(3)?);
                self.only_creator(&escrow.reward)?;
                self.give_back(&escrow, refundee)
            }
            recoverTokenCall::SELECTOR => {
                let (escrow, token) = (Escrow::read_hash(self.vm(), a)?, a.address(3)?);
                self.recover_stray(&escrow, token)
            }
            openCall::SELECTOR => self.open_onchain(&OnchainCrossChainOrder::read(a.tuple(0)?)?),
            openForCall::SELECTOR => {
                let order = GaslessCrossChainOrder::read(a.tuple(0)?)?;
                let signature = a.bytes(1)?;
                a.bytes(2)?;
                self.open_gasless(&order, signature)
            }
            _ => Err(Revert::empty()),
        }
    }

    fn publish_and_fund(
        &mut self,
        escrow: &Escrow,
        route: &[u8],
        allow_partial: bool,
    ) -> Result<Vec<u8>, Revert> {
        self.announce(escrow, route)?;
        self.fund_from_caller(escrow, allow_partial)?;
        Ok(identity(escrow.id()))
    }

    fn publish_and_fund_for(
        &mut self,
        escrow: &Escrow,
        route: &[u8],
        terms: Terms,
    ) -> Result<Vec<u8>, Revert> {
        self.announce(escrow, route)?;
        let vault = self.fund_from(escrow, terms.allow_partial, terms.funder, terms.permit)?;
        Ok(identity((escrow.hash.0, vault)))
    }
}

/// The last three arguments of the functions that fund for someone.
struct Terms {
    allow_partial: bool,
    funder: Address,
    permit: Address,
}

impl Terms {
    fn read(a: Frame<'_>, first: usize) -> Result<Self, Revert> {
        Ok(Self {
            allow_partial: a.boolean(first)?,
            funder: a.address(first + 1)?,
            permit: a.address(first + 2)?,
        })
    }
}

fn uint64s(a: Frame<'_>, index: usize) -> Result<Vec<u64>, Revert> {
    let (count, elements) = a.array(index, 1)?;
    (0..count).map(|index| Ok(elements.uint64(index)?)).collect()
}

fn word(word: B256) -> Vec<u8> {
    Vec::from(word.0)
}

fn address(address: Address) -> Vec<u8> {
    word(address.into_word())
}

fn boolean(boolean: bool) -> Vec<u8> {
    word(B256::with_last_byte(boolean.into()))
}

fn text(text: &str) -> Vec<u8> {
    Writer::new(3).size(0x20).bytes(text.as_bytes()).finish()
}

fn identity((hash, vault): (B256, Address)) -> Vec<u8> {
    Writer::new(2).word(hash).address(vault).finish()
}

fn hashes(hashes: IntentHashes) -> Vec<u8> {
    Writer::new(3).word(hashes.intent.0).word(hashes.route.0).word(hashes.reward.0).finish()
}

/// EIP-5267: name, version, chain id and verifying contract are used (0x0f), salt and extensions are not.
fn eip712_domain(chain_id: u64, this: Address) -> Vec<u8> {
    let mut fields = B256::ZERO;
    fields[0] = 0x0f;
    Writer::new(12)
        .word(fields)
        .size(0xe0)
        .size(0x120)
        .uint64(chain_id)
        .address(this)
        .word(B256::ZERO)
        .size(0x160)
        .bytes(erc7683::DOMAIN_NAME.as_bytes())
        .bytes(erc7683::DOMAIN_VERSION.as_bytes())
        .size(0)
        .finish()
}
