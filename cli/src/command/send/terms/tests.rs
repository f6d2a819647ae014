use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::Bytes;
use api::{
    Amount,
    aggregator::{
        Leg, Liquidity, Preference, QuoteRequest, Score, SecurityDescription, Simulation,
        TimeBasis, TimeEstimate, Token,
    },
};
use chain::{FinalityRule, manifest::Contracts};
use protocol::ids::{ChainId, Domain};
use serde_json::json;

use super::*;

const SENDER: Address = Address::repeat_byte(0x01);
const RECIPIENT: Address = Address::repeat_byte(0x02);
const THIEF: Address = Address::repeat_byte(0x03);
const SOURCE: Address = Address::repeat_byte(0x11);
const INBOX: Address = Address::repeat_byte(0x12);
const INSTANT: Address = Address::repeat_byte(0x13);
const FINALIZED: Address = Address::repeat_byte(0x14);
const TOKEN_IN: Address = Address::repeat_byte(0x21);
const TOKEN_OUT: Address = Address::repeat_byte(0x22);
const ORIGIN: u64 = 700_001;
const DESTINATION: u64 = 700_002;
const SENT: u64 = 1_000;
const ARRIVES: u64 = 990;
const EXPIRES: u64 = 1_800_000_000;

/// What a test makes of an honest quote.
type Change = fn(&mut Intent, &mut Quote);

fn chain(id: u64) -> ChainManifest {
    let other = Address::repeat_byte(0x99);
    ChainManifest {
        chain_id: ChainId(id),
        domain: Domain(1),
        rpc: Vec::new(),
        ws: Vec::new(),
        stack: "evm".into(),
        data_availability: "none".into(),
        finality: FinalityRule::Instant,
        start_block: 0,
        contracts: Contracts {
            mailbox: other,
            proxy_admin: None,
            merkle_tree_hook: other,
            igp: other,
            gas_oracle: other,
            validator_announce: other,
            message_id_multisig_factory: other,
            aggregation_factory: other,
            deployer: other,
            router: other,
            ism: other,
            read_ism: other,
            intent_source: SOURCE,
            inbox: INBOX,
            executor: other,
            vault: other,
            meta_prover_instant: INSTANT,
            meta_prover_finalized: FINALIZED,
            local_prover: other,
            multicall: None,
            test_token: None,
            owner: other,
            guardian: other,
        },
        programs: BTreeMap::new(),
        validators: BTreeMap::new(),
        modules: BTreeMap::new(),
    }
}

fn transfer(token_in: Address, token_out: Address) -> Resolved {
    let token = |chain_id, address| Token { chain_id, address, symbol: "T".into(), decimals: 6 };
    Resolved {
        request: QuoteRequest {
            origin_chain_id: ORIGIN,
            origin_token: token_in,
            destination_chain_id: DESTINATION,
            destination_token: token_out,
            amount: AmountRequest::ExactInput(Amount::from(SENT)),
            sender: Some(SENDER),
            recipient: Some(RECIPIENT),
            refund_address: None,
            preference: Preference::Recommended,
            security: None,
            slippage_bps: 50,
            gasless: false,
            calls: Vec::new(),
            providers: Vec::new(),
        },
        token_in: token(ORIGIN, token_in),
        token_out: token(DESTINATION, token_out),
    }
}

fn intent(transfer: &Resolved) -> Intent {
    let (token_in, token_out) = (transfer.token_in.address, transfer.token_out.address);
    let (native, tokens) = amount(token_out, U256::from(ARRIVES));
    let (reward_native, reward_tokens) = amount(token_in, U256::from(SENT));
    Intent {
        destination: DESTINATION,
        route: Route {
            salt: B256::repeat_byte(7),
            deadline: EXPIRES + 100,
            portal: INBOX,
            nativeAmount: native,
            tokens,
            calls: vec![payment(token_out, RECIPIENT, U256::from(ARRIVES))],
        },
        reward: Reward {
            deadline: EXPIRES + 200,
            creator: SENDER,
            prover: INSTANT,
            nativeAmount: reward_native,
            tokens: reward_tokens,
        },
    }
}

fn transaction(to: Address, data: Vec<u8>, value: U256) -> TransactionStep {
    TransactionStep {
        id: "publish".into(),
        description: String::new(),
        chain_id: ORIGIN,
        to,
        data: data.into(),
        value: value.into(),
        gas_limit: None,
        simulation: Simulation::Skipped { reason: String::new() },
        check: None,
    }
}

fn approval(spender: Address, most: u64) -> Step {
    let call = erc20::approveCall { spender, value: U256::from(most) };
    Step::Transaction(transaction(TOKEN_IN, call.abi_encode(), U256::ZERO))
}

fn publication(intent: &Intent) -> Step {
    let call = intent_source::publishAndFund_0Call { intent: intent.clone(), allowPartial: false };
    Step::Transaction(transaction(SOURCE, call.abi_encode(), intent.reward.nativeAmount))
}

/// The order of `intent` as a signature step, with typed data that the contract takes.
fn signature(intent: &Intent) -> Step {
    let data = OrderData {
        destination: intent.destination,
        route: intent.route.encode().into(),
        reward: intent.reward.clone(),
        routePortal: intent.route.portal.into_word(),
        routeDeadline: intent.route.deadline,
        maxSpent: Vec::new(),
    };
    let order = GaslessOrder {
        origin_settler: SOURCE,
        user: SENDER,
        nonce: Amount::from(1),
        origin_chain_id: ORIGIN,
        open_deadline: u32::try_from(EXPIRES).unwrap(),
        fill_deadline: u32::try_from(intent.route.deadline).unwrap(),
        order_data_type: erc7683::ORDER_DATA_TYPEHASH,
        order_data: data.abi_encode().into(),
    };
    Step::Signature(SignatureStep {
        id: "sign_order".into(),
        description: String::new(),
        typed_data: typed_data(&order),
        context: serde_json::to_value(&order).unwrap(),
        post: "/v1/orders".into(),
        check: None,
    })
}

fn typed_data(order: &GaslessOrder) -> serde_json::Value {
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    json!({
        "types": {
            "EIP712Domain": [
                field("name", "string"),
                field("version", "string"),
                field("chainId", "uint256"),
                field("verifyingContract", "address"),
            ],
            "GaslessCrossChainOrder": [
                field("originSettler", "address"),
                field("user", "address"),
                field("nonce", "uint256"),
                field("originChainId", "uint256"),
                field("openDeadline", "uint32"),
                field("fillDeadline", "uint32"),
                field("orderDataType", "bytes32"),
                field("orderDataHash", "bytes32"),
            ],
        },
        "primaryType": "GaslessCrossChainOrder",
        "domain": {
            "name": erc7683::DOMAIN_NAME,
            "version": erc7683::DOMAIN_VERSION,
            "chainId": order.origin_chain_id,
            "verifyingContract": order.origin_settler,
        },
        "message": {
            "originSettler": order.origin_settler,
            "user": order.user,
            "nonce": order.nonce,
            "originChainId": order.origin_chain_id,
            "openDeadline": order.open_deadline,
            "fillDeadline": order.fill_deadline,
            "orderDataType": order.order_data_type,
            "orderDataHash": alloy::primitives::keccak256(&order.order_data),
        },
    })
}

fn quote(steps: Vec<Step>) -> Quote {
    let (amount_in, amount_out) = (Amount::from(SENT), Amount::from(ARRIVES));
    Quote {
        id: String::new(),
        provider: OURS.into(),
        solver: None,
        legs: vec![Leg {
            origin_chain_id: ORIGIN,
            destination_chain_id: DESTINATION,
            token_in: TOKEN_IN,
            token_out: TOKEN_OUT,
            amount_in,
            amount_out,
        }],
        amount_in,
        amount_out,
        min_amount_out: amount_out,
        fees: Vec::new(),
        time: TimeEstimate { seconds: 1, basis: TimeBasis::Provider, stated: 1 },
        security: SecurityDescription {
            tier: Some(Security::Instant),
            validators: None,
            threshold: None,
            trust: String::new(),
        },
        liquidity: Liquidity { available: None },
        expires_at: EXPIRES,
        order_id: None,
        steps,
        score: Score {
            total: 1.0,
            output: 1.0,
            time: 1.0,
            security: 1.0,
            liquidity: 1.0,
            reputation: 1.0,
        },
        cached: Vec::new(),
    }
}

/// What is said of a quote whose intent and own fields were changed.
fn said(transfer: &Resolved, open: fn(&Intent) -> Step, change: Change) -> eyre::Result<()> {
    let mut intent = intent(transfer);
    let mut quote = quote(Vec::new());
    if !transfer.token_in.address.is_zero() {
        quote.steps.push(approval(SOURCE, SENT));
    }
    change(&mut intent, &mut quote);
    quote.order_id = Some(intent.hash().0);
    quote.steps.push(open(&intent));
    checked(transfer, &quote, None)
}

fn checked(transfer: &Resolved, quote: &Quote, min_receive: Option<u64>) -> eyre::Result<()> {
    let (origin, destination) = (chain(ORIGIN), chain(DESTINATION));
    let min_receive = min_receive.map(U256::from);
    let (origin, destination) = (&origin, &destination);
    let clock = Clock::manual(Duration::from_secs(EXPIRES - 30));
    Terms { transfer, sender: SENDER, origin, destination, min_receive, clock }.check(quote)
}

/// Whether a quote is refused with these words.
fn assert_refused(outcome: eyre::Result<()>, words: &str) {
    let said = format!("{:#}", outcome.expect_err(words));
    assert!(said.contains(words), "{words}: {said}");
}

#[test]
fn what_was_asked_for_may_be_signed() {
    for tokens in [(TOKEN_IN, TOKEN_OUT), (Address::ZERO, Address::ZERO), (TOKEN_IN, Address::ZERO)]
    {
        let transfer = transfer(tokens.0, tokens.1);
        said(&transfer, publication, |_, _| {}).unwrap();
        said(&transfer, signature, |_, _| {}).unwrap();
    }
}

#[test]
fn an_intent_that_pays_or_trusts_somebody_else_or_lasts_for_ever_is_refused() {
    let changes: [(Change, &str); 12] = [
        (|_, quote| quote.expires_at += 86_400, "over an hour"),
        (|intent, _| intent.reward.deadline = u64::MAX, "taken back"),
        (|intent, _| intent.route.deadline = intent.reward.deadline, "taken back"),
        (|intent, _| intent.destination = 5, "destination"),
        (|intent, _| intent.route.portal = THIEF, "portal"),
        (
            |intent, _| {
                let due = U256::from(ARRIVES);
                intent.route.calls = vec![payment(TOKEN_OUT, THIEF, due)];
            },
            "calls of the route",
        ),
        (|intent, _| intent.route.calls.clear(), "calls of the route"),
        (|intent, _| intent.route.tokens.clear(), "tokens of the route"),
        (|intent, _| intent.reward.creator = THIEF, "creator"),
        (|intent, _| intent.reward.prover = THIEF, "prover"),
        (|intent, _| intent.reward.prover = FINALIZED, "prover"),
        (
            |intent, _| {
                let (_, tokens) = amount(TOKEN_IN, U256::from(SENT + 1));
                intent.reward.tokens = tokens;
            },
            "tokens of the reward",
        ),
    ];
    for (change, words) in changes {
        let transfer = transfer(TOKEN_IN, TOKEN_OUT);
        assert_refused(said(&transfer, publication, change), words);
        assert_refused(said(&transfer, signature, change), words);
    }
}

#[test]
fn a_step_that_does_something_else_is_refused() {
    let transfer = transfer(TOKEN_IN, TOKEN_OUT);
    let approving = |step: Step| {
        let mut quote = quote(vec![step]);
        quote.order_id = Some(intent(&transfer).hash().0);
        quote.steps.push(publication(&intent(&transfer)));
        checked(&transfer, &quote, None)
    };
    assert_refused(approving(approval(THIEF, SENT)), "spender");
    assert_refused(approving(approval(SOURCE, SENT + 1)), "it allows 1001");
    let stolen = erc20::transferCall { to: THIEF, value: U256::from(SENT) }.abi_encode();
    let stolen = transaction(TOKEN_IN, stolen, U256::ZERO);
    assert_refused(approving(Step::Transaction(stolen.clone())), "no approve");

    let paying = |step: TransactionStep| {
        let mut quote = quote(vec![Step::Transaction(step)]);
        quote.order_id = Some(intent(&transfer).hash().0);
        checked(&transfer, &quote, None)
    };
    assert_refused(paying(stolen), "contract");
    let Step::Transaction(honest) = publication(&intent(&transfer)) else { panic!("no step") };
    paying(honest.clone()).unwrap();
    let elsewhere = TransactionStep { chain_id: 1, ..honest.clone() };
    assert_refused(paying(elsewhere), "chain");
    let costly = TransactionStep { value: Amount::from(1), ..honest.clone() };
    assert_refused(paying(costly), "native value");
    let longer = Bytes::from([&honest.data[..], &[0_u8; 32][..]].concat());
    assert_refused(paying(TransactionStep { data: longer, ..honest }), "publishAndFund");
}

#[test]
fn a_signature_for_anything_but_the_order_that_is_shown_is_refused() {
    let transfer = transfer(TOKEN_IN, TOKEN_OUT);
    let signing = |change: fn(&mut SignatureStep)| {
        let Step::Signature(mut step) = signature(&intent(&transfer)) else { panic!("no step") };
        change(&mut step);
        let mut quote = quote(vec![Step::Signature(step)]);
        quote.order_id = Some(intent(&transfer).hash().0);
        checked(&transfer, &quote, None)
    };
    signing(|_| {}).unwrap();
    assert_refused(
        signing(|step| step.typed_data["message"]["orderDataHash"] = json!(B256::ZERO)),
        "hash that is signed",
    );
    assert_refused(signing(|step| step.context["origin_settler"] = json!(THIEF)), "settler");
    assert_refused(
        signing(|step| step.context["open_deadline"] = json!(EXPIRES + 1)),
        "after the quote has expired",
    );
}

#[test]
fn a_loss_needs_consent() {
    let of = |least: u64, min_receive: Option<u64>| {
        let transfer = transfer(TOKEN_IN, TOKEN_OUT);
        let mut intent = intent(&transfer);
        let (_, tokens) = amount(TOKEN_OUT, U256::from(least));
        intent.route.calls = vec![payment(TOKEN_OUT, RECIPIENT, U256::from(least))];
        intent.route.tokens = tokens;
        let steps = vec![publication(&intent)];
        let (amount_out, order_id) = (Amount::from(least), Some(intent.hash().0));
        let quote = Quote { amount_out, min_amount_out: amount_out, order_id, ..quote(steps) };
        checked(&transfer, &quote, min_receive)
    };
    of(900, None).unwrap();
    assert_refused(of(899, None), "more than a tenth");
    of(899, Some(899)).unwrap();
    assert_refused(of(950, Some(951)), "--min-receive asks for");
}

#[test]
fn tokens_whose_worth_cannot_be_compared_need_consent() {
    let mut transfer = transfer(TOKEN_IN, TOKEN_OUT);
    transfer.token_out.symbol = "U".into();
    assert_refused(said(&transfer, publication, |_, _| {}), "nobody knows");
}

#[test]
fn more_than_was_asked_for_is_refused() {
    let transfer = transfer(TOKEN_IN, TOKEN_OUT);
    let change: Change = |_, quote| quote.amount_in = Amount::from(SENT + 1);
    assert_refused(said(&transfer, publication, change), "more than asked for");
    let change: Change = |_, quote| quote.min_amount_out = Amount::from(ARRIVES + 1);
    assert_refused(said(&transfer, publication, change), "promises more");
}

#[test]
fn a_stranger_is_paid_only_when_it_is_named_and_no_more_than_quoted() {
    let mut transfer = transfer(Address::ZERO, Address::ZERO);
    let of = |transfer: &Resolved, provider: &str, value: u64| {
        let step = transaction(THIEF, vec![1, 2, 3, 4], U256::from(value));
        let provider = provider.to_owned();
        let quote = Quote { provider, ..quote(vec![Step::Transaction(step)]) };
        checked(transfer, &quote, None)
    };
    assert_refused(of(&transfer, "acme", SENT), "--provider acme");
    transfer.request.providers = vec!["acme".into(), OURS.into()];
    of(&transfer, "acme", SENT).unwrap();
    assert_refused(of(&transfer, "acme", SENT + 1), "it sends 1001 wei");
    assert_refused(of(&transfer, OURS, SENT), "it names no order");
}
