//! Intents that no event has told us of.

use alloy::{
    primitives::{Address, Bytes},
    rpc::types::TransactionRequest,
    sol_types::{SolCall, SolValue},
};
use api::solver::{GaslessOrder, Intent as IntentDto, IntentStatus, StateChange, SubmitIntent};
use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chain::sender::Request;
use protocol::{
    abi::{
        intent::{GaslessCrossChainOrder, OrderData},
        intent_source,
    },
    erc7683,
    ids::{ChainId, IntentHash},
    intent::{Call, Intent, Reward, Route, TokenAmount},
};

use super::{Door, Refusal, parse_hash};
use crate::{
    engine::open_key,
    filter::{self, Intake, Verdict},
    order::Order,
    store::Outgoing,
};

/// `POST /v1/intents`.
pub(super) async fn submit(
    State(door): State<Door>,
    request: Result<Json<SubmitIntent>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(request) = request?;
    let hash = match request {
        SubmitIntent::Direct { origin_chain_id, intent } => {
            let intent = into_intent(intent);
            let order = Order::new(ChainId(origin_chain_id), intent, door.engine.now());
            refuse_nonsense(&door, &order)?;
            door.engine.store.record(&order).await?;
            order.hash
        }
        SubmitIntent::Gasless { order, signature } => {
            submit_gasless(&door, order, signature).await?
        }
    };
    // A closed channel means that the engine stops; the store wakes the order next time.
    let _ = door.wake.send(hash);
    let status = status_of(&door, hash).await?;
    Ok((StatusCode::ACCEPTED, Json(status)).into_response())
}

/// `GET /v1/intents/{hash}`.
pub(super) async fn status(
    State(door): State<Door>,
    path: Path<String>,
) -> Result<Json<IntentStatus>, Refusal> {
    let hash = parse_hash(path)?;
    Ok(Json(status_of(&door, hash).await?))
}

async fn status_of(door: &Door, hash: IntentHash) -> Result<IntentStatus, Refusal> {
    let order = door.engine.store.order(hash).await?.ok_or(Refusal::NotFound)?;
    let history = door.engine.store.history(hash).await?;
    Ok(IntentStatus {
        intent_hash: hash.0,
        state: order.state.to_string(),
        reason: order.reason,
        history: (history.into_iter())
            .map(|h| StateChange { state: h.state.to_string(), reason: h.reason, at: h.at })
            .collect(),
    })
}

/// What can be refused at the door is not written down: anybody may knock.
fn refuse_nonsense(door: &Door, order: &Order) -> Result<(), Refusal> {
    let ruling = filter::judge_intake(&Intake { order, policy: &door.engine.policy });
    match ruling.verdict {
        Verdict::Accept => Ok(()),
        Verdict::Reject { reason }
        | Verdict::TooLate { reason }
        | Verdict::NotYet { reason, .. } => {
            Err(Refusal::Refused { code: ruling.rule, message: reason })
        }
    }
}

async fn submit_gasless(
    door: &Door,
    dto: GaslessOrder,
    signature: Bytes,
) -> Result<IntentHash, Refusal> {
    let refused = |code, message: String| Refusal::Refused { code, message };
    let engine = &door.engine;
    let origin = ChainId(dto.origin_chain_id);
    let served = engine
        .policy
        .chain(origin)
        .ok_or_else(|| refused("inbox", format!("origin {origin} is not served")))?;
    let settler = served.intent_source;
    if dto.order_data_type != erc7683::ORDER_DATA_TYPEHASH {
        return Err(refused("order", "the order's data is of another type".into()));
    }
    let data = OrderData::abi_decode(&dto.order_data)
        .map_err(|_| refused("order", "the order's data does not decode".into()))?;
    let route = Route::abi_decode(&data.route)
        .map_err(|_| refused("order", "the order's route does not decode".into()))?;
    if route.encode() != data.route {
        return Err(refused("order", "the order's route is not in its canonical form".into()));
    }
    let user = dto.user;
    let intent = Intent { destination: data.destination, route, reward: data.reward };
    let order = Order::new(origin, intent, engine.now());
    refuse_nonsense(door, &order)?;
    let link = engine.network.link(origin).map_err(crate::engine::Fault::from)?;
    let wallet = link
        .wallet_for(order.hash[0])
        .ok_or_else(|| Refusal::Internal("a chain without a wallet".into()))?
        .address();
    let request = opening(&order, dto, signature, settler);
    let call =
        TransactionRequest::default().from(wallet).to(settler).input(request.data.clone().into());
    if let Err(error) = link.client.simulate(&call, alloy::eips::BlockNumberOrTag::Latest).await {
        let message = format!("opening the order of {user} fails: {error}");
        return Err(refused("order", message.chars().take(300).collect()));
    }
    let outgoing = Outgoing { chain: origin, wallet, request };
    engine.store.record_gasless(&order, &outgoing).await?;
    Ok(order.hash)
}

/// The transaction that opens a gasless order. A native reward would have to come from us, which
/// the contract refuses without value: such orders fail in the simulation.
fn opening(order: &Order, dto: GaslessOrder, signature: Bytes, settler: Address) -> Request {
    let deadline = u64::from(dto.open_deadline);
    let call = intent_source::openForCall {
        order: GaslessCrossChainOrder {
            originSettler: dto.origin_settler,
            user: dto.user,
            nonce: dto.nonce.0,
            originChainId: alloy::primitives::U256::from(dto.origin_chain_id),
            openDeadline: dto.open_deadline,
            fillDeadline: dto.fill_deadline,
            orderDataType: dto.order_data_type,
            orderData: dto.order_data,
        },
        signature,
        originFillerData: Bytes::new(),
    };
    Request::call(open_key(order), settler, call.abi_encode()).with_deadline(deadline)
}

fn into_intent(dto: IntentDto) -> Intent {
    let tokens = |legs: Vec<api::solver::TokenAmount>| {
        legs.into_iter().map(|t| TokenAmount { token: t.token, amount: t.amount.0 }).collect()
    };
    let calls = dto.route.calls.into_iter();
    Intent {
        destination: dto.destination_chain_id,
        route: Route {
            salt: dto.route.salt,
            deadline: dto.route.deadline,
            portal: dto.route.portal,
            nativeAmount: dto.route.native_amount.0,
            tokens: tokens(dto.route.tokens),
            calls: calls
                .map(|c| Call { target: c.target, data: c.data, value: c.value.0 })
                .collect(),
        },
        reward: Reward {
            deadline: dto.reward.deadline,
            creator: dto.reward.creator,
            prover: dto.reward.prover,
            nativeAmount: dto.reward.native_amount.0,
            tokens: tokens(dto.reward.tokens),
        },
    }
}
